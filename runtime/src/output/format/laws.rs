//! What holds of every format, whatever a model writes.

use proptest::prelude::*;
use serde_json::{Map, Value as Json, json};

use super::{Beginning, Format, Rules, Tags, Template, Tool, named, names};
use crate::{
    output::{Part, part},
    sampling::grammar::MAX_GRAMMAR_BYTES,
};

/// Pieces that texts are made of: tags of formats, and what stands around them.
const PIECES: &[&str] = &[
    "<tool_call>",
    "</tool_call>",
    "<function=f>",
    "<function=",
    "</function>",
    "<parameter=x>",
    "</parameter>",
    "<arg_key>",
    "x",
    "</arg_key>",
    "<arg_value>",
    "</arg_value>",
    "<invoke name=\"f\">",
    "</invoke>",
    "<parameter name=\"x\">",
    "<minimax:tool_call>",
    "</minimax:tool_call>",
    "<seed:tool_call>",
    "<｜DSML｜tool_calls>",
    "<｜DSML｜invoke name=\"f\">",
    "<｜DSML｜parameter name=\"x\" string=\"false\">",
    "<|tool_call|>",
    "<|/tool_call|>",
    "functools",
    "<TOOLCALL>",
    "Action:",
    "```json",
    "\n```",
    "<|START_ACTION|>",
    "<|END_ACTION|>",
    "<|START_RESPONSE|>",
    "<|tool_calls_section_begin|>",
    "<|tool_call_begin|>",
    "functions.f:0",
    "<|tool_call_argument_begin|>",
    "<|tool_call_end|>",
    "<｜tool▁calls▁begin｜>",
    "<｜tool▁call▁begin｜>",
    "function",
    "<｜tool▁sep｜>",
    "<｜tool▁call▁end｜>",
    "<|channel|>",
    "analysis",
    "commentary",
    "final",
    " to=functions.f",
    "<|constrain|>",
    "<|message|>",
    "<|end|>",
    "<|start|>",
    "<|call|>",
    "<|channel>thought",
    "<channel|>",
    "<tool_call|>",
    "call:f{",
    "<|\"|>",
    "<|tools_prefix|>",
    "<|tools_suffix|>",
    "[TOOL_CALLS]",
    "[ARGS]",
    ">>>",
    "all\n",
    "<|python_tag|>",
    "f(x=",
    "'",
    "<think>",
    "</think>",
    "{\"name\": \"f\"",
    ", \"arguments\": ",
    "{",
    "}",
    "[",
    "]",
    "\"",
    ":",
    ",",
    "1",
    "é😀",
    " ",
    "\n",
    "\\",
    "<",
    "f",
];

fn tools() -> Vec<Tool> {
    let parameters = json!({"type": "object", "properties": {"x": {"type": "integer"}}});
    vec![Tool { name: "f".to_owned(), parameters, ..Tool::default() }]
}

fn read<'a>(format: &dyn Format, beginning: &Beginning, pieces: impl Iterator<Item = &'a str>) -> Vec<Part> {
    let (mut parser, mut parts) = (format.parser(beginning), Vec::new());
    for piece in pieces {
        parser.push(piece, &mut parts);
    }
    parser.finish(&mut parts);
    part::joined(parts)
}

fn formats() -> impl Iterator<Item = std::sync::Arc<dyn Format>> {
    names().into_iter().map(|name| named(name, &Template::new("")).unwrap())
}

