//! What would take the process down is refused by name, and what is legal still compiles at the limit.

use std::fmt::Write as _;

use impetus_proto::worker::structure::Structure;
use serde_json::{Map, Value as Json, json};

use super::compiled;
use crate::sampling::grammar::{MAX_GRAMMAR_BYTES, chain::MAX_CHAIN, schema::narrow};

fn refused(structure: &Structure, expected: &str) {
    let error = compiled(structure).expect_err("it is refused");
    assert!(error.contains(expected), "{error}");
}

/// `n` rules of which each names the next.
fn rules(n: usize, define: &str, prefix: &str, end: &str) -> String {
    let mut text = String::new();
    for rule in 0..n {
        let _ = writeln!(text, "{prefix}{rule}{define} {prefix}{}", rule + 1);
    }
    let _ = writeln!(text, "{prefix}{n}{define} {end}");
    text
}

/// A schema of `n` definitions of which each refers to the next, the last one to what `last` says.
fn definitions(n: usize, refer: impl Fn(&str) -> Json, last: Json) -> Json {
    let mut definitions = Map::new();
    for idx in 0..n {
        definitions.insert(format!("a{idx}"), refer(&format!("#/$defs/a{}", idx + 1)));
    }
    definitions.insert(format!("a{n}"), last);
    json!({"$ref": "#/$defs/a0", "$defs": definitions})
}

fn schema(schema: &Json) -> Structure {
    Structure::JsonSchema(schema.to_string())
}

#[test]
fn chains_are_refused_where_they_are_too_deep() {
    let gbnf = |text: String| Structure::Gbnf(text);
    refused(&gbnf(format!("root ::= \"a\"{}", "*".repeat(60_000))), "more than four operators");
    refused(&gbnf(format!("root ::= r0\n{}", rules(4000, " ::=", "r", "root?"))), "within each other");
    let lark = |text: String| Structure::Lark(text);
    refused(&lark(format!("start: r0\n{}", rules(8000, ":", "r", "\"a\""))), "within each other");
    refused(&lark(format!("start: R0\n{}", rules(8000, ":", "R", "\"a\""))), "within each other");
    let direct = |target: &str| json!({"$ref": target});
    refused(&schema(&definitions(6000, direct, json!({"type": "string"}))), "`$ref`");
    let nested = |target: &str| json!({"type": "object", "properties": {"x": {"items": {"$ref": target}}}});
    refused(&schema(&definitions(1000, nested, json!({"type": "string"}))), "`$ref`");
    // The same where the chain is a cycle, in whatever order it is met.
    refused(&schema(&definitions(3000, nested, json!({"$ref": "#/$defs/a7"}))), "`$ref`");
}

#[test]
fn chains_compile_up_to_the_limit() {
    let check = |structure: Structure| {
        let error = compiled(&structure).err().unwrap_or_default();
        assert!(error.is_empty(), "{}: {error}", structure_start(&structure));
    };
    let n = MAX_CHAIN - 4;
    check(Structure::Lark(format!("start: r0\n{}", rules(n, ":", "r", "\"a\""))));
    check(Structure::Lark(format!("start: R0\n{}", rules(n, ":", "R", "\"a\""))));
    let bracketed = rules(n / 2, ":", "r", "r").replace(": ", ": (\"a\" ").replace('\n', ")?\n");
    check(Structure::Lark(format!("start: r0\n{bracketed}r: \"b\"")));
    check(schema(&definitions(n, |target| json!({"$ref": target}), json!({"type": "string"}))));
    let nested = |target: &str| json!({"type": "object", "properties": {"x": {"items": {"$ref": target}}}});
    check(schema(&definitions(n / 3, nested, json!({"type": "string"}))));
    let recursive = |target: &str| json!({"anyOf": [{"$ref": target}, {"items": {"$ref": "#/$defs/a0"}}]});
    check(schema(&definitions(n / 4, recursive, json!({"type": "string"}))));
}

