//! Objects that name their properties and do not say whether there may be others: they have no others, since a model
//! that may invent keys does so for ever.
//!
//! What is closed allows less than the schema, and still something: objects that other schemas speak about as well stay
//! open, since each of them may name properties of its own.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value as Json};

use super::{Place, reference};

/// Keywords that say nothing about the value itself.
const SILENT: [&str; 3] = ["type", "$defs", "definitions"];

/// The parts of a schema as it is written, by their places.
#[derive(Default)]
struct Parts {
    /// Objects to be closed.
    open: Vec<String>,
    /// Parts about which others speak too, and so about parts within them.
    shared: Vec<String>,
    /// Parts within each part, in-place ones and references among them.
    within: HashMap<String, Vec<String>>,
}

/// Closes the objects of a written schema.
pub(super) fn close(written: &mut Json) {
    let mut parts = Parts::default();
    parts.visit(written, &Place::root());
    let mut shared = HashSet::new();
    while let Some(place) = parts.shared.pop() {
        if shared.insert(place.clone()) {
            parts.shared.extend(parts.within.remove(&place).unwrap_or_default());
        }
    }
    for place in parts.open.iter().filter(|place| !shared.contains(*place)) {
        if let Some(Json::Object(part)) = written.pointer_mut(&place[1..]) {
            part.insert("additionalProperties".to_owned(), Json::Bool(false));
        }
    }
}

impl Parts {
    fn visit(&mut self, part: &Json, place: &Place) {
        let Json::Object(part) = part else { return };
        if is_open(part) {
            self.open.push(place.to.clone());
        }
        if is_said_by_several(part) {
            self.shared.push(place.to.clone());
        }
        let mut within = Vec::new();
        for (name, value) in part {
            let below = place.at(name);
            let inner: Vec<(Place, &Json)> = match (name.as_str(), value) {
                ("$ref", Json::String(target)) => {
                    within.extend(reference::decoded(target));
                    continue;
                }
                ("items" | "additionalProperties", schema) => vec![(below, schema)],
                ("allOf" | "anyOf" | "oneOf" | "prefixItems", Json::Array(list)) => list
                    .iter()
                    .enumerate()
                    .map(|(idx, schema)| (below.at(&idx.to_string()), schema))
                    .collect(),
                ("properties" | "patternProperties" | "$defs" | "definitions", Json::Object(schemas)) => {
                    schemas.iter().map(|(key, schema)| (below.at(key), schema)).collect()
                }
                _ => continue,
            };
            for (place, schema) in inner {
                self.visit(schema, &place);
                // A definition is part of what refers to it.
                if !matches!(name.as_str(), "$defs" | "definitions") {
                    within.push(place.to);
                }
            }
        }
        self.within.insert(place.to.clone(), within);
    }
}

/// Whether an object names properties, would have others too, and can do without.
fn is_open(part: &Map<String, Json>) -> bool {
    const OTHERS: [&str; 9] = [
        "additionalProperties",
        "patternProperties",
        "allOf",
        "anyOf",
        "oneOf",
        "$ref",
        "const",
        "enum",
        "not",
    ];
    let Some(Json::Object(properties)) = part.get("properties") else { return false };
    let required: Vec<_> = part.get("required").and_then(Json::as_array).into_iter().flatten().collect();
    let is_named = |name: &&Json| name.as_str().is_some_and(|name| properties.contains_key(name));
    let n_possible = properties.values().filter(|schema| **schema != Json::Bool(false)).count();
    let least = part.get("minProperties").and_then(Json::as_u64).unwrap_or(0);
    !OTHERS.iter().any(|name| part.contains_key(*name))
        && required.iter().all(is_named)
        && least <= n_possible as u64
}

/// Whether more than one of a part's keywords is about the same values, so that one of them may need what another would
/// forbid. Alternatives of which exactly one may hold are compared with each other, so they count as several.
fn is_said_by_several(part: &Map<String, Json>) -> bool {
    let is_in_place = |name: &str| matches!(name, "allOf" | "anyOf" | "oneOf" | "$ref" | "const" | "enum");
    let in_place = part.iter().filter(|(name, _)| is_in_place(name));
    let n_in_place: usize = in_place
        .map(|(name, value)| match (name.as_str(), value) {
            ("allOf" | "oneOf", Json::Array(list)) => list.len(),
            _ => 1,
        })
        .sum();
    let speaks_itself = part.keys().any(|name| !SILENT.contains(&name.as_str()) && !is_in_place(name));
    n_in_place > 1
        || (n_in_place > 0 && speaks_itself)
        || (part.contains_key("properties") && part.contains_key("patternProperties"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_are_closed_where_they_stand_alone() {
        let check = |schema: Json, closed: &[&str]| {
            let mut written = schema.clone();
            close(&mut written);
            let mut expected = schema;
            for place in closed {
                expected.pointer_mut(place).unwrap()["additionalProperties"] = json!(false);
            }
            assert_eq!(written, expected);
        };
        let object = || json!({"type": "object", "properties": {"a": {"type": "null"}}});
        check(object(), &[""]);
        check(json!({"properties": {}}), &[""]);
        check(json!({"type": "object"}), &[]);
        check(json!({"properties": {"a": true}, "additionalProperties": true}), &[]);
        check(json!({"properties": {"a": true}, "patternProperties": {"b": true}}), &[]);
        check(json!({"properties": {"a": object()}, "required": ["a"]}), &["", "/properties/a"]);
        check(json!({"properties": {"a": object()}, "required": ["b"]}), &["/properties/a"]);
        check(json!({"properties": {"a": true}, "minProperties": 1}), &[""]);
        check(json!({"properties": {"a": true, "b": false}, "minProperties": 2}), &[]);
        check(json!({"properties": {"a": true}, "const": {"b": 1}}), &[]);
        check(json!({"items": object(), "prefixItems": [object()]}), &["/items", "/prefixItems/0"]);
        check(json!({"additionalProperties": object()}), &["/additionalProperties"]);
        check(json!({"anyOf": [object(), {"type": "null"}]}), &["/anyOf/0"]);
        check(json!({"allOf": [object()]}), &["/allOf/0"]);
    }

    #[test]
    fn objects_that_several_speak_about_stay_open() {
        let check = |schema: Json| {
            let mut written = schema.clone();
            close(&mut written);
            assert_eq!(written, schema);
        };
        let object = |key: &str| json!({"properties": {key: {"properties": {}}}, "required": [key]});
        check(json!({"properties": {"a": object("b")}, "enum": [{"a": {"b": {"c": 1}}}]}));
        check(json!({"allOf": [object("a"), object("b")]}));
        check(json!({"oneOf": [object("a"), object("b")]}));
        check(json!({"anyOf": [object("a"), object("b")], "required": ["c"]}));
        check(json!({"$ref": "#/$defs/one", "allOf": [object("b")], "$defs": {"one": object("a")}}));
        check(json!({
            "allOf": [{"$ref": "#/$defs/one"}, object("b")], "properties": {"c": object("d")},
            "$defs": {"one": {"anyOf": [{"$ref": "#/$defs/two"}]}, "two": object("a")},
        }));
        check(json!({"allOf": [{"$ref": "#/$defs/a~1b%20c"}, true], "$defs": {"a/b c": object("a")}}));
        // What only refers to itself is closed all the same.
        let mut recursive = json!({"properties": {"next": {"$ref": "#"}}});
        close(&mut recursive);
        assert_eq!(recursive["additionalProperties"], json!(false));
    }
}