/// Schemas of which grammars might be far longer than they are.
fn hostile() -> Vec<Json> {
    let properties = |n: usize, schema: &Json| {
        let properties: Map<String, Json> = (0..n).map(|n| (format!("a{n}"), schema.clone())).collect();
        json!({"type": "object", "properties": properties})
    };
    let mut shared = properties(6000, &json!({"type": "integer"}));
    shared["$defs"] = json!({"x": {"description": "x".repeat(128 << 10)}});
    let mut nested = properties(100, &json!({"type": "string"}));
    for _ in 0..8 {
        let list = json!({"type": ["array", "array", "array"], "items": nested});
        nested = json!({"type": "object", "properties": {"x": list}});
    }
    let mut alternatives = properties(60, &json!({"$ref": "#"}));
    alternatives["anyOf"] = json!(vec![json!({"$ref": "#"}); 60]);
    let chain = (0..6000).map(|n| (format!("a{n}"), json!({"$ref": format!("#/$defs/a{}", n + 1)})));
    let mut chained = properties(1, &json!({"$ref": "#/$defs/a0"}));
    chained["$defs"] = Json::Object(chain.chain([("a6000".to_owned(), json!({"type": "null"}))]).collect());
    let tuple = properties(1, &json!({"type": "array", "prefixItems": vec![json!({}); 10_000]}));
    let doubled = (0..40).map(|n| {
        let next = json!({"$ref": format!("#/$defs/a{}", n + 1)});
        (format!("a{n}"), json!({"anyOf": [next, next]}))
    });
    let mut doubling = properties(1, &json!({"$ref": "#/$defs/a0"}));
    doubling["$defs"] =
        Json::Object(doubled.chain([("a40".to_owned(), json!({"type": "string"}))]).collect());
    let wide = properties(20_000, &json!({}));
    let recursive = properties(60, &json!({"$ref": "#"}));
    vec![wide, recursive, shared, nested, alternatives, chained, tuple, doubling]
}

#[test]
fn grammars_are_no_longer_than_their_schemas_by_more_than_a_factor() {
    for parameters in hostile() {
        let bytes = parameters.to_string().len();
        for (strict, required) in [(false, false), (true, false), (false, true)] {
            let tool =
                Tool { name: "f".to_owned(), parameters: parameters.clone(), strict, ..Tool::default() };
            let rules = Rules { tools: vec![tool.clone()], required, ..Rules::default() };
            let beginning = Beginning { tools: vec![tool], ..Beginning::default() };
            for format in formats() {
                let _ = format.unenforced(&rules.tools[0]);
                let lark = format.grammar(&rules, &beginning, &Tags::default()).unwrap_or_default();
                let most = 2 * MAX_GRAMMAR_BYTES + 20 * bytes;
                assert!(lark.len() < most, "{}: {} of {bytes} bytes", format.name(), lark.len());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However an output is cut, and whatever it is, it is read alike.
    #[test]
    fn cuts_change_nothing(pieces in prop::collection::vec(prop::sample::select(PIECES), 0..24), in_text: bool) {
        let whole = pieces.concat();
        for format in formats() {
            for tools in [tools(), Vec::new()] {
                let beginning = Beginning { tools, reasoning_in_text: in_text, ..Beginning::default() };
                let expected = read(&*format, &beginning, std::iter::once(whole.as_str()));
                let by_piece = read(&*format, &beginning, pieces.iter().copied());
                prop_assert_eq!(&by_piece, &expected, "{} by piece: {:?}", format.name(), whole);
                let characters = whole.char_indices().map(|(at, char)| &whole[at..at + char.len_utf8()]);
                let by_character = read(&*format, &beginning, characters);
                prop_assert_eq!(&by_character, &expected, "{} by character: {:?}", format.name(), whole);
            }
        }
    }

    /// Text without tags is text, to the last blank.
    #[test]
    fn text_is_kept(text in "[a-zA-Zäé😀 .,;!?\n]{0,80}") {
        // In Functionary 3.2 it begins an answer.
        prop_assume!(!text.contains("all"));
        for format in formats() {
            let beginning = Beginning { tools: tools(), ..Beginning::default() };
            let expected = if text.is_empty() { Vec::new() } else { vec![Part::Text(text.clone())] };
            let parts = read(&*format, &beginning, std::iter::once(text.as_str()));
            prop_assert_eq!(parts, expected, "{}", format.name());
        }
    }
}
