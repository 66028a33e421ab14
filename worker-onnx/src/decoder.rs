//! A decoder: one graph, or one for prompts and one for what follows them, and how a run of it goes.

mod cache;
mod feed;
mod logits;
mod probe;
mod role;
mod wiring;

use impetus_runtime::engine::{TokenId, Want};
use ort::session::SessionInputValue;

use self::{cache::TensorShape, feed::Feed, logits::Logits};
pub(crate) use self::{
    cache::{Cache, Group, Side},
    role::{Names, Role},
    wiring::Wiring,
};
use crate::{
    error::{ModelError, is_memory, words},
    graph::{Graph, Opener},
    place::Place,
    settings::Settings,
};

/// Graphs that are wired, and what a probe found out about them.
pub(crate) struct Decoder {
    /// For rows without a cache, where that is a graph of its own.
    first: Option<Wiring>,
    next: Wiring,
    shapes: Vec<TensorShape>,
    side: Side,
    vocabulary: usize,
    /// Whether only the last token of a run gets logits.
    gives_last_only: bool,
    /// Whether rows of different lengths can be computed together.
    takes_rows: bool,
}

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// There is no memory for its results.
    #[error("there is no memory for the keys and values")]
    Memory,
    /// The library refuses to compute it.
    #[error("{0}")]
    Refused(String),
}

impl Decoder {
    /// Opens the graphs of `place`, the main one of which is open already, and tries them out.
    pub(crate) fn open(
        place: &Place,
        graph: Graph,
        opener: &Opener,
        settings: &Settings,
    ) -> Result<Self, ModelError> {
        let names = Names::new(place.genai.as_ref());
        let side = if graph.scan.is_row_wise { Side::Start } else { Side::End };
        let next = Wiring::new(graph, &names, false)?;
        let first = match &place.first {
            Some(file) => Some(Wiring::new(opener.open(&place.graphs, file)?, &names, true)?.giving(&next)?),
            None => None,
        };
        let shapes = next.shapes(settings)?;
        let mut decoder = Self {
            takes_rows: next.takes_rows() && can_pad(&next, side),
            first,
            next,
            shapes,
            side,
            vocabulary: 0,
            gives_last_only: false,
        };
        decoder.probe()?;
        Ok(decoder)
    }

    /// Width of a row of logits.
    pub(crate) fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// Whether several rows can be computed together.
    pub(crate) fn takes_rows(&self) -> bool {
        self.takes_rows
    }

    /// Whether one run computes several tokens behind others and gives the logits of each.
    pub(crate) fn takes_chunks(&self) -> bool {
        !self.gives_last_only && !self.next.takes_one_token()
    }

    /// Bytes of all weights.
    pub(crate) fn bytes(&self) -> u64 {
        let first = self.first.as_ref().map_or(0, |wiring| wiring.graph.scan.bytes);
        first.saturating_add(self.next.graph.scan.bytes)
    }

    /// An empty cache for its keys and values.
    pub(crate) fn cache(&self) -> Cache {
        Cache::new(self.shapes.clone(), self.side)
    }

    /// Computes the same number of tokens for each row of `group`. Gives the group's next state, and by row the
    /// logits that it wants.
    pub(crate) fn advance(
        &mut self,
        group: &Group,
        tokens: &[&[TokenId]],
        wants: &[Want],
    ) -> Result<(Group, Vec<Vec<f32>>), RunError> {
        let n_tokens = tokens.first().map_or(0, |tokens| tokens.len());
        let wants_all = wants.contains(&Want::All);
        let one_by_one = self.takes_one_token(group) || (wants_all && self.gives_last_only);
        let mut rows = vec![Vec::new(); wants.len()];
        if n_tokens <= 1 || !one_by_one {
            let (group, logits) = self.run(group, tokens, wants_all)?;
            logits.take(n_tokens, wants, &mut rows)?;
            return Ok((group, rows));
        }
        let mut state = None;
        for at in 0..n_tokens {
            let token: Vec<&[TokenId]> = tokens.iter().map(|tokens| &tokens[at..=at]).collect();
            let (later, logits) = self.run(state.as_ref().unwrap_or(group), &token, true)?;
            let due =
                |&want: &Want| if want == Want::Last && at + 1 < n_tokens { Want::Nothing } else { want };
            logits.take(1, &wants.iter().map(due).collect::<Vec<_>>(), &mut rows)?;
            state = Some(later);
        }
        state.map(|state| (state, rows)).ok_or_else(|| RunError::Refused("a chunk without tokens".into()))
    }

    /// Whether the graph that computes `group` takes a single token of each row.
    fn takes_one_token(&self, group: &Group) -> bool {
        let begins = self.first.is_some() && group.columns == 0;
        !begins && self.next.takes_one_token()
    }

    /// One run of one graph.
    fn run(
        &mut self,
        group: &Group,
        tokens: &[&[TokenId]],
        wants_all: bool,
    ) -> Result<(Group, Logits), RunError> {
        let wiring = match &mut self.first {
            Some(first) if group.columns == 0 => first,
            _ => &mut self.next,
        };
        let n_tokens = tokens.first().map_or(0, |tokens| tokens.len());
        let feed = Feed { group, tokens, side: self.side, wants_all };
        let values = feed.values(wiring).map_err(|error| RunError::of(&error))?;
        let inputs: Vec<(&str, SessionInputValue)> =
            wiring.graph.inputs.iter().map(|port| port.name.as_str()).zip(values).collect();
        let mut outputs = wiring.graph.session.run(inputs).map_err(|error| RunError::of(&error))?;
        let mut take = |name: &str| {
            outputs.remove(name).ok_or_else(|| RunError::Refused(format!("it gave no `{name}`")))
        };
        let logits = Logits::new(take(&wiring.logits)?, tokens.len())?;
        let tensors: Vec<_> = wiring.presents.iter().map(|name| take(name)).collect::<Result<_, _>>()?;
        let columns = feed.total_columns();
        for ((tensor, shape), name) in tensors.iter().zip(&self.shapes).zip(&wiring.presents) {
            let found = tensor.dtype();
            let expected = [tokens.len(), shape.heads, columns, shape.size].map(|n| n as i64);
            let fits = found.tensor_shape().is_some_and(|found| **found == expected);
            if !fits || found.tensor_type() != Some(shape.element) {
                return Err(RunError::Refused(format!(
                    "`{name}` is {found} where {} of {expected:?} was to be",
                    shape.element
                )));
            }
        }
        Ok((group.advanced(n_tokens, columns, tensors), logits))
    }
}

impl RunError {
    fn of(error: &ort::Error) -> Self {
        let words = words(error);
        if is_memory(&words) { Self::Memory } else { Self::Refused(words) }
    }
}

/// Whether the graph can be told which columns hold no token, and where each token stands.
fn can_pad(wiring: &Wiring, side: Side) -> bool {
    let has = |role| wiring.input(role).is_some();
    match side {
        Side::Start => has(Role::Mask) || has(Role::LastTokens),
        Side::End => has(Role::Mask) && has(Role::Positions),
    }
}
