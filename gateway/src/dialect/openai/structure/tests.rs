use impetus_proto::Code;

use super::*;

fn read(fields: &str) -> Result<Option<Asked>, Error> {
    let body = format!("{{{fields}}}");
    structure(&mut Fields::of_body(body.as_bytes()).unwrap(), &mut Ignored::default())
}

#[test]
fn every_spelling_of_a_structure_is_read() {
    let check = |fields: &str, expected: Option<(&str, Kind)>| {
        let asked = read(fields).unwrap_or_else(|error| panic!("{fields}: {error}"));
        let expected = expected.map(|(param, kind)| Asked {
            structure: Structure { structure: Some(kind) },
            param: param.to_owned(),
        });
        assert_eq!(asked, expected, "{fields}");
    };
    let schema = || Kind::JsonSchema(r#"{"type":"object"}"#.to_owned());
    let texts = |texts: &[&str]| {
        Kind::Choices(Choices { texts: texts.iter().map(|&text| text.to_owned()).collect() })
    };
    check("", None);
    check(r#""response_format":null"#, None);
    check(r#""response_format":{"type":"text"}"#, None);
    check(
        r#""response_format":{"type":"json_object"}"#,
        Some(("response_format.type", Kind::JsonObject(true))),
    );
    check(
        r#""response_format":{"type":"json_object","schema":{"type":"object"}}"#,
        Some(("response_format.schema", schema())),
    );
    for nested in [
        r#"{"name":"n","strict":true,"schema":{"type":"object"}}"#,
        r#"{"name":"n","strict":false,"description":"d","schema":{"type":"object"}}"#,
        r#"{"schema":{"type":"object"}}"#,
    ] {
        check(
            &format!(r#""response_format":{{"type":"json_schema","json_schema":{nested}}}"#),
            Some(("response_format.json_schema.schema", schema())),
        );
    }
    check(
        r#""response_format":{"type":"json_schema","name":"n","schema":{"type":"object"}}"#,
        Some(("response_format.schema", schema())),
    );
    check(r#""json_schema":{"type":"object"}"#, Some(("json_schema", schema())));
    check(r#""guided_json":{"type":"object"}"#, Some(("guided_json", schema())));
    check(r#""guided_json":"{\"type\":\"object\"}""#, Some(("guided_json", schema())));
    check(r#""guided_regex":"a+""#, Some(("guided_regex", Kind::Regex("a+".into()))));
    check(r#""regex":"a+""#, Some(("regex", Kind::Regex("a+".into()))));
    check(r#""guided_choice":["a","b"]"#, Some(("guided_choice", texts(&["a", "b"]))));
    check(r#""choice":["a"]"#, Some(("choice", texts(&["a"]))));
    check(
        r#""structured_outputs":{"regex":"a"}"#,
        Some(("structured_outputs.regex", Kind::Regex("a".into()))),
    );
    check(
        r#""structured_outputs":{"json_object":true}"#,
        Some(("structured_outputs.json_object", Kind::JsonObject(true))),
    );
    check(r#""grammar":"""#, None);
    check(r#""grammar":"start: \"a\"""#, Some(("grammar", Kind::Lark("start: \"a\"".into()))));
    check(r#""grammar":"root ::= \"a\"""#, Some(("grammar", Kind::Gbnf("root ::= \"a\"".into()))));
    check(
        r#""guided_grammar":"root ::= \"a\"""#,
        Some(("guided_grammar", Kind::Gbnf("root ::= \"a\"".into()))),
    );
    check(r#""grammar":{"syntax":"regex","definition":"a"}"#, Some(("grammar", Kind::Regex("a".into()))));
    check(r#""grammar":{"syntax":"lark","definition":"a"}"#, Some(("grammar", Kind::Lark("a".into()))));
    check(r#""grammar":{"type":"json","value":{"type":"object"}}"#, Some(("grammar", schema())));
}

#[test]
fn what_is_wrong_is_named() {
    let check = |fields: &str, code: Code, param: &str| {
        let error = read(fields).expect_err(fields);
        assert_eq!((error.code(), error.param.as_str()), (code, param), "{fields}: {error}");
    };
    let invalid = |fields: &str, param: &str| check(fields, Code::InvalidRequest, param);
    invalid(r#""response_format":"json""#, "response_format");
    invalid(r#""response_format":{}"#, "response_format.type");
    invalid(r#""response_format":{"type":"xml"}"#, "response_format.type");
    invalid(
        r#""response_format":{"type":"json_schema","json_schema":{"schema":7}}"#,
        "response_format.json_schema.schema",
    );
    invalid(r#""json_schema":[]"#, "json_schema");
    invalid(r#""guided_json":"not json""#, "guided_json");
    invalid(r#""guided_json":"[]""#, "guided_json");
    invalid(r#""regex":7"#, "regex");
    invalid(r#""choice":[]"#, "choice");
    invalid(r#""choice":[7]"#, "choice");
    invalid(r#""grammar":7"#, "grammar");
    invalid(r#""grammar":{"syntax":"lark"}"#, "grammar.definition");
    invalid(r#""grammar":{"syntax":"bnf","definition":"a"}"#, "grammar.syntax");
    invalid(r#""grammar":{"definition":"a"}"#, "grammar.syntax");
    invalid(r#""regex":"a","choice":["a"]"#, "choice");
    invalid(r#""response_format":{"type":"json_object"},"grammar":"a""#, "grammar");
    check(
        r#""structured_outputs":{"structural_tag":"x"}"#,
        Code::UnsupportedParameter,
        "structured_outputs.structural_tag",
    );
}
