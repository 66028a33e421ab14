mod bounds;
mod suite;
mod vocabularies;

use std::sync::Arc;

use impetus_proto::worker::{Choices, structure::Structure};

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

#[test]
fn what_an_answer_begins_with_may_have_tokens_that_are_never_chosen() {
    let grammar = super::check("start: \"a\" / +/ \"b\"", Arc::new(vocabularies::Spaces::default())).unwrap();
    let mut constraint = grammar.begin(false);
    let spaces = vocabularies::Spaces::TOKEN;
    constraint.replay(&[TokenId(b'a'.into()), spaces]).unwrap();
    let mut logits = vec![0.0; 258];
    constraint.mask(&mut logits).unwrap();
    let allowed: Vec<usize> = (0..258).filter(|&idx| logits[idx] == 0.0).collect();
    assert_eq!(allowed, [usize::from(b' '), usize::from(b'b')]);
}

/// What `structure` compiles to, or the words of its refusal.
fn compiled(structure: &Structure) -> Result<Grammar, String> {
    let grammars = Grammars::new(Arc::new(ByteVocabulary::default()));
    let source = Source::of(structure);
    let content = grammars.content(structure).map_err(|error| error.to_string())?;
    grammars.compile(&structure::alone(&content), source).map_err(|error| error.to_string())
}

#[test]
fn regexes_choices_and_grammars_accept_what_they_say() {
    let check = |structure: Structure, yes: &[&str], no: &[&str]| {
        let grammar = compiled(&structure).unwrap();
        for text in yes {
            assert!(grammar.accepts(&tokens(text)), "{structure:?} refuses {text:?}");
        }
        for text in no {
            assert!(!grammar.accepts(&tokens(text)), "{structure:?} accepts {text:?}");
        }
    };
    let regex = |regex: &str| Structure::Regex(regex.to_owned());
    check(regex("^[a-z]+/[0-9]{2}$"), &["ab/12"], &["ab/1", "ab/123"]);
    check(regex("(yes|no)!?"), &["yes", "no!"], &["maybe", "yes!!"]);
    check(regex("a*"), &["", "aa"], &["b"]);
    check(regex(""), &[""], &["a"]);
    check(regex(r"\w+\n"), &["ab\n"], &["ab"]);
    let choices = |texts: &[&str]| {
        Structure::Choices(Choices { texts: texts.iter().map(ToString::to_string).collect() })
    };
    check(choices(&["a", "ab", "c\"d\u{7f}"]), &["a", "ab", "c\"d\u{7f}"], &["", "b", "abc"]);
    check(choices(&["", "x"]), &["", "x"], &["xx"]);
    let lark = |lark: &str| Structure::Lark(lark.to_owned());
    check(lark("start: A B?\nA: \"a\"\nB: /b+/ // content"), &["a", "abb"], &["b"]);
    check(lark("start: %json {\"type\": \"integer\"} \";\""), &["12;"], &["12"]);
    check(Structure::JsonObject(true), &["{}", "{\"a\": 1}"], &["[]", "1"]);
}

#[test]
fn what_cannot_be_enforced_is_refused_with_a_reason() {
    let check = |structure: Structure, expected: &str| {
        let error = compiled(&structure).unwrap_err();
        assert!(error.contains(expected), "{structure:?}: {error}");
    };
    let (lark, regex) =
        (|text: &str| Structure::Lark(text.to_owned()), |text: &str| Structure::Regex(text.to_owned()));
    check(lark("start: <|no_such_token|>"), "`<|no_such_token|>`");
    check(lark("begin: \"a\""), "start");
    check(lark("start: %json {\"contains\": {}}"), "`contains`");
    check(lark("start: \"a\" }\nother: %lark {\nstart: \"b\""), "cannot be enforced");
    check(regex("(?=a)b"), "look-around");
    check(regex("a\\"), "backslash");
    check(regex("("), "regular expression");
    check(Structure::Choices(Choices::default()), "empty");
    check(Structure::JsonSchema("{".to_owned()), "JSON");
    check(Structure::JsonSchema("false".to_owned()), "nothing satisfies");
}

#[test]
fn hostile_grammars_are_refused_or_cheap() {
    let nested = |open: &str, middle: &str, close: &str| {
        format!("{}{middle}{}", open.repeat(5000), close.repeat(5000))
    };
    let check = |structure: Structure| {
        // What compiles has to give its first mask.
        if let Ok(grammar) = compiled(&structure) {
            assert!(grammar.begin(false).mask(&mut [0.0; 257]).is_ok());
        }
    };
    check(Structure::Lark(nested("start: (", "\"a\"", ")")));
    check(Structure::Lark(format!("start: {}", "\"a\"? ".repeat(20_000))));
    check(Structure::Lark("start: start start | \"a\"".to_owned()));
    check(Structure::Lark("start: A{0,1000000}\nA: \"a\"".to_owned()));
    check(Structure::Lark("a".repeat(MAX_GRAMMAR_BYTES + 1)));
    check(Structure::Regex(nested("(", "a", ")")));
    check(Structure::Regex("((a{1000}){1000}){1000}".to_owned()));
    check(Structure::Regex("(a|aa|aaa|b)*[ab]{500}c".to_owned()));
    check(Structure::JsonSchema(nested("{\"items\":", "{}", "}")));
    check(Structure::JsonSchema(
        serde_json::json!({"type": "string", "maxLength": 100_000, "minLength": 99_999}).to_string(),
    ));
    check(Structure::JsonSchema(
        serde_json::json!({"items": {"type": "null"}, "minItems": 100_000}).to_string(),
    ));
    let wide: serde_json::Map<String, serde_json::Value> =
        (0..3000).map(|n| (format!("p{n}"), serde_json::json!({"type": "integer"}))).collect();
    check(Structure::JsonSchema(serde_json::json!({"type": "object", "properties": wide}).to_string()));
    let doubled = (0..40).fold(
        serde_json::json!({"type": "null"}),
        |inner, _| serde_json::json!({"anyOf": [inner, {"$ref": "#"}]}),
    );
    check(Structure::JsonSchema(doubled.to_string()));
    check(Structure::Gbnf(format!("root ::= {}", nested("(", "\"a\"", ")"))));
    check(Structure::Gbnf("root ::= root root | \"a\"".to_owned()));
    check(Structure::Gbnf("root ::= (((\"a\"{2000}){2000}){2000}){2000}".to_owned()));
}
