//! Keywords with a rule of their own.

use std::collections::HashSet;

use serde_json::{Map, Value as Json, json};

use super::{GrammarError, Part, Walk, value};
use crate::sampling::grammar::schema::{format, pattern};

const TYPES: [&str; 7] = ["null", "boolean", "object", "array", "number", "string", "integer"];

/// Items, characters and properties that are counted at most; a grammar that counts further takes long to compile.
const MAX_COUNT: u64 = 100_000;

/// Keywords that apply other schemas to the same value.
const IN_PLACE: [&str; 4] = ["allOf", "anyOf", "oneOf", "$ref"];

impl Walk {
    pub(super) fn rule(&mut self, part: &mut Part, name: &str, value: &Json) -> Result<(), GrammarError> {
        match name {
            "type" => types(part, value),
            "const" | "enum" => constants(part, name, value),
            "$ref" => self.reference(part, value),
            "$schema" | "$id" | "id" | "$anchor" => self.identity(part, name, value),
            "items" | "additionalItems" | "unevaluatedItems" => self.items(part, name, value),
            "minItems" | "maxItems" | "minLength" | "maxLength" | "minProperties" | "maxProperties" => {
                let count = value::check_count(value, name, MAX_COUNT, part.place)?;
                part.write(name, json!(count));
                Ok(())
            }
            "uniqueItems" => unique_items(part, value),
            "required" => required(part, value),
            "propertyNames" => self.property_names(part, value),
            "unevaluatedProperties" => self.unevaluated_properties(part, value),
            "pattern" | "format" => text(part, name, value),
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => {
                number(part, name, value)
            }
            "not" => not(part, value),
            "nullable" if value == &Json::Bool(false) => Ok(()),
            "nullable" => Err(part.place.refused(name, "is not JSON Schema; add \"null\" to `type`")),
            // The three that make keys depend on keys; without any they say nothing.
            _ if value.as_object().is_some_and(Map::is_empty) => Ok(()),
            _ => Err(part.place.refused(name, "cannot be enforced; use anyOf with one schema for each case")),
        }
    }

    fn reference(&mut self, part: &mut Part, value: &Json) -> Result<(), GrammarError> {
        let target = value.as_str().ok_or_else(|| part.place.refused("$ref", "is not a string"))?;
        let reference = self.references.want(target, part.place);
        part.write("$ref", reference);
        Ok(())
    }

    fn identity(&mut self, part: &mut Part, name: &str, value: &Json) -> Result<(), GrammarError> {
        let text = value.as_str().ok_or_else(|| part.place.refused(name, "is not a string"))?;
        match name {
            "$schema" if !text.contains("json-schema.org/") => {
                return Err(part
                    .place
                    .refused(name, "names a dialect that is not one of JSON Schema's drafts"));
            }
            "$schema" => {
                self.is_old = ["draft-03", "draft-04", "draft-06", "draft-07", "2019-09"]
                    .iter()
                    .any(|draft| text.contains(draft));
                if self.is_old && part.has(&["prefixItems"]) {
                    return Err(part
                        .place
                        .refused("prefixItems", "is not a keyword of the draft in `$schema`"));
                }
            }
            "$anchor" => self.references.anchor(text, part.place),
            _ if text.starts_with('#') => self.references.anchor(&text[1..], part.place),
            _ if part.place.from != "#" => {
                return Err(part
                    .place
                    .refused(name, "makes a schema within the schema, which cannot be enforced"));
            }
            _ => {}
        }
        Ok(())
    }

    /// Items by place are `prefixItems` in what is written, whatever the draft calls them.
    fn items(&mut self, part: &mut Part, name: &str, value: &Json) -> Result<(), GrammarError> {
        let by_place = part.schema.get("items").is_some_and(Json::is_array);
        match name {
            "items" if by_place => {
                if part.has(&["prefixItems"]) {
                    return Err(part.place.refused(name, "is a list beside `prefixItems`"));
                }
                if value.as_array().is_some_and(|list| !list.is_empty()) {
                    let list = self.list(value, name, "prefixItems", part.place)?;
                    part.write("prefixItems", list);
                }
            }
            "items" => {
                if self.is_old && part.has(&["prefixItems"]) {
                    return Err(part
                        .place
                        .refused("prefixItems", "is not a keyword of the draft in `$schema`"));
                }
                let items = self.schema(value, &part.place.at(name))?;
                part.write(name, items);
            }
            // About the items behind those by place; about none where all are of one schema.
            "additionalItems" if by_place => {
                let items = self.schema(value, &part.place.moved(name, "items"))?;
                part.write("items", items);
            }
            "additionalItems" => {}
            _ if part.has(&["items"]) && (!by_place || part.has(&["additionalItems"])) => {}
            _ if part.has(&IN_PLACE) || by_place => {
                return Err(part.place.refused(name, "cannot be enforced beside other schemas; use `items`"));
            }
            _ => {
                let items = self.schema(value, &part.place.moved(name, "items"))?;
                part.write("items", items);
            }
        }
        Ok(())
    }

