use std::sync::Arc;

use impetus_proto::worker::structure::Structure;

use super::to_lark;
use crate::engine::{TokenId, fake::ByteVocabulary};
use crate::sampling::grammar::{Grammars, Source, structure};

fn accepts(gbnf: &str, text: &str) -> bool {
    let grammars = Grammars::new(Arc::new(ByteVocabulary::default()));
    let content = grammars.content(&Structure::Gbnf(gbnf.to_owned())).unwrap();
    let grammar = grammars.compile(&structure::alone(&content), Source::Grammar).unwrap();
    let tokens: Vec<_> = text.bytes().map(|byte| TokenId(byte.into())).collect();
    grammar.accepts(&tokens)
}

const JSON: &str = r#"
root   ::= object
value  ::= object | array | string | number | ("true" | "false" | "null") ws   # any
object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws
array  ::= "[" ws ( value ("," ws value)* )? "]" ws
string ::= "\"" ([^"\\\x7F\x00-\x1F] | "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4}))* "\"" ws
number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws
ws ::= | " " | "\n" [ \t]{0,20}
"#;

#[test]
fn grammars_of_llama_cpp_accept_what_they_say() {
    let check = |gbnf: &str, yes: &[&str], no: &[&str]| {
        for text in yes {
            assert!(accepts(gbnf, text), "{gbnf} refuses {text:?}");
        }
        for text in no {
            assert!(!accepts(gbnf, text), "{gbnf} accepts {text:?}");
        }
    };
    check(r#"root ::= "yes" | "no""#, &["yes", "no"], &["", "maybe", "yesno"]);
    check("root ::= [a-c]+ \"-\"? rest\nrest ::= [^a-z\\n]{2}", &["abc-12", "a12"], &["12", "a1", "abc-1x"]);
    check("root ::= \"(\" root? \")\"", &["()", "(())"], &["(", "())"]);
    check("root ::=\n  \"a\"\n  | \"b\"\n", &["a", "b"], &["ab"]);
    check("root ::= .{2} \"\\u00e9\"", &["ab\u{e9}", "\n\n\u{e9}"], &["a\u{e9}"]);
    check(
        JSON,
        &["{}", "{\"a\": [1, -2.5e3, {\"b\": null}]}", "{\n  \"a\":\"\\u00e9\"}"],
        &["[]", "{a}", "{\"a\"}"],
    );
}

#[test]
fn what_is_wrong_is_said() {
    let check = |gbnf: &str, expected: &str| {
        let error = to_lark(gbnf).unwrap_err().to_string();
        assert!(error.contains(expected), "{gbnf}: {error}");
    };
    check("start ::= \"a\"", "no rule `root`");
    check("root ::= other", "`other`");
    check("root ::= \"a", "does not end at line 1");
    check("root ::= \"a\"\nroot ::= \"b\"", "two rules");
    check("root ::= [a", "class does not end");
    check("root ::= (\"a\"", "`)` is expected");
    check("root ::= \"\\q\"", "escape");
    check("root ::= \"a\"{3000}", "2000");
    check("root ::= !<[3]>", "`!`");
}
