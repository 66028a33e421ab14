//! What grammars of calls in tags keep to.

use serde_json::{Map, Value as Json};

use super::super::{Tool, Unenforced, value::Types};
use super::{Syntax, grammar::texts};
use crate::sampling::grammar::schema;

/// Keywords that say nothing by themselves.
const SILENT: [&str; 3] = ["$defs", "definitions", "x-guidance"];

/// References and alternatives in each other that are looked at.
const MAX_DEPTH: usize = 4;

/// Alternatives that are looked at.
const MAX_BRANCHES: usize = 8;

impl Syntax {
    /// What of the schema of `tool` the grammar does not keep to. Values that are no strings are JSON and all of their
    /// keywords are kept to; a string is any text, or one of those that are listed.
    pub(in super::super) fn unenforced(&self, tool: &Tool) -> Option<Unenforced> {
        let missed = |keyword: &str, place: String| Some(Unenforced { keyword: keyword.to_owned(), place });
        let root = schema::narrow(&tool.parameters).ok()?;
        let part = root.as_object()?;
        let (kept, none) = (["type", "properties", "required", "additionalProperties"], Map::new());
        if let Some(keyword) = other(part, &kept) {
            return missed(keyword, "#".to_owned());
        }
        let properties = part.get("properties").and_then(Json::as_object).unwrap_or(&none);
        if properties.is_empty() && part.get("additionalProperties").is_some_and(Json::is_object) {
            return missed("additionalProperties", "#".to_owned());
        }
        let mut required = part.get("required").and_then(Json::as_array).into_iter().flatten();
        if required.any(|name| name.as_str().is_none_or(|name| !properties.contains_key(name))) {
            return missed("required", "#".to_owned());
        }
        for (name, schema) in properties {
            if name.contains(['\n', self.parameter.1]) || name.trim() != name || name.is_empty() {
                return missed("properties", "#".to_owned());
            }
            let types = Types::of(Some(tool), name);
            if !types.has_strings() {
                continue;
            }
            let written = &tool.parameters["properties"][name];
            match of_text(schema, &root, MAX_DEPTH) {
                None => {}
                Some("enum" | "const") if texts(written, &tool.parameters, types).is_some() => {}
                Some(keyword) => return missed(keyword, format!("#/properties/{name}")),
            }
        }
        None
    }
}

/// The keyword of a schema, which strings are of among others, that a text may break. A text that reads as another of
/// the types is that, so nothing may be said of those. Of lists of values it is `enum` or `const`, if nothing else.
fn of_text<'a>(schema: &'a Json, root: &'a Json, depth: usize) -> Option<&'a str> {
    let Json::Object(part) = schema else { return None };
    let Some(depth) = depth.checked_sub(1) else { return Some("$ref") };
    if part.contains_key("enum") || part.contains_key("const") {
        let listed = if part.contains_key("enum") { "enum" } else { "const" };
        return other(part, &["enum", "const", "type"]).or(Some(listed));
    }
    if let Some(target) = part.get("$ref").and_then(Json::as_str) {
        let target = target.strip_prefix('#').and_then(|path| root.pointer(path));
        let inner = target.map_or(Some("$ref"), |target| of_text(target, root, depth));
        return other(part, &["$ref"]).or(inner);
    }
    if let Some(Json::Array(schemas)) = part.get("anyOf") {
        if schemas.len() > MAX_BRANCHES {
            return Some("anyOf");
        }
        let of_branches: Vec<&str> =
            schemas.iter().filter_map(|schema| of_text(schema, root, depth)).collect();
        let is_list = |keyword: &&&str| matches!(**keyword, "enum" | "const");
        let worst = of_branches.iter().find(|keyword| !is_list(keyword)).or(of_branches.first());
        return other(part, &["anyOf"]).or(worst.copied());
    }
    let has_integers = match part.get("type") {
        Some(Json::Array(names)) => names.iter().any(|name| name == "integer"),
        kind => kind.is_some_and(|kind| kind == "integer"),
    };
    other(part, &["type"]).or(has_integers.then_some("type"))
}

/// A keyword that says something and is none of `kept`.
fn other<'a>(part: &'a Map<String, Json>, kept: &[&str]) -> Option<&'a str> {
    part.keys().map(String::as_str).find(|keyword| !kept.contains(keyword) && !SILENT.contains(keyword))
}
