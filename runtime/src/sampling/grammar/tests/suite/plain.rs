//! Schemas by keyword: each alone, with its like, and at its edges.

use serde_json::{Value as Json, json};

/// All of them.
pub(super) fn schemas() -> Vec<Json> {
    let groups = [
        any(),
        strings(),
        formats(),
        numbers(),
        arrays(),
        objects(),
        combined(),
        references(),
        unenforceable(),
    ];
    groups.into_iter().flatten().collect()
}

fn any() -> Vec<Json> {
    let mut all =
        vec![json!(true), json!({}), json!({"title": "anything", "description": "at all", "examples": [1]})];
    for kind in ["null", "boolean", "object", "array", "number", "string", "integer"] {
        all.push(json!({"type": kind}));
        if kind != "null" {
            all.push(json!({"type": [kind, "null"], "default": null}));
        }
    }
    for value in [
        json!(null),
        json!(true),
        json!(0),
        json!(-3),
        json!(2.5),
        json!("a \"b\"\n"),
        json!([1, [], {}]),
        json!({"b": 1, "a": {"c": [null]}}),
    ] {
        all.push(json!({"const": value}));
        all.push(json!({"enum": [value, "other"]}));
    }
    all.extend([
        json!({"enum": [1, "1", null, false, [1], {"a": 1}]}),
        json!({"type": "string", "enum": ["red", "green", 3]}),
        json!({"type": "integer", "enum": [1, 2, 2.5]}),
        json!({"enum": ["a", "b"], "const": "b"}),
        json!({"enum": ["\u{1f600}", "\u{e9}", "\t"]}),
    ]);
    all
}

fn strings() -> Vec<Json> {
    let mut all = Vec::new();
    for (least, most) in [(0, 0), (0, 1), (1, 1), (2, 5), (10, 20), (0, 300)] {
        all.push(json!({"type": "string", "minLength": least, "maxLength": most}));
    }
    all.push(json!({"type": "string", "minLength": 3}));
    all.push(json!({"maxLength": 3}));
    for pattern in [
        "^a+$",
        "a",
        "^[a-z]{2,4}-[0-9]+$",
        r"^\d{3}$",
        r"^\w+\s\w+$",
        r"\.$",
        "^(?:foo|bar)baz$",
        "^$",
        "x*",
        "^[^\"]*$",
        r"^\S{1,10}$",
        r"^[A-Z][a-z]*(?: [A-Z][a-z]*)*$",
        r"^\u0041\x42$",
        r"^[\w.-]+@[\w.-]+$",
        r"^\p{Lu}\p{Ll}+$",
        "^[&~-]+$",
        r"^\/api\/v[12]\/",
        "^.{3}$",
        "a|b",
        r"^\D\W$",
        "^[[]x[]]$",
        r"^\$\{[a-z]+\}$",
    ] {
        all.push(json!({"type": "string", "pattern": pattern}));
    }
    all.extend([
        json!({"type": "string", "pattern": "^[a-z]*$", "minLength": 2, "maxLength": 6}),
        json!({"pattern": "^x"}),
        json!({"type": "string", "pattern": "a", "allOf": [{"pattern": "b"}, {"pattern": "^[ab]{2,9}$"}]}),
        json!({"type": "string", "contentEncoding": "base64", "contentMediaType": "text/plain"}),
    ]);
    all
}

