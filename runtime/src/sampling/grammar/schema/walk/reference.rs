//! What `$ref` refers to: parts of the same schema, by pointer or anchor.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
};

use serde_json::Value as Json;

use super::{GrammarError, Place};
use crate::sampling::grammar::chain::{Graph, MAX_CHAIN};

/// References of a schema, and what they may refer to.
pub(super) struct References {
    /// The schema's own name.
    id: Option<String>,
    /// Parts that are schemas: where they stand, and where they are written.
    parts: HashMap<String, String>,
    anchors: HashMap<String, Place>,
    broken: HashMap<String, GrammarError>,
    wanted: Vec<(Place, String)>,
}

/// For each part that refers to another: where that stands, and where it is written.
type Targets<'a> = HashMap<&'a str, (String, String)>;

impl References {
    pub(super) fn new(schema: &Json) -> Self {
        let id = schema.get("$id").or_else(|| schema.get("id")).and_then(Json::as_str);
        let id = id.map(|id| id.trim_end_matches('#').to_owned());
        let (parts, anchors) = (HashMap::new(), HashMap::new());
        Self { id, parts, anchors, broken: HashMap::new(), wanted: Vec::new() }
    }

    pub(super) fn found(&mut self, place: &Place) {
        self.parts.insert(place.from.clone(), place.to.clone());
    }

    pub(super) fn n_wanted(&self) -> usize {
        self.wanted.len()
    }

    /// A part is in error, and so are its references, those from `first` on.
    pub(super) fn broken(&mut self, place: &Place, error: GrammarError, first: usize) {
        self.broken.insert(place.from.clone(), error);
        self.wanted.truncate(first);
    }

    pub(super) fn anchor(&mut self, name: &str, place: &Place) {
        self.anchors.insert(name.to_owned(), place.clone());
    }

    /// Notes a reference, and gives what it is written as until all parts are known.
    pub(super) fn want(&mut self, target: &str, place: &Place) -> Json {
        self.wanted.push((place.clone(), target.to_owned()));
        Json::from(target)
    }

    /// Points every reference at where its part is written.
    pub(super) fn settle(&self, written: &mut Json) -> Result<(), GrammarError> {
        let mut targets = Targets::new();
        for (place, target) in &self.wanted {
            targets.insert(&place.from, self.resolve(place, target)?);
        }
        self.check_loops(&targets)?;
        self.check_chains(&targets)?;
        for (place, _) in &self.wanted {
            let part = match place.to.as_str() {
                "#" => Some(&mut *written),
                // A part that was itself left out needs no target.
                pointer => written.pointer_mut(&pointer[1..]),
            };
            let to = targets.get(place.from.as_str()).map(|(_, to)| to.as_str());
            if let Some(reference) = part.and_then(|part| part.get_mut("$ref")) {
                *reference = Json::from(to);
            }
        }
        Ok(())
    }

    /// Refuses references that lead to nothing but themselves.
    fn check_loops(&self, targets: &Targets) -> Result<(), GrammarError> {
        let mut known = HashSet::new();
        for (place, _) in &self.wanted {
            let (mut at, mut way) = (place.from.as_str(), HashSet::new());
            while let Some((target, _)) = targets.get(at).filter(|_| !known.contains(at)) {
                if !way.insert(at) {
                    return Err(place.refused("$ref", "refers to itself and to nothing else"));
                }
                at = target;
            }
            known.extend(way);
        }
        Ok(())
    }

    /// Refuses references that lead too deep: the compiler recurses from each part that is referred to over the parts
    /// within it to what those refer to.
    fn check_chains(&self, targets: &Targets) -> Result<(), GrammarError> {
        let mut graph = Graph::default();
        let mut nodes = HashMap::from([("#", graph.add())]);
        for (target, _) in targets.values() {
            nodes.entry(target.as_str()).or_insert_with(|| graph.add());
        }
        for (&place, (target, _)) in targets {
            let mut depth = 0;
            for part in around(place) {
                depth += usize::from(self.parts.contains_key(part));
                if let Some(&node) = nodes.get(part) {
                    graph.deepen(node, depth);
                    graph.refer(node, nodes[target.as_str()]);
                }
                if self.is_definition(part) {
                    break;
                }
            }
        }
        let deepest = graph.deepest();
        if deepest > MAX_CHAIN {
            let reason = format!(
                "leads through {deepest} schemas within each other; at most {MAX_CHAIN} are supported"
            );
            return Err(Place::root().refused("$ref", reason));
        }
        Ok(())
    }

    /// Whether a part holds only where something refers to it.
    fn is_definition(&self, part: &str) -> bool {
        part.rsplit_once('/').is_some_and(|(around, _)| {
            (around.ends_with("/$defs") || around.ends_with("/definitions"))
                && !self.parts.contains_key(around)
        })
    }

    /// Where the part that `target` refers to stands, and where it is written.
    fn resolve(&self, place: &Place, target: &str) -> Result<(String, String), GrammarError> {
        let refused = |reason: String| Err(place.refused("$ref", reason));
        let local = match (&self.id, target) {
            (Some(id), target) if !id.is_empty() => target.strip_prefix(id.as_str()).unwrap_or(target),
            (_, target) => target,
        };
        let local = if local.is_empty() { "#" } else { local };
        let Some(fragment) = local.strip_prefix('#') else {
            return refused(format!("refers to `{target}`, which is not in this schema"));
        };
        let Some(fragment) = decoded(fragment) else {
            return refused(format!("refers to `{target}`, which is not a pointer"));
        };
        let from = if fragment.is_empty() || fragment.starts_with('/') {
            format!("#{fragment}")
        } else {
            match self.anchors.get(&fragment) {
                Some(place) => place.from.clone(),
                None => return refused(format!("refers to `{target}`, which no `$anchor` names")),
            }
        };
        // The innermost is within those around it, whose errors are what came first.
        if let Some(error) = around(&from).filter_map(|part| self.broken.get(part)).last() {
            return Err(error.clone());
        }
        match self.parts.get(&from) {
            Some(to) => Ok((from.clone(), encoded(to))),
            None => refused(format!("refers to `{target}`, where there is no schema")),
        }
    }
}

/// The pointer to a part, and those to what it is within, from the inside out.
fn around(pointer: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(pointer), |inner| inner.rsplit_once('/').map(|(outer, _)| outer))
}

/// A fragment of a URI as text.
pub(super) fn decoded(fragment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let [first, later @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(later.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &later[2..];
        } else {
            bytes.push(*first);
            rest = later;
        }
    }
    String::from_utf8(bytes).ok()
}

/// A pointer as the fragment of a URI.
fn encoded(pointer: &str) -> String {
    let mut fragment = String::with_capacity(pointer.len());
    for byte in pointer.bytes() {
        match byte {
            b'#' if fragment.is_empty() => fragment.push('#'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' | b'$' => {
                fragment.push(char::from(byte));
            }
            byte => {
                let _ = write!(fragment, "%{byte:02X}");
            }
        }
    }
    fragment
}