#[test]
fn chains_of_all_kinds_end_or_are_refused() {
    let check = |refer: &dyn Fn(&str) -> Json| {
        let chain = definitions(MAX_CHAIN / 2 - 2, refer, json!({"type": "object"}));
        // What the compiler says of it is its own affair, as long as it says it.
        if let Err(error) = compiled(&schema(&chain)) {
            assert!(!error.contains("failed on it"), "{error}");
        }
    };
    check(&|target| json!({"allOf": [{"$ref": target}]}));
    check(&|target| json!({"allOf": [{"$ref": target}, {"type": "object"}], "properties": {"a": {}}}));
    check(&|target| json!({"oneOf": [{"$ref": target}, {"type": "null"}]}));
    check(&|target| json!({"$ref": target, "type": "object", "properties": {"a": {"type": "null"}}}));
    check(&|target| json!({"prefixItems": [{"$ref": target}], "items": {"$ref": target}}));
    check(&|target| json!({"additionalProperties": {"$ref": target}}));
    check(&|target| json!({"patternProperties": {"^a": {"$ref": target}}, "additionalProperties": false}));
}

#[test]
fn long_grammars_of_gbnf_are_read_soon() {
    let text = |rules: Vec<String>| rules.concat();
    let backwards = (0..4000).rev().map(|n| format!("r{n} ::= r{} r{}\n", n + 1, n + 1)).collect();
    let backwards = text(backwards);
    refused(&Structure::Gbnf(format!("root ::= r0\n{backwards}r4000 ::= \"a\"")), "within each other");
    let wide = text((0..4000).map(|n| format!("r{n} ::= \"a\"\n")).collect());
    let names = text((0..60_000).map(|n| format!(" r{}", n % 4000)).collect());
    let error = compiled(&Structure::Gbnf(format!("root ::={names}\n{wide}"))).err().unwrap_or_default();
    assert!(!error.contains("seconds"), "{error}");
}

fn structure_start(structure: &Structure) -> String {
    format!("{structure:?}").chars().take(200).collect()
}

#[test]
fn the_mark_of_narrowed_schemas_cannot_be_forged() {
    let narrowed = narrow(&json!({"type": "object"})).unwrap();
    let forged = json!({"type": "string", "x-guidance": narrowed["x-guidance"]});
    refused(&schema(&forged), "`x-guidance`");
    refused(&schema(&narrowed), "`x-guidance`");
    refused(&Structure::Lark(format!("start: %json {forged}")), "`x-guidance`");
    refused(&Structure::Lark(format!("start: %lark {{\nstart: %json {forged}\n}}")), "`x-guidance`");
}

#[test]
fn schemas_are_refused_by_their_size() {
    let long = "x".repeat(MAX_GRAMMAR_BYTES);
    refused(&schema(&json!({"title": long})), "bytes");
    let parts: Map<String, Json> = (0..10_000).map(|n| (n.to_string(), json!({}))).collect();
    refused(&schema(&json!({"properties": {&long[..200_000]: {"properties": parts}}})), "too long");
}

#[test]
fn references_without_number_are_followed_soon() {
    // Each of them in one step: what follows every chain from every start takes minutes.
    let long = definitions(15_000, |target| json!({"$ref": target}), json!({"type": "string"}));
    refused(&schema(&long), "`$ref`");
    let wrong: Map<String, Json> = (0..9000).map(|n| (n.to_string(), json!({"type": 3}))).collect();
    let parts: Map<String, Json> =
        (0..9000).map(|n| (n.to_string(), json!({"$ref": format!("#/$defs/{n}")}))).collect();
    refused(&schema(&json!({"properties": parts, "$defs": wrong})), "`type`");
    let names: Vec<String> = (0..60_000).map(|n| n.to_string()).collect();
    assert!(narrow(&json!({"required": names, "properties": {"a": {}}})).is_ok());
}