fn formats() -> Vec<Json> {
    let mut all = Vec::new();
    for format in
        ["date", "time", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"]
    {
        all.push(json!({"type": "string", "format": format}));
        all.push(json!({"format": format}));
        all.push(json!({"type": "array", "items": {"type": "string", "format": format}, "minItems": 1, "maxItems": 2}));
    }
    all.push(json!({"type": "string", "format": "no-such-format"}));
    all.push(json!({"type": "string", "format": "date", "pattern": "^20"}));
    all.push(json!({"type": "string", "format": "uuid", "maxLength": 36}));
    all
}

fn numbers() -> Vec<Json> {
    let mut all = Vec::new();
    for kind in ["integer", "number"] {
        for bounds in [
            json!({"minimum": 0}),
            json!({"maximum": 0}),
            json!({"minimum": -5, "maximum": 5}),
            json!({"exclusiveMinimum": 0}),
            json!({"exclusiveMaximum": -1}),
            json!({"minimum": 17}),
            json!({"exclusiveMinimum": 3, "exclusiveMaximum": 7}),
            json!({"minimum": 10, "maximum": 12}),
            json!({"minimum": 100, "maximum": 1000}),
            json!({"minimum": -1.5, "maximum": 2.25}),
            json!({"minimum": 5, "exclusiveMaximum": 6}),
            json!({"multipleOf": 3}),
            json!({"multipleOf": 7, "minimum": 20, "maximum": 50}),
            json!({"minimum": -9_007_199_254_740_991_i64, "maximum": 9_007_199_254_740_991_i64}),
            json!({"minimum": 0.1, "maximum": 0.2}),
        ] {
            let mut schema = bounds.clone();
            schema["type"] = json!(kind);
            all.push(schema);
        }
    }
    all.extend([
        json!({"type": "number", "multipleOf": 0.5}),
        json!({"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 10}),
        json!({"type": "integer", "multipleOf": 2.5, "minimum": 0, "maximum": 100}),
        json!({"minimum": 3}),
        json!({"type": "integer", "minimum": 5, "maximum": 4}),
        json!({"type": "integer", "maximum": 1e300}),
        json!({"$schema": "http://json-schema.org/draft-04/schema#", "type": "integer", "minimum": 3, "exclusiveMinimum": true, "maximum": 9}),
        json!({"const": 9_007_199_254_740_993_i64}),
    ]);
    all
}

fn arrays() -> Vec<Json> {
    let mut all = Vec::new();
    for items in [
        json!({"type": "integer"}),
        json!({"enum": ["a", "b"]}),
        json!(true),
        json!({"type": "array", "items": {"type": "null"}}),
    ] {
        for (least, most) in [(0, 0), (0, 2), (1, 1), (2, 3), (3, 12)] {
            all.push(json!({"type": "array", "items": items, "minItems": least, "maxItems": most}));
        }
        all.push(json!({"items": items}));
    }
    all.extend([
        json!({"type": "array", "items": false}),
        json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]}),
        json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": false}),
        json!({"type": "array", "prefixItems": [{"const": 1}], "items": {"type": "boolean"}, "minItems": 2}),
        json!({"type": "array", "prefixItems": [{"const": 1}, false], "minItems": 1}),
        json!({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}], "additionalItems": {"type": "null"}}),
        json!({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}], "additionalItems": false, "minItems": 1}),
        json!({"type": "array", "unevaluatedItems": false}),
        json!({"type": "array", "prefixItems": [{"type": "null"}], "unevaluatedItems": {"type": "integer"}}),
        json!({"type": "array", "uniqueItems": false, "maxItems": 2}),
        json!({"type": "array", "uniqueItems": true, "maxItems": 1}),
        json!({"type": "array", "uniqueItems": true}),
        json!({"type": "array", "items": {"type": "integer"}, "minItems": 5, "maxItems": 2}),
    ]);
    all
}

