//! What formats with notations of their own keep to where a function is strict, and what they refuse.

use serde_json::{Value as Json, json};

use super::{Template, Tool, Unenforced, named};

/// A strict function with the argument `x`.
fn tool(schema: &Json) -> Tool {
    let parameters = json!({
        "type": "object", "properties": {"x": schema}, "required": ["x"],
        "$defs": {
            "unit": {"enum": ["c", "f"]},
            "tree": {"type": "object", "properties": {"below": {"type": "array", "items": {"$ref": "#/$defs/tree"}}}},
        },
    });
    Tool { name: "f".to_owned(), parameters, strict: true, ..Tool::default() }
}

#[test]
fn what_cannot_be_kept_to_is_named() {
    let check = |formats: &[&str], schema: Json, expected: Option<&str>| {
        for format in formats {
            let missed = named(format, &Template::new("")).unwrap().unenforced(&tool(&schema));
            let keyword = missed.as_ref().map(|Unenforced { keyword, .. }| keyword.as_str());
            assert_eq!(keyword, expected, "{format}: {schema}");
        }
    };
    let written = ["pythonic", "gemma"];
    let tagged = ["qwen3_coder", "glm", "minimax", "seed_oss", "deepseek_v4"];
    let all = [&written[..], &tagged].concat();
    for schema in [
        json!({"type": "string"}),
        json!({"type": "string", "enum": ["a", "b"], "description": "Which."}),
        json!({"type": ["string", "null"], "enum": ["a", null]}),
        json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
        json!({"type": "integer", "minimum": 1, "maximum": 9}),
        json!({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3}),
        json!({"type": "object", "properties": {"a": {"type": "boolean"}}, "required": ["a"]}),
        json!({"$ref": "#/$defs/tree"}),
        json!({}),
    ] {
        check(&all, schema, None);
    }
    check(&all, json!({"type": "string", "pattern": "^[a-z]+$"}), Some("pattern"));
    check(&all, json!({"type": "string", "format": "date"}), Some("pattern"));
    check(&all, json!({"type": "string", "minLength": 3}), Some("minLength"));
    check(&all, json!({"type": "string", "maxLength": 3}), Some("maxLength"));
    check(&tagged, json!({"type": ["string", "integer"]}), Some("type"));
    check(
        &tagged,
        json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "null"}}]}),
        Some("items"),
    );
    check(&all, json!({"$ref": "#/$defs/unit"}), None);
    check(&all, json!({"anyOf": [{"$ref": "#/$defs/unit"}, {"type": "null"}]}), None);
    check(&tagged, json!({"anyOf": [{"$ref": "#/$defs/unit"}, {"type": "string"}]}), Some("enum"));
    check(&written, json!({"type": ["string", "integer"]}), None);
    check(&written, json!({"allOf": [{"type": "string"}, {"minLength": 1}]}), Some("allOf"));
}
