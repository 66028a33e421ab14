mod suite;
mod vocabularies;

use std::sync::Arc;

use super::*;
use crate::engine::fake::ByteVocabulary;

fn tokens(text: &str) -> Vec<TokenId> {
    text.bytes().map(|byte| TokenId(byte.into())).collect()
}

#[test]
fn a_grammar_accepts_what_it_says() {
    let check = |lark: &str, text: &str, expected: bool| {
        let grammar = super::check(lark, Arc::new(ByteVocabulary::default())).unwrap();
        assert_eq!(grammar.accepts(&tokens(text)), expected, "{lark} on {text:?}");
    };
    check("start: \"a\" /[0-9]+/", "a12", true);
    check("start: \"a\" /[0-9]+/", "a", false);
    check("start: <tool_call> \"x\"", "<tool_call>x", true);
    check("start: <[TOOL]> \"x\"", "[TOOL]x", true);
    check("start: %json {\"type\": \"object\"}", "{\"a\": [1, null]}", true);
}
