use impetus_proto::Code;
use serde_json::Value;

use super::*;

fn read(json: &str) -> Result<(Item, Ignored), Error> {
    let mut ignored = Ignored::default();
    let item = Item::read(serde_json::from_str(json).unwrap(), "input[0]".into(), &mut ignored)?;
    Ok((item, ignored))
}

fn said(json: &str) -> Said {
    read(json).unwrap_or_else(|error| panic!("{json}: {error}")).0.said
}

#[test]
fn items_are_what_they_say() {
    let message = |role, text: &str| Said::Message { role, text: text.into(), reasoning: String::new() };
    let check = |json: &str, expected: Said| assert_eq!(said(json), expected, "{json}");
    check(r#"{"role":"user","content":"a"}"#, message("user", "a"));
    check(
        r#"{"type":"message","role":"developer","content":[{"type":"input_text","text":"a"}]}"#,
        message("system", "a"),
    );
    check(
        r#"{"type":"message","role":"assistant","id":"msg_1","status":"completed","content":[
            {"type":"output_text","text":"a","annotations":[],"logprobs":[]},{"type":"refusal","refusal":"b"}]}"#,
        message("assistant", "a\nb"),
    );
    let call = |name: &str, arguments: &str| {
        Said::Call(Call { id: "c1".into(), name: name.into(), arguments: arguments.into() })
    };
    check(
        r#"{"type":"function_call","status":"completed","id":"fc_1","name":"f","arguments":"{}","call_id":"c1"}"#,
        call("f", "{}"),
    );
    check(
        r#"{"type":"function_call","namespace":"n","name":"f","arguments":"","call_id":"c1"}"#,
        call("n__f", ""),
    );
    check(
        r#"{"type":"custom_tool_call","name":"p","input":"x","call_id":"c1"}"#,
        call("p", r#"{"input":"x"}"#),
    );
    let answer = |text: &str| Said::Answer { call_id: "c1".into(), text: text.into() };
    check(r#"{"type":"function_call_output","id":"fco_1","call_id":"c1","output":"42"}"#, answer("42"));
    check(
        r#"{"type":"function_call_output","call_id":"c1","output":[{"type":"input_text","text":"42"}]}"#,
        answer("42"),
    );
    check(r#"{"type":"custom_tool_call_output","call_id":"c1","output":"ok"}"#, answer("ok"));
    check(r#"{"type":"item_reference","id":"msg_1"}"#, Said::Reference("msg_1".into()));
}

#[test]
fn a_thought_comes_back_in_any_of_its_forms() {
    let check = |fields: &str, expected: &str| {
        let json = format!(r#"{{"type":"reasoning","id":"rs_1",{fields}}}"#);
        assert_eq!(said(&json), Said::Thought(expected.into()), "{fields}");
    };
    let sealed = crate::dialect::thought::seal("whole");
    check(r#""summary":[]"#, "");
    check(r#""summary":[{"type":"summary_text","text":"a"},{"type":"summary_text","text":"b"}]"#, "a\nb");
    check(r#""summary":[],"content":[{"type":"reasoning_text","text":"c"}]"#, "c");
    check(&format!(r#""summary":[{{"text":"s"}}],"encrypted_content":"{sealed}""#), "whole");
    check(r#""summary":[{"text":"s"}],"encrypted_content":"gAAAAAB""#, "s");
}

#[test]
fn hosted_items_are_named_and_left_out() {
    for kind in HOSTED {
        let (item, ignored) = read(&format!(r#"{{"type":"{kind}","id":"x_1","action":{{}}}}"#)).unwrap();
        assert_eq!(item.said, Said::Nothing);
        let mut headers = axum::http::HeaderMap::new();
        ignored.write(&mut headers);
        assert_eq!(headers["x-impetus-ignored"], format!("input.{kind}"));
    }
}

#[test]
fn wrong_items_are_named() {
    for (json, param) in [
        ("1", "input[0]"),
        ("{}", "input[0].role"),
        (r#"{"type":"nonsense"}"#, "input[0].type"),
        (r#"{"role":"tool","content":"a"}"#, "input[0].role"),
        (r#"{"role":"user","content":7}"#, "input[0].content"),
        (r#"{"type":"function_call","name":"f","arguments":"{}"}"#, "input[0].call_id"),
        (r#"{"type":"function_call","call_id":"c","name":"f","arguments":{}}"#, "input[0].arguments"),
        (r#"{"type":"function_call_output","call_id":"c"}"#, "input[0].output"),
        (r#"{"type":"function_call_output","output":"x"}"#, "input[0].call_id"),
        (r#"{"type":"item_reference"}"#, "input[0].id"),
        (r#"{"type":"reasoning","summary":{}}"#, "input[0].summary"),
    ] {
        let error = read(json).expect_err(json);
        assert_eq!((error.code(), error.param.as_str()), (Code::InvalidRequest, param), "{json}: {error}");
    }
    for media in ["input_image", "input_file", "input_audio"] {
        let json = format!(
            r#"{{"role":"user","content":[{{"type":"input_text","text":"x"}},{{"type":"{media}","image_url":"data:"}}]}}"#
        );
        let error = read(&json).expect_err(media);
        let expected = (Code::UnsupportedParameter, "input[0].content[1].type");
        assert_eq!((error.code(), error.param.as_str()), expected, "{media}: {error}");
    }
}

#[test]
fn what_is_kept_is_what_the_api_lists() {
    let check = |json: &str, expected: &str| {
        let kept = read(json).unwrap().0.kept;
        let expected = expected.replace("ID", &kept.id);
        assert_eq!(kept.json, serde_json::from_str::<Value>(&expected).unwrap().to_string(), "{json}");
        // What was kept says the same again.
        assert_eq!(said(&kept.json), said(json));
    };
    check(
        r#"{"role":"user","content":"a"}"#,
        r#"{"id":"ID","type":"message","status":"completed","role":"user","content":[{"type":"input_text","text":"a"}]}"#,
    );
    check(
        r#"{"role":"assistant","id":"msg_1","status":"incomplete","content":"a"}"#,
        r#"{"id":"msg_1","type":"message","status":"incomplete","role":"assistant",
            "content":[{"type":"output_text","text":"a","annotations":[]}]}"#,
    );
    check(
        r#"{"type":"function_call","call_id":"c","name":"f","namespace":"n","arguments":"{}"}"#,
        r#"{"id":"ID","type":"function_call","status":"completed","call_id":"c","name":"f","namespace":"n","arguments":"{}"}"#,
    );
    check(
        r#"{"type":"reasoning","summary":[{"type":"summary_text","text":"s"}]}"#,
        r#"{"id":"ID","type":"reasoning","summary":[{"type":"summary_text","text":"s"}]}"#,
    );
    let long = "x".repeat(MAX_ID_BYTES + 1);
    let kept = read(&format!(r#"{{"role":"user","content":"a","id":"{long}"}}"#)).unwrap().0.kept;
    assert!(kept.id.starts_with("msg_"), "{}", kept.id);
}
