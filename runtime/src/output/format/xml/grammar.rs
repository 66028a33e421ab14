//! Grammars of calls whose arguments stand in tags.

use std::{collections::HashSet, fmt::Write};

use serde_json::{Map, Value as Json};

use super::super::{Rules, Tags, Tool, body::Calls, lark, value, value::Types};
use super::{Syntax, Typing};
use crate::sampling::grammar::MAX_GRAMMAR_BYTES;

/// References and alternatives in each other that are followed for the values that they list.
const MAX_DEPTH: usize = 3;

/// Alternatives that are looked at for the values that they list.
const MAX_ALTERNATIVES: usize = 8;

impl Syntax {
    /// The grammar of an answer in which tools may be called, behind a thought that the rules `thought` are about.
    pub(in super::super) fn grammar(&self, thought: &str, rules: &Rules, tags: &Tags) -> Option<String> {
        let mut rest = self.value_rule(tags);
        let functions: Vec<String> = (0..rules.tools.len()).map(|idx| format!("function{idx}")).collect();
        for (name, tool) in functions.iter().zip(&rules.tools) {
            if is_too_long(&rest) {
                break;
            }
            writeln!(rest, "{name}: {}", self.function(tool, rules, tags)).ok()?;
        }
        let functions = format!("({})", functions.join(" | "));
        let functions = if self.several { lark::calls(&functions, "\"\\n\"", rules) } else { functions };
        let close = tags.lark(self.close);
        match (self.function.0, self.several) {
            ("", _) => writeln!(rest, "rest: {functions}"),
            _ => writeln!(rest, "rest: \"\\n\" {functions} \"\\n\" {close}"),
        }
        .ok()?;
        let between = (!self.several).then_some("\n");
        let shapes = self.bare(&rules.tools);
        Calls { open: self.open, around: None, between, direct: false, rest, shapes }
            .grammar(thought, rules, tags)
    }

    /// The beginnings of calls without the outer tag, as regular expressions.
    fn bare(&self, tools: &[Tool]) -> Vec<String> {
        let (before, _, behind) = self.function;
        if before.is_empty() {
            return Vec::new();
        }
        let names: Vec<String> = tools.iter().map(|tool| lark::regex(&tool.name)).collect();
        vec![format!("{}\\s*({})\\s*{}", lark::regex(before), names.join("|"), lark::regex(behind))]
    }

    /// A function's name, its arguments, and the tag behind them.
    fn function(&self, tool: &Tool, rules: &Rules, tags: &Tags) -> String {
        let (before, _, behind) = self.function;
        let mut rule = format!("{} {}", tags.lark(&format!("{before}{}", tool.name)), lark::literal(behind));
        rule.push_str(if behind.ends_with('\n') { "" } else { " \"\\n\"" });
        let listed = tool.parameters.get("properties").and_then(Json::as_object);
        let is_bound = |listed: &&Map<_, _>| {
            rules.bind(tool) && (!listed.is_empty() || value::is_closed(&tool.parameters))
        };
        if let Some(listed) = listed.filter(is_bound) {
            let required = tool.parameters.get("required").and_then(Json::as_array);
            let required: HashSet<&str> = required.into_iter().flatten().filter_map(Json::as_str).collect();
            for (name, schema) in listed {
                if is_too_long(&rule) {
                    break;
                }
                let argument = self.listed(tool, name, schema, tags);
                let mark = if required.contains(name.as_str()) { "" } else { "?" };
                write!(rule, " ({argument}){mark}").expect("a string takes everything");
            }
        } else {
            let key = format!("/[^{}\\n]{{1,64}}/", lark::regex(&self.parameter.1.to_string()));
            let any = format!("%json {{}} {}", self.value_tags(tags));
            let argument = self.typed().map(|(tag, typing)| {
                self.rule(&key, tag, if *typing == Typing::Json { &any } else { "value" }, tags)
            });
            let argument = argument.collect::<Vec<_>>().join(" | ");
            write!(rule, " ({argument})*").expect("a string takes everything");
        }
        format!("{rule} {}", tags.lark(self.function_end))
    }