fn objects() -> Vec<Json> {
    let properties = json!({"a": {"type": "integer"}, "b": {"type": "string", "maxLength": 4}, "c d": {"type": ["boolean", "null"]}});
    let mut all = Vec::new();
    for required in [json!([]), json!(["a"]), json!(["b", "c d"]), json!(["a", "b", "c d"]), json!(["z"])] {
        for additional in [json!(null), json!(true), json!(false), json!({"type": "integer"})] {
            let mut schema = json!({"type": "object", "properties": properties, "required": required});
            if !additional.is_null() {
                schema["additionalProperties"] = additional;
            }
            all.push(schema);
        }
    }
    for (least, most) in [(0, 0), (0, 2), (1, 1), (1, 3), (2, 2)] {
        all.push(json!({"type": "object", "minProperties": least, "maxProperties": most}));
        all.push(json!({"properties": properties, "required": ["a"], "minProperties": least, "maxProperties": most, "additionalProperties": false}));
        all.push(json!({"type": "object", "properties": {"a": {"const": 1}}, "required": ["a"], "minProperties": least, "maxProperties": most}));
    }
    all.extend([
        json!({"type": "object", "properties": properties, "additionalProperties": false, "minProperties": 1}),
        json!({"type": "object", "patternProperties": {"^x-": {"type": "integer"}}, "additionalProperties": false}),
        json!({"type": "object", "patternProperties": {"^x": {"type": "integer"}, "^y": {"type": "string"}}}),
        json!({"type": "object", "patternProperties": {"^x": {"type": "integer"}, "y$": {"type": "string"}}}),
        json!({"type": "object", "properties": {"xa": {"maximum": 5}}, "patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": {"type": "null"}}),
        json!({"type": "object", "properties": {"a": true, "b": false}}),
        json!({"type": "object", "properties": {"a": false}, "required": ["a"]}),
        json!({"type": "object", "properties": {"a\"\\/\n\u{e9}": {"type": "null"}}, "required": ["a\"\\/\n\u{e9}"]}),
        json!({"type": "object", "propertyNames": {"type": "string"}, "additionalProperties": {"type": "integer"}}),
        json!({"type": "object", "propertyNames": {"pattern": "^[a-z]{1,5}$"}, "additionalProperties": {"type": "integer"}}),
        json!({"type": "object", "propertyNames": {"enum": ["on", "off"]}, "additionalProperties": {"type": "boolean"}}),
        json!({"type": "object", "propertyNames": {"maxLength": 3}}),
        json!({"type": "object", "properties": properties, "unevaluatedProperties": false}),
        json!({"type": "object", "additionalProperties": {"type": "string"}, "unevaluatedProperties": false}),
        json!({"type": "object", "additionalProperties": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "integer"}}}}),
        json!({"required": ["a"]}),
        json!({"properties": {"$ref": {"type": "integer"}, "type": {"type": "string"}, "items": {"type": "null"}}, "type": "object"}),
        json!({"type": "object", "dependentRequired": {}, "properties": {"a": {"type": "integer"}}}),
        json!({"type": "object", "x-order": 1, "discriminator": {"propertyName": "a"}, "readOnly": true}),
    ]);
    all
}

fn combined() -> Vec<Json> {
    let integer = json!({"type": "integer", "minimum": 1});
    let text = json!({"type": "string", "maxLength": 5});
    let cat = json!({"type": "object", "properties": {"kind": {"const": "cat"}, "lives": {"type": "integer"}}, "required": ["kind", "lives"], "additionalProperties": false});
    let dog = json!({"type": "object", "properties": {"kind": {"const": "dog"}, "good": {"type": "boolean"}}, "required": ["kind"], "additionalProperties": false});
    let mut all = Vec::new();
    for keyword in ["allOf", "anyOf", "oneOf"] {
        for list in [
            json!([integer, text]),
            json!([cat, dog]),
            json!([integer]),
            json!([{"type": "integer"}, {"minimum": 4}]),
            json!([{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]}]),
            json!([true, text]),
            json!([false, text]),
        ] {
            all.push(json!({keyword: list}));
            all.push(json!({"type": "array", "items": {keyword: list}, "maxItems": 2}));
            all.push(json!({"type": "object", "properties": {"v": {keyword: list}}, "required": ["v"]}));
        }
    }
    all.extend([
        json!({"type": "object", "properties": {"a": {"type": "integer"}}, "anyOf": [{"required": ["a"]}, {"required": ["b"]}]}),
        json!({"type": "string", "anyOf": [{"const": "a"}, {"const": "b"}], "maxLength": 1}),
        json!({"oneOf": [{"const": 1}, {"const": 2}, {"type": "string"}]}),
        json!({"oneOf": [{"type": "null"}, {"anyOf": [{"const": "a"}, {"const": "b"}]}]}),
        json!({"allOf": [{"minimum": 2}, {"maximum": 5}, {"type": "integer"}]}),
        json!({"allOf": [{"properties": {"a": {"minimum": 3}}}, {"properties": {"a": {"type": "integer"}}, "required": ["a"]}], "type": "object", "additionalProperties": false}),
        json!({"not": false, "type": "null"}),
        json!({"type": "object", "properties": {"a": {"not": {}}, "b": {"type": "null"}}}),
    ]);
    all
}

