//! Values of a schema in a notation other than JSON, as rules of a grammar.
//!
//! What is written allows what the schema does or less. Where a keyword cannot be kept to, anything is allowed and the
//! keyword noted, so that whoever has to keep to the schema can refuse it.

use std::{
    collections::{BTreeMap, HashSet},
    fmt::Write,
};

use serde_json::{Map, Value as Json};

use super::{Unenforced, lark};
use crate::sampling::grammar::{MAX_GRAMMAR_BYTES, schema};

/// What writes a text; none if it cannot be written.
type Spelling = Box<dyn Fn(&str) -> Option<String>>;

/// How values are written. Rules are expressions of a grammar.
pub(super) struct Notation {
    /// Any value, any list and any object.
    pub(super) any: &'static str,
    pub(super) list: &'static str,
    pub(super) object: &'static str,
    /// Any string, and any number.
    pub(super) string: &'static str,
    /// True, false and nothing.
    pub(super) words: [&'static str; 3],
    /// Between two elements.
    pub(super) comma: &'static str,
    /// A certain string; none if it cannot be written.
    pub(super) quoted: Spelling,
    /// What stands before a member's value; none if nothing can.
    pub(super) key: Spelling,
    /// Any key and what stands before its value.
    pub(super) any_key: &'static str,
    /// Members are in the order of their names instead of the schema's.
    pub(super) sorted: bool,
}

/// Writes the values of one schema.
pub(super) struct Writer<'a> {
    notation: &'a Notation,
    /// What the names of its rules begin with.
    prefix: String,
    root: Json,
    rules: String,
    /// Rules so far.
    n_rules: usize,
    /// The rules of parts that are referred to.
    referred: BTreeMap<String, String>,
    /// Those that are to be written, with the places of their parts.
    pending: Vec<(String, String)>,
    missed: Option<Unenforced>,
}

/// A member of an object.
pub(super) struct Member {
    /// What stands before the value.
    pub(super) head: String,
    /// The value.
    pub(super) value: String,
    /// It has to be there.
    pub(super) required: bool,
}

/// The place of the whole schema.
const ROOT: &str = "#";

/// The most elements of a list that are counted.
const MAX_COUNTED: u64 = 1000;

/// The most elements with values of their own: each stands within brackets of its own.
const MAX_FIRST: usize = 16;

/// Keywords that say nothing by themselves. `additionalItems` and its like are `items` in a schema that was narrowed.
const SILENT: [&str; 4] = ["type", "$defs", "definitions", "x-guidance"];
const OF_STRINGS: [&str; 4] = ["pattern", "format", "minLength", "maxLength"];
const OF_NUMBERS: [&str; 5] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
const OF_LISTS: [&str; 4] = ["items", "prefixItems", "minItems", "maxItems"];
const OF_OBJECTS: [&str; 3] = ["properties", "required", "additionalProperties"];

impl<'a> Writer<'a> {
    /// A writer of what `schema` describes, whose rules have names that begin with `prefix`.
    pub(super) fn new(notation: &'a Notation, prefix: String, schema: &Json) -> Self {
        let root = schema::narrow(schema).unwrap_or_else(|_| schema.clone());
        let (rules, referred) = (String::new(), BTreeMap::new());
        Self { notation, prefix, root, rules, n_rules: 0, referred, pending: Vec::new(), missed: None }
    }

    /// An object of the schema.
    pub(super) fn whole(&mut self) -> String {
        let part = self.part();
        self.object(&part, ROOT)
    }

    /// The members of an object of the schema, by what `key` writes before each value.
    pub(super) fn arguments(&mut self, key: impl Fn(&str) -> Option<String>) -> Vec<Member> {
        let part = self.part();
        self.listed(&part, key, ROOT)
    }

    /// The rules that were written, and the first keyword that none of them keeps to.
    pub(super) fn finish(mut self) -> (String, Option<Unenforced>) {
        while let Some((rule, target)) = self.pending.pop() {
            let part = self.root.pointer(&target[1..]).cloned().unwrap_or_default();
            let value = self.value(&part, &target);
            self.rule(&rule, &value);
        }
        (self.rules, self.missed)
    }

    /// Notes that `keyword` at `place` is not kept to.
    fn miss(&mut self, keyword: &str, place: &str) {
        let missed = || Unenforced { keyword: keyword.to_owned(), place: place.to_owned() };
        self.missed.get_or_insert_with(missed);
    }