    fn property_names(&mut self, part: &mut Part, value: &Json) -> Result<(), GrammarError> {
        const NAME: &str = "propertyNames";
        let refused = |reason: &str| Err(part.place.refused(NAME, reason));
        let Some(names) = value.as_object() else {
            return if value == &Json::Bool(true) { Ok(()) } else { refused("cannot be enforced") };
        };
        let says = |key: &&String| !matches!(key.as_str(), "type" | "title" | "description" | "$comment");
        let is_text = names.get("type").is_none_or(|kind| kind == "string");
        let keys: Vec<_> = names.keys().filter(says).collect();
        if keys.is_empty() && is_text {
            return Ok(());
        }
        if part.has(&["properties", "patternProperties", "required", "unevaluatedProperties"]) || !is_text {
            return refused("cannot be enforced beside other keywords about properties");
        }
        let any = Json::Bool(true);
        let values = part.schema.get("additionalProperties").unwrap_or(&any);
        let values = self.schema(values, &part.place.at("additionalProperties"))?;
        let written = match keys.as_slice() {
            [key] if *key == "pattern" => {
                let source = names["pattern"].as_str().unwrap_or_default();
                let rust = pattern::translate(source).map_err(|reason| part.place.refused(NAME, reason))?;
                json!({"patternProperties": {rust: values}, "additionalProperties": false})
            }
            [key] if *key == "enum" => {
                let mut properties = Map::new();
                for name in names["enum"].as_array().into_iter().flatten().filter_map(Json::as_str) {
                    value::check_text(name, NAME, part.place)?;
                    properties.insert(name.to_owned(), values.clone());
                }
                json!({"properties": properties, "additionalProperties": false})
            }
            _ => return refused("cannot be enforced; `pattern` or `enum` alone can"),
        };
        part.require(written);
        Ok(())
    }

    fn unevaluated_properties(&mut self, part: &mut Part, value: &Json) -> Result<(), GrammarError> {
        const NAME: &str = "unevaluatedProperties";
        if part.has(&["additionalProperties"]) {
            return Ok(());
        }
        if part.has(&IN_PLACE) {
            let reason = "cannot be enforced beside other schemas; use `additionalProperties`";
            return Err(part.place.refused(NAME, reason));
        }
        let inner = self.schema(value, &part.place.moved(NAME, "additionalProperties"))?;
        part.write("additionalProperties", inner);
        Ok(())
    }
}

fn types(part: &mut Part, value: &Json) -> Result<(), GrammarError> {
    let is_known = |kind: &Json| kind.as_str().is_some_and(|kind| TYPES.contains(&kind));
    let is_valid = match value {
        Json::Array(kinds) => !kinds.is_empty() && kinds.iter().all(is_known),
        kind => is_known(kind),
    };
    if !is_valid {
        return Err(part.place.refused("type", "names no type of JSON"));
    }
    part.write("type", value.clone());
    Ok(())
}

fn constants(part: &mut Part, name: &str, value: &Json) -> Result<(), GrammarError> {
    if name == "enum" && value.as_array().is_none_or(Vec::is_empty) {
        return Err(part.place.refused(name, "is not a list with values in it"));
    }
    value::check_constant(value, name, part.place, 0)?;
    part.write(name, value.clone());
    Ok(())
}

fn unique_items(part: &mut Part, value: &Json) -> Result<(), GrammarError> {
    let at_most_one = part.schema.get("maxItems").and_then(Json::as_u64).is_some_and(|most| most <= 1);
    if value == &Json::Bool(false) || at_most_one {
        return Ok(());
    }
    Err(part.place.refused("uniqueItems", "cannot be enforced while an output is written"))
}

fn required(part: &mut Part, value: &Json) -> Result<(), GrammarError> {
    let names = value.as_array().filter(|names| names.iter().all(Json::is_string));
    let names = names.ok_or_else(|| part.place.refused("required", "is not a list of names"))?;
    for name in names.iter().filter_map(Json::as_str) {
        value::check_text(name, "required", part.place)?;
    }
    let mut known = HashSet::new();
    let distinct = names.iter().filter(|name| known.insert(*name)).cloned().collect();
    part.write("required", Json::Array(distinct));
    Ok(())
}

fn text(part: &mut Part, name: &str, value: &Json) -> Result<(), GrammarError> {
    let text = value.as_str().ok_or_else(|| part.place.refused(name, "is not a string"))?;
    let regex = if name == "pattern" {
        Some(pattern::translate(text).map_err(|reason| part.place.refused(name, reason))?)
    } else {
        format::regex(text).map(|regex| format!("^(?:{regex})$"))
    };
    match regex {
        Some(regex) if part.written.contains_key("pattern") => part.require(json!({"pattern": regex})),
        Some(regex) => part.write("pattern", Json::from(regex)),
        None => {}
    }
    Ok(())
}

fn number(part: &mut Part, name: &str, value: &Json) -> Result<(), GrammarError> {
    // Draft 4 has the exclusive bounds as flags.
    let (limit, flag) = match name {
        "exclusiveMinimum" => (part.schema.get("minimum"), value.as_bool()),
        "exclusiveMaximum" => (part.schema.get("maximum"), value.as_bool()),
        _ => (None, None),
    };
    let value = match (flag, limit) {
        (Some(true), Some(limit)) => limit,
        (Some(_), _) => return Ok(()),
        (None, _) => value,
    };
    let number = value::check_number(value, name, part.place)?;
    if name == "multipleOf" && number <= 0.0 {
        return Err(part.place.refused(name, "is not above zero"));
    }
    part.write(name, value.clone());
    Ok(())
}

/// `not` is honoured where it forbids nothing or everything.
fn not(part: &mut Part, value: &Json) -> Result<(), GrammarError> {
    match value {
        Json::Bool(false) => Ok(()),
        Json::Bool(true) => {
            part.write("not", Json::Bool(true));
            Ok(())
        }
        Json::Object(object) if object.is_empty() => {
            part.write("not", Json::Bool(true));
            Ok(())
        }
        _ => Err(part.place.refused("not", "cannot be enforced while an output is written")),
    }
}
