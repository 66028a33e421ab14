//! Values of a schema in a notation other than JSON, as rules of a grammar.
//!
//! What is written allows what the schema does or less. Where a keyword cannot be kept to, anything is allowed and the
//! keyword noted, so that whoever has to keep to the schema can refuse it.

mod constant;
mod list;
mod object;

use std::{collections::BTreeMap, fmt::Write};

use serde_json::{Map, Value as Json};

use super::{Unenforced, lark};
use crate::sampling::grammar::{MAX_GRAMMAR_BYTES, schema};

pub(super) use object::Member;

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

/// The place of the whole schema.
const ROOT: &str = "#";

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