    /// The argument `name`, with a value of the schema.
    fn listed(&self, tool: &Tool, name: &str, schema: &Json, tags: &Tags) -> String {
        let types = Types::of(Some(tool), name);
        let key = lark::literal(name);
        let json =
            || format!("%json {} {}", with_definitions(schema, &tool.parameters), self.value_tags(tags));
        let text = match texts(schema, &tool.parameters, types) {
            Some(texts) => format!("({}) {}", texts.join(" | "), self.value_tags(tags)),
            None => "value".to_owned(),
        };
        let rule = |(tag, typing): &(&str, Typing)| match typing {
            Typing::Schema if types.has_strings() => Some(self.rule(&key, tag, &text, tags)),
            Typing::Schema => Some(self.rule(&key, tag, &json(), tags)),
            Typing::Text => types.has_strings().then(|| self.rule(&key, tag, &text, tags)),
            Typing::Json => (!types.only_strings()).then(|| self.rule(&key, tag, &json(), tags)),
        };
        self.typed().filter_map(rule).collect::<Vec<_>>().join(" | ")
    }

    /// An argument whose value, and the tag behind that, are `value`.
    fn rule(&self, key: &str, typed: &str, value: &str, tags: &Tags) -> String {
        let mut rule = format!("{} {key} {}", tags.lark(self.parameter.0), tags.lark(typed));
        if !self.value.is_empty() {
            write!(rule, " \"\\n\" {}", tags.lark(self.value)).expect("a string takes everything");
        }
        let line = if self.lines { " \"\\n\"" } else { "" };
        format!("{rule}{line} {value} \"\\n\"")
    }

    /// What may stand behind an argument's name; where it can say the type, what does.
    fn typed(&self) -> impl Iterator<Item = &(&'static str, Typing)> {
        self.typed.iter().filter(|(_, typing)| self.typed.len() == 1 || *typing != Typing::Schema)
    }

    /// What stands behind a value.
    fn value_tags(&self, tags: &Tags) -> String {
        let line = if self.lines { "\"\\n\" " } else { "" };
        format!("{line}{}", tags.lark(self.value_end))
    }

    /// The rule `value`: any text, through the tag behind it.
    fn value_rule(&self, tags: &Tags) -> String {
        if self.lines && !tags.is_control(self.value_end) {
            // The parser takes the first of these tags, on a line of its own or not.
            let earlier = format!("{}(?s:.)", lark::regex(self.value_end));
            return lark::through_without("value", &format!("\n{}", self.value_end), &[earlier], tags);
        }
        lark::through("value", self.value_end, tags)
    }
}

/// What is longer than any grammar may be is refused, so that it need not be written to its end.
fn is_too_long(text: &str) -> bool {
    text.len() > MAX_GRAMMAR_BYTES
}

/// The texts that a part of the schema `root` lists, as they are written bare, without those that would be read as
/// something else; none if it does not list any, or values that have no one spelling.
pub(super) fn texts(schema: &Json, root: &Json, types: Types) -> Option<Vec<String>> {
    let listed = values(schema, root, MAX_DEPTH)?;
    let mut texts = Vec::new();
    for value in &listed {
        let text = match value {
            Json::String(text) => text.clone(),
            Json::Array(_) | Json::Object(_) => return None,
            value => value.to_string(),
        };
        let read: Option<Json> = serde_json::from_str(&types.json(&text)).ok();
        if read.is_some_and(|read| listed.contains(&read)) {
            texts.push(lark::literal(&text));
        }
    }
    (!texts.is_empty()).then_some(texts)
}

/// The values that a part of the schema `root` lists, in alternatives or where it refers to as well.
fn values(schema: &Json, root: &Json, depth: usize) -> Option<Vec<Json>> {
    let depth = depth.checked_sub(1)?;
    if let Some(target) = schema.get("$ref").and_then(Json::as_str) {
        return values(root.pointer(target.strip_prefix('#')?)?, root, depth);
    }
    match (schema.get("enum"), schema.get("const"), schema.get("anyOf"), schema.get("type")) {
        (Some(Json::Array(listed)), ..) => Some(listed.clone()),
        (_, Some(value), ..) => Some(vec![value.clone()]),
        (_, _, Some(Json::Array(schemas)), _) if schemas.len() <= MAX_ALTERNATIVES => {
            let listed: Option<Vec<_>> = schemas.iter().map(|schema| values(schema, root, depth)).collect();
            Some(listed?.concat())
        }
        (.., Some(Json::String(kind))) if kind == "null" => Some(vec![Json::Null]),
        _ => None,
    }
}

/// A schema that stands by itself: with what it may refer to in the schema that it is part of.
fn with_definitions(schema: &Json, root: &Json) -> Json {
    let Json::Object(schema) = schema else { return Json::Object(Map::new()) };
    let mut schema = schema.clone();
    for keyword in ["$defs", "definitions"] {
        if let Some(definitions) = root.get(keyword) {
            schema.entry(keyword).or_insert_with(|| definitions.clone());
        }
    }
    Json::Object(schema)
}
