use impetus_proto::Code;

use super::*;

fn read(fields: &str) -> Result<Thought, Error> {
    let body = format!("{{{fields}}}");
    thought(&mut Fields::of_body(body.as_bytes()).unwrap(), &mut Ignored::default())
}

#[test]
fn every_spelling_of_a_wish_is_read() {
    let check = |fields: &str, expected: Option<Reasoning>| {
        assert_eq!(read(fields).unwrap().reasoning, expected, "{fields}");
    };
    let enabled = |enabled| Some(Reasoning { enabled: Some(enabled), ..Reasoning::default() });
    let effort =
        |effort: &str| Some(Reasoning { enabled: Some(true), effort: effort.into(), ..Reasoning::default() });
    let budget = |tokens| Some(Reasoning { budget_tokens: Some(tokens), ..Reasoning::default() });
    let in_text = || Some(Reasoning { in_text: true, ..Reasoning::default() });
    check("", None);
    check(r#""reasoning_effort":null"#, None);
    check(r#""reasoning_effort":"none""#, enabled(false));
    for name in ["minimal", "low", "medium", "high", "xhigh", "max"] {
        check(&format!(r#""reasoning_effort":"{name}""#), effort(name));
    }
    check(r#""reasoning":{"effort":"low"}"#, effort("low"));
    check(r#""reasoning":{"enabled":false}"#, enabled(false));
    check(r#""reasoning":{"max_tokens":9}"#, budget(9));
    check(r#""enable_thinking":false"#, enabled(false));
    check(r#""thinking":{"type":"disabled"}"#, enabled(false));
    check(r#""thinking":{"type":"adaptive"}"#, None);
    check(
        r#""thinking":{"type":"enabled","budget_tokens":5}"#,
        Some(Reasoning { enabled: Some(true), ..budget(5).unwrap() }),
    );
    for name in ["thinking_token_budget", "thinking_budget_tokens", "reasoning_budget", "thinking_budget"] {
        check(&format!(r#""{name}":7"#), budget(7));
        check(&format!(r#""{name}":0"#), budget(0));
        check(&format!(r#""{name}":-1"#), None);
    }
    check(r#""thinking_budget":7,"reasoning_budget":3"#, budget(3));
    check(r#""chat_template_kwargs":{"enable_thinking":false}"#, enabled(false));
    check(r#""chat_template_kwargs":{"thinking":true}"#, enabled(true));
    check(r#""reasoning_format":"none""#, in_text());
    check(r#""reasoning_format":"deepseek""#, None);
    check(r#""separate_reasoning":false"#, in_text());
}

#[test]
fn a_thought_may_be_hidden() {
    let check =
        |fields: &str, expected: bool| assert_eq!(read(fields).unwrap().is_hidden, expected, "{fields}");
    check("", false);
    check(r#""include_reasoning":true"#, false);
    check(r#""include_reasoning":false"#, true);
    check(r#""reasoning_format":"hidden""#, true);
    check(r#""reasoning":{"exclude":true}"#, true);
}

#[test]
fn template_variables_go_to_the_template_as_they_are() {
    let check = |kwargs: &str, expected: &str| {
        let thought = read(&format!(r#""chat_template_kwargs":{kwargs}"#)).unwrap();
        assert_eq!(thought.template_arguments_json, expected, "{kwargs}");
    };
    check("null", "");
    check("{}", "");
    check("{ }", "");
    check(r#"{"enable_thinking":false,"x":[1]}"#, r#"{"enable_thinking":false,"x":[1]}"#);
}

#[test]
fn what_is_wrong_is_named() {
    let check = |fields: &str, code: Code, param: &str| {
        let error = read(fields).expect_err(fields);
        assert_eq!((error.code(), error.param.as_str()), (code, param), "{fields}: {error}");
    };
    let invalid = |fields: &str, param: &str| check(fields, Code::InvalidRequest, param);
    invalid(r#""reasoning_effort":"much""#, "reasoning_effort");
    invalid(r#""reasoning_effort":3"#, "reasoning_effort");
    invalid(r#""reasoning":"high""#, "reasoning");
    invalid(r#""thinking":{"type":"on"}"#, "thinking.type");
    invalid(r#""thinking_budget":-2"#, "thinking_budget");
    invalid(r#""chat_template_kwargs":[]"#, "chat_template_kwargs");
    invalid(r#""chat_template_kwargs":{"enable_thinking":"no"}"#, "chat_template_kwargs.enable_thinking");
    invalid(r#""include_reasoning":1"#, "include_reasoning");
    check(r#""reasoning_format":"deepseek-legacy""#, Code::UnsupportedParameter, "reasoning_format");
}
