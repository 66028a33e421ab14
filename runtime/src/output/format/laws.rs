//! What holds of every format, whatever a model writes.

use proptest::prelude::*;
use serde_json::json;

use super::{Beginning, Format, Template, Tool, named, names};
use crate::output::{Part, part};

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