    fn part(&mut self) -> Map<String, Json> {
        let part = self.root.as_object().cloned().unwrap_or_default();
        self.known(&part, &["object"], ROOT);
        part
    }

    /// A value of the schema at `place`.
    fn value(&mut self, schema: &Json, place: &str) -> String {
        let any = || self.notation.any.to_owned();
        // What is longer than any grammar may be is refused, so that it need not be written to its end.
        if self.rules.len() > MAX_GRAMMAR_BYTES {
            return any();
        }
        let part = match schema {
            Json::Object(part) => part,
            Json::Bool(true) => return any(),
            _ => return self.anything("false", place),
        };
        if let Some(Json::String(target)) = part.get("$ref") {
            self.alone("$ref", part, place);
            return self.reference(target, place);
        }
        if let Some(Json::Array(schemas)) = part.get("anyOf") {
            self.alone("anyOf", part, place);
            let values = schemas.iter().enumerate();
            let values: Vec<String> =
                values.map(|(idx, schema)| self.value(schema, &format!("{place}/anyOf/{idx}"))).collect();
            return format!("({})", values.join(" | "));
        }
        let listed = match (part.get("enum"), part.get("const")) {
            (Some(Json::Array(values)), _) => Some(("enum", values.clone())),
            (None, Some(value)) => Some(("const", vec![value.clone()])),
            _ => None,
        };
        if let Some((keyword, values)) = listed {
            self.alone(keyword, part, place);
            return self.constants(keyword, &values, part.get("type"), place);
        }
        let mut names: Vec<&str> = match part.get("type") {
            Some(Json::String(name)) => vec![name],
            Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).collect(),
            _ => return self.untyped(part, place),
        };
        names.sort_unstable();
        names.dedup();
        self.known(part, &names, place);
        let values: Vec<String> = names.iter().map(|name| self.typed(name, part, place)).collect();
        format!("({})", values.join(" | "))
    }

    fn listed(
        &mut self,
        part: &Map<String, Json>,
        key: impl Fn(&str) -> Option<String>,
        place: &str,
    ) -> Vec<Member> {
        let none = Map::new();
        let properties = part.get("properties").and_then(Json::as_object).unwrap_or(&none);
        let required: HashSet<&str> = part
            .get("required")
            .and_then(Json::as_array)
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
            .collect();
        if required.iter().any(|name| !properties.contains_key(*name)) {
            self.miss("required", place);
        }
        let mut members = Vec::new();
        for (name, schema) in properties {
            let is_required = required.contains(name.as_str());
            let (Some(head), false) = (key(name), schema == &Json::Bool(false)) else {
                if is_required {
                    self.miss("properties", place);
                }
                continue;
            };
            let value = self.value(schema, &format!("{place}/properties/{name}"));
            members.push((name, Member { head, value, required: is_required }));
        }
        if self.notation.sorted {
            members.sort_by_key(|(name, _)| name.to_lowercase());
        }
        members.into_iter().map(|(_, member)| member).collect()
    }

    /// These members in order, without those that may be absent or with them.
    pub(super) fn members(&mut self, members: &[Member]) -> String {
        let comma = lark::literal(self.notation.comma);
        let base = self.name("members");
        let (mut first, mut may_be_first) = (Vec::new(), true);
        for (at, Member { head, value, required }) in members.iter().enumerate() {
            let mark = if *required { "" } else { "?" };
            let (member, behind) = (format!("{base}_{at}"), format!("{base}_behind{}", at + 1));
            self.rule(&member, &format!("{head} {value}"));
            self.rule(&format!("{base}_behind{at}"), &format!("({comma} {member}){mark} {behind}"));
            if may_be_first {
                first.push(format!("{member} {behind}"));
            }
            may_be_first &= !required;
        }
        if first.is_empty() {
            return String::new();
        }
        self.rule(&format!("{base}_behind{}", members.len()), "\"\"");
        format!("({}){}", first.join(" | "), if may_be_first { "?" } else { "" })
    }

    fn typed(&mut self, name: &str, part: &Map<String, Json>, place: &str) -> String {
        let [yes, no, null] = self.notation.words.map(lark::literal);
        match name {
            "string" => self.notation.string.to_owned(),
            "number" | "integer" => {
                let about = part.iter().filter(|(key, _)| OF_NUMBERS.contains(&key.as_str()));
                let mut number: Map<String, Json> =
                    about.map(|(key, value)| (key.clone(), value.clone())).collect();
                number.insert("type".to_owned(), name.into());
                self.shared(&format!("%json {}", Json::Object(number)))
            }
            "boolean" => format!("({yes} | {no})"),
            "null" => null,
            "array" => self.list(part, place),
            _ => self.object(part, place),
        }
    }

    fn list(&mut self, part: &Map<String, Json>, place: &str) -> String {
        if !OF_LISTS.iter().any(|keyword| part.contains_key(*keyword)) {
            return self.notation.list.to_owned();
        }
        let none = Vec::new();
        let first = part.get("prefixItems").and_then(Json::as_array).unwrap_or(&none);
        let first: Vec<String> = first
            .iter()
            .enumerate()
            .map(|(idx, schema)| self.value(schema, &format!("{place}/prefixItems/{idx}")))
            .collect();
        if first.len() > MAX_FIRST {
            return self.anything("prefixItems", place);
        }
        let n_first = first.len() as u64;
        let least = part.get("minItems").and_then(Json::as_u64).unwrap_or(0);
        let mut most = part.get("maxItems").and_then(Json::as_u64);
        for (keyword, bound) in [("minItems", Some(least)), ("maxItems", most)] {
            if bound.is_some_and(|bound| bound > MAX_COUNTED) {
                return self.anything(keyword, place);
            }
        }
        let item = match part.get("items") {
            Some(Json::Bool(false)) => {
                most = Some(most.map_or(n_first, |most| most.min(n_first)));
                String::new()
            }
            // Written twice below, which doubles with each list within a list.
            Some(items) => {
                let item = self.value(items, &format!("{place}/items"));
                self.shared(&item)
            }
            None => self.notation.any.to_owned(),
        };
        if most.is_some_and(|most| most < least) {
            return self.anything("minItems", place);
        }
        let elements = self.elements(&first, &item, least, most);
        format!("\"[\" {elements} \"]\"")
    }

    /// The elements of a list, of which those that stand `first` have values of their own.
    fn elements(&self, first: &[String], item: &str, least: u64, most: Option<u64>) -> String {
        let comma = lark::literal(self.notation.comma);
        // One of the items at least is written as one that stands first, without a comma before it.
        let lone = [item.to_owned()];
        let first = if first.is_empty() && most != Some(0) { &lone } else { first };
        let n_first = first.len() as u64;
        let more = most.map(|most| most.saturating_sub(n_first));
        let mut rest = match more {
            Some(0) => String::new(),
            Some(more) => format!("({comma} {item}){{{},{more}}}", least.saturating_sub(n_first)),
            None => format!("({comma} {item}){{{},}}", least.saturating_sub(n_first)),
        };
        for (idx, value) in first.iter().enumerate().rev() {
            let idx = idx as u64;
            if most.is_some_and(|most| idx >= most) {
                rest = String::new();
                continue;
            }
            let before = if idx == 0 { "" } else { comma.as_str() };
            rest = format!("{before} {value} {rest}");
            if idx >= least {
                rest = format!("({rest})?");
            }
        }
        rest
    }

    fn object(&mut self, part: &Map<String, Json>, place: &str) -> String {
        if part.get("properties").and_then(Json::as_object).is_none_or(Map::is_empty) {
            if part.get("required").and_then(Json::as_array).is_some_and(|names| !names.is_empty()) {
                self.miss("required", place);
            }
            return match part.get("additionalProperties") {
                Some(Json::Bool(false)) => "\"{\" \"}\"".to_owned(),
                None | Some(Json::Bool(true)) => self.notation.object.to_owned(),
                Some(others) => {
                    let value = self.value(others, &format!("{place}/additionalProperties"));
                    let member = self.shared(&format!("{} {value}", self.notation.any_key));
                    let comma = lark::literal(self.notation.comma);
                    format!("\"{{\" ({member} ({comma} {member})*)? \"}}\"")
                }
            };
        }
        let members = self.listed(part, &self.notation.key, place);
        let members = self.members(&members);
        format!("\"{{\" {members} \"}}\"")
    }

    /// One of these values, where they are of the type.
    fn constants(&mut self, keyword: &str, values: &[Json], types: Option<&Json>, place: &str) -> String {
        let is_of = |value: &Json, name: &str| match name {
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "null" => value.is_null(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
            _ => value.is_number(),
        };
        let fits = |value: &&Json| match types {
            Some(Json::String(name)) => is_of(value, name),
            Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).any(|name| is_of(value, name)),
            _ => true,
        };
        let values: Option<Vec<String>> =
            values.iter().filter(fits).map(|value| self.constant(value)).collect();
        match values {
            Some(values) if !values.is_empty() => format!("({})", values.join(" | ")),
            _ => self.anything(keyword, place),
        }
    }

    /// This value; none if it cannot be written.
    fn constant(&self, value: &Json) -> Option<String> {
        let [yes, no, null] = self.notation.words;
        let comma = lark::literal(self.notation.comma);
        let between = |values: Option<Vec<String>>| Some(values?.join(&format!(" {comma} ")));
        Some(match value {
            Json::Null => lark::literal(null),
            Json::Bool(value) => lark::literal(if *value { yes } else { no }),
            Json::Number(number) => lark::literal(&number.to_string()),
            Json::String(text) => (self.notation.quoted)(text)?,
            Json::Array(values) => {
                let values = between(values.iter().map(|value| self.constant(value)).collect())?;
                format!("\"[\" {values} \"]\"")
            }
            Json::Object(members) => {
                let member = |(key, value): (&String, &Json)| {
                    Some(format!("{} {}", (self.notation.key)(key)?, self.constant(value)?))
                };
                format!("\"{{\" {} \"}}\"", between(members.iter().map(member).collect())?)
            }
        })
    }

    /// The rule of the part that `target` points at. It is written later: references lead as deep as they like.
    fn reference(&mut self, target: &str, place: &str) -> String {
        if let Some(rule) = self.referred.get(target) {
            return rule.clone();
        }
        if target.strip_prefix('#').and_then(|path| self.root.pointer(path)).is_none() {
            return self.anything("$ref", place);
        }
        let rule = self.name("part");
        self.referred.insert(target.to_owned(), rule.clone());
        self.pending.push((rule.clone(), target.to_owned()));
        rule
    }

    /// A part without a type: anything, if it says nothing.
    fn untyped(&mut self, part: &Map<String, Json>, place: &str) -> String {
        // Those that list properties mean objects.
        if part.contains_key("properties") {
            self.known(part, &["object"], place);
            return self.object(part, place);
        }
        match part.keys().find(|keyword| !SILENT.contains(&keyword.as_str())) {
            Some(keyword) => self.anything(keyword, place),
            None => self.notation.any.to_owned(),
        }
    }

    /// Notes keywords that say something of these types and are not kept to.
    fn known(&mut self, part: &Map<String, Json>, names: &[&str], place: &str) {
        for keyword in part.keys().map(String::as_str) {
            let is_about = |name: &&str| match *name {
                "string" => OF_STRINGS.contains(&keyword),
                "number" | "integer" => OF_NUMBERS.contains(&keyword),
                "array" => OF_LISTS.contains(&keyword),
                "object" => OF_OBJECTS.contains(&keyword),
                _ => false,
            };
            let is_of_any = OF_STRINGS.iter().chain(&OF_NUMBERS).chain(&OF_LISTS).chain(&OF_OBJECTS);
            let is_kept = if OF_STRINGS.contains(&keyword) {
                !names.contains(&"string")
            } else {
                names.iter().any(is_about) || is_of_any.into_iter().any(|other| *other == keyword)
            };
            if !is_kept && !SILENT.contains(&keyword) {
                self.miss(keyword, place);
            }
        }
    }

    /// Notes keywords that stand beside `keyword`, which is the only one kept to.
    fn alone(&mut self, keyword: &str, part: &Map<String, Json>, place: &str) {
        let is_other = |other: &&String| *other != keyword && !SILENT.contains(&other.as_str());
        // A type beside constants is looked at with them.
        let is_typed = part.contains_key("type") && !matches!(keyword, "enum" | "const");
        if let Some(other) = part.keys().find(is_other).map(String::as_str).or(is_typed.then_some("type")) {
            self.miss(other, place);
        }
    }

    fn anything(&mut self, keyword: &str, place: &str) -> String {
        self.miss(keyword, place);
        self.notation.any.to_owned()
    }

    /// A rule for `body`.
    fn shared(&mut self, body: &str) -> String {
        if let Some(rule) = self.referred.get(body) {
            return rule.clone();
        }
        let name = self.name("value");
        self.rule(&name, body);
        self.referred.insert(body.to_owned(), name.clone());
        name
    }

    fn name(&mut self, kind: &str) -> String {
        self.n_rules += 1;
        format!("{}_{kind}{}", self.prefix, self.n_rules)
    }

    fn rule(&mut self, name: &str, body: &str) {
        writeln!(self.rules, "{name}: {body}").expect("a string takes everything");
    }
}