fn references() -> Vec<Json> {
    vec![
        json!({"$defs": {"n": {"type": "integer"}}, "type": "array", "items": {"$ref": "#/$defs/n"}}),
        json!({"definitions": {"a/b": {"const": 1}, "c~d": {"const": 2}, "e f": {"const": 3}}, "anyOf": [{"$ref": "#/definitions/a~1b"}, {"$ref": "#/definitions/c~0d"}, {"$ref": "#/definitions/e%20f"}]}),
        json!({"type": "object", "properties": {"value": {"type": "integer"}, "next": {"$ref": "#"}}, "required": ["value"], "additionalProperties": false}),
        json!({"$defs": {"tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/tree"}, "right": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]}}, "additionalProperties": false}}, "$ref": "#/$defs/tree"}),
        json!({"$defs": {"n": {"$anchor": "number", "type": "number", "maximum": 10, "minimum": 0}}, "$ref": "#number"}),
        json!({"$id": "https://example.com/s", "$defs": {"n": {"type": "null"}}, "$ref": "https://example.com/s#/$defs/n"}),
        json!({"$defs": {"n": {"type": "integer"}}, "$ref": "#/$defs/n", "minimum": 5, "maximum": 8}),
        json!({"properties": {"a": {"type": "integer"}, "b": {"$ref": "#/properties/a"}}, "type": "object"}),
        json!({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "integer"}, {"$ref": "#/items/0"}], "additionalItems": false}),
        json!({"patternProperties": {"^\\d$": {"type": "null"}}, "properties": {"x": {"$ref": "#/patternProperties/%5E%5Cd$"}}, "type": "object", "additionalProperties": false}),
        json!({"$defs": {"unused": {"contains": {}}, "used": {"type": "null"}}, "$ref": "#/$defs/used"}),
        json!({"$defs": {"used": {"contains": {}}}, "$ref": "#/$defs/used"}),
        json!({"$ref": "https://example.com/other.json"}),
        json!({"$ref": "#/$defs/missing"}),
        json!({"$ref": "#"}),
        json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}),
        json!({"enum": [{"type": "null"}], "$ref": "#/enum/0"}),
        json!({"$defs": {"a": {"$id": "https://example.com/inner", "type": "null"}}, "$ref": "#/$defs/a"}),
    ]
}

fn unenforceable() -> Vec<Json> {
    let mut all = Vec::new();
    for (keyword, value) in [
        ("not", json!({"type": "null"})),
        ("if", json!({"type": "null"})),
        ("then", json!({})),
        ("else", json!({})),
        ("contains", json!({"type": "null"})),
        ("minContains", json!(2)),
        ("maxContains", json!(2)),
        ("uniqueItems", json!(true)),
        ("dependentRequired", json!({"a": ["b"]})),
        ("dependentSchemas", json!({"a": {"required": ["b"]}})),
        ("dependencies", json!({"a": ["b"]})),
        ("$dynamicRef", json!("#a")),
        ("$recursiveRef", json!("#")),
        ("nullable", json!(true)),
        ("propertyNames", json!({"minLength": 2})),
        ("minProperties", json!(4)),
        ("x-guidance", json!({"lenient": true})),
        ("madeUp", json!(1)),
        ("requierd", json!(["a"])),
        ("divisibleBy", json!(3)),
        ("extends", json!({})),
        ("type", json!("text")),
        ("type", json!([])),
        ("pattern", json!("(?=a)b")),
        ("pattern", json!(r"\bword\b")),
        ("pattern", json!("(")),
        ("pattern", json!(3)),
        ("minLength", json!(-1)),
        ("maxItems", json!("3")),
        ("required", json!("a")),
        ("properties", json!([])),
        ("enum", json!([])),
        ("const", json!("\u{1}")),
        ("anyOf", json!([])),
        ("items", json!(3)),
        ("multipleOf", json!(0)),
        ("minimum", json!("1")),
        ("$schema", json!("https://example.com/dialect")),
        ("maxLength", json!(10_000_000)),
        ("format", json!(1)),
    ] {
        all.push(json!({keyword: value}));
        all.push(json!({"type": "object", "properties": {"inner": {"items": {keyword: value}}}}));
    }
    all
}
