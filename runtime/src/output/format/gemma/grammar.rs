//! Grammars of calls in Gemma's notation.

use std::fmt::Write;

use serde_json::Value as Json;

use super::{CLOSE, OPEN, QUOTE};
use crate::output::format::{Rules, Tags, Tool, body::Calls, lark};

/// Schemas within schemas that are written out; what is deeper may be anything.
const MAX_DEPTH: usize = 8;

/// Writes the rules of values.
struct Writer<'a> {
    tags: &'a Tags,
    root: &'a Json,
    rules: String,
    /// Objects so far, of all tools.
    objects: usize,
}

/// The grammar of a thought, which the rules `thought` are about, and of an answer in which tools may be called.
pub(super) fn of(rules: &Rules, thought: &str, tags: &Tags) -> Option<String> {
    let quote = tags.lark(QUOTE);
    let mut rest = lark::through("quoted", QUOTE, tags);
    writeln!(
        rest,
        "string: {quote} quoted\nnumber: %json {{\"type\": \"number\"}}\nKEY: /[A-Za-z_][A-Za-z0-9_-]*/\n\
         any: string | number | \"true\" | \"false\" | \"null\" | list | object\n\
         list: \"[\" (any (\",\" any)*)? \"]\"\nobject: \"{{\" (KEY \":\" any (\",\" KEY \":\" any)*)? \"}}\""
    )
    .ok()?;
    let mut objects = 0;
    let mut functions = Vec::new();
    for tool in &rules.tools {
        let mut writer = Writer { tags, root: &tool.parameters, rules: std::mem::take(&mut rest), objects };
        functions.push(function(tool, rules, &mut writer));
        (rest, objects) = (writer.rules, writer.objects);
    }
    writeln!(rest, "rest: \"call:\" ({}) {}", functions.join(" | "), tags.lark(CLOSE)).ok()?;
    Calls { open: OPEN, around: None, between: Some(""), rest }.grammar(thought, rules, tags)
}

fn function(tool: &Tool, rules: &Rules, writer: &mut Writer<'_>) -> String {
    let bound = rules.required || tool.strict;
    let arguments = if bound { writer.object(&tool.parameters, 0) } else { "object".to_owned() };
    format!("{} {arguments}", lark::literal(&tool.name))
}

impl Writer<'_> {
    /// What writes a value of the schema.
    fn value(&mut self, schema: &Json, depth: usize) -> String {
        if depth > MAX_DEPTH {
            return "any".to_owned();
        }
        if let Some(reference) = schema.get("$ref").and_then(Json::as_str) {
            let target = reference.strip_prefix('#').and_then(|path| self.root.pointer(path));
            return target.map_or("any".to_owned(), |target| self.value(target, depth + 1));
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(schemas) = schema.get(keyword).and_then(Json::as_array) {
                let values: Vec<String> =
                    schemas.iter().map(|schema| self.value(schema, depth + 1)).collect();
                return format!("({})", values.join(" | "));
            }
        }
        let listed = schema.get("enum").and_then(Json::as_array).cloned();
        if let Some(values) = listed.or_else(|| schema.get("const").map(|value| vec![value.clone()])) {
            let values: Vec<String> = values.iter().map(|value| self.constant(value)).collect();
            return format!("({})", values.join(" | "));
        }
        match schema.get("type") {
            Some(Json::String(name)) => self.named(name, schema, depth),
            Some(Json::Array(names)) => {
                let names = names.iter().filter_map(Json::as_str);
                let values: Vec<String> = names.map(|name| self.named(name, schema, depth)).collect();
                format!("({})", values.join(" | "))
            }
            _ => "any".to_owned(),
        }
    }

    fn named(&mut self, name: &str, schema: &Json, depth: usize) -> String {
        match name {
            "string" => "string".to_owned(),
            "number" | "integer" => {
                let mut number = schema.clone();
                number["type"] = name.into();
                format!("%json {number}")
            }
            "boolean" => "(\"true\" | \"false\")".to_owned(),
            "null" => "\"null\"".to_owned(),
            "array" => {
                let item = schema.get("items").map_or("any".to_owned(), |items| self.value(items, depth + 1));
                format!("\"[\" ({item} (\",\" {item})*)? \"]\"")
            }
            "object" => self.object(schema, depth),
            _ => "any".to_owned(),
        }
    }

    /// An object whose members are in the order in which templates print them.
    fn object(&mut self, schema: &Json, depth: usize) -> String {
        let listed = schema.get("properties").and_then(Json::as_object).cloned().unwrap_or_default();
        if listed.is_empty() {
            let closed = schema.get("additionalProperties") == Some(&Json::Bool(false));
            return if closed { "\"{\" \"}\"" } else { "object" }.to_owned();
        }
        let idx = self.objects;
        self.objects += 1;
        let mut members: Vec<(&String, &Json)> = listed.iter().collect();
        members.sort_by_key(|(name, _)| name.to_lowercase());
        let required = schema.get("required").and_then(Json::as_array).cloned().unwrap_or_default();
        let mut first = Vec::new();
        let mut may_be_first = true;
        for (at, (name, schema)) in members.iter().enumerate() {
            let value = self.value(schema, depth + 1);
            let is_required = required.iter().any(|other| other == name.as_str());
            let mark = if is_required { "" } else { "?" };
            let (member, behind) = (format!("member{idx}_{at}"), format!("behind{idx}_{}", at + 1));
            let head = lark::literal(&format!("{name}:"));
            write!(
                self.rules,
                "{member}: {head} {value}\nbehind{idx}_{at}: (\",\" {member}){mark} {behind}\n"
            )
            .expect("a string takes everything");
            if may_be_first {
                first.push(format!("{member} {behind}"));
            }
            may_be_first &= !is_required;
        }
        writeln!(self.rules, "behind{idx}_{}: \"\"", members.len()).expect("a string takes everything");
        let mark = if may_be_first { "?" } else { "" };
        format!("\"{{\" ({}){mark} \"}}\"", first.join(" | "))
    }

    fn constant(&self, value: &Json) -> String {
        let quote = self.tags.lark(QUOTE);
        match value {
            Json::String(text) if text.is_empty() => format!("{quote} {quote}"),
            Json::String(text) => format!("{quote} {} {quote}", lark::literal(text)),
            Json::Object(_) | Json::Array(_) => "any".to_owned(),
            _ => lark::literal(&value.to_string()),
        }
    }
}
