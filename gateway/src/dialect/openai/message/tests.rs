use super::*;

fn read(messages: &str) -> Vec<Message> {
    let body = format!(r#"{{"messages":{messages}}}"#);
    let mut fields = Fields::of_body(body.as_bytes()).unwrap();
    super::messages(&mut fields, &mut Ignored::default())
        .unwrap_or_else(|error| panic!("{messages}: {error}"))
}

#[test]
fn functions_and_their_results_are_calls_of_tools() {
    let messages = read(
        r#"[
            {"role":"user","content":"?"},
            {"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{}"}},
            {"role":"function","name":"f","content":"1"},
            {"role":"assistant","function_call":{"name":"g","arguments":"{}"}},
            {"role":"function","name":"g","tool_call_id":"mine","content":"2"}
        ]"#,
    );
    let call = |id: &str, name: &str| {
        format!(r#"[{{"id":"{id}","type":"function","function":{{"name":"{name}","arguments":"{{}}"}}}}]"#)
    };
    assert_eq!(messages[1].tool_calls_json, call("call00001", "f"));
    assert_eq!((messages[2].role.as_str(), messages[2].tool_call_id.as_str()), ("tool", "call00001"));
    assert_eq!((messages[2].name.as_str(), messages[2].content.as_str()), ("f", "1"));
    assert_eq!(messages[3].tool_calls_json, call("call00003", "g"));
    assert_eq!(messages[4].tool_call_id, "mine");
}

#[test]
fn calls_are_written_in_one_form() {
    let check = |calls: &str, expected: &str| {
        let messages = read(&format!(r#"[{{"role":"assistant","tool_calls":{calls}}}]"#));
        assert_eq!(messages[0].tool_calls_json, expected, "{calls}");
    };
    let expected = r#"[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}]"#;
    check("null", "");
    check("[]", "");
    check(
        r#"[{"type":"function","index":0,"function":{"arguments":"{\"a\": 1}","name":"f"},"id":"c"}]"#,
        expected,
    );
    check(r#"[{"id":"c","function":{"name":"f","arguments":{"a": 1}}}]"#, expected);
    check(
        r#"[{"id":"c","type":"custom","custom":{"name":"f","input":"x"}}]"#,
        r#"[{"id":"c","type":"function","function":{"name":"f","arguments":"{\"input\":\"x\"}"}}]"#,
    );
}

#[test]
fn a_thought_is_apart_from_what_was_said() {
    let check = |fields: &str, content: &str, reasoning: &str| {
        let messages = read(&format!(r#"[{{"role":"assistant",{fields}}}]"#));
        assert_eq!(
            (messages[0].content.as_str(), messages[0].reasoning.as_str()),
            (content, reasoning),
            "{fields}"
        );
    };
    check(r#""content":"a""#, "a", "");
    check(r#""content":"a","reasoning_content":"t""#, "a", "t");
    check(r#""content":"a","reasoning":"t""#, "a", "t");
    check(r#""content":"a","reasoning_content":"t","reasoning":"u""#, "a", "t");
    check(r#""content":[{"type":"thinking","thinking":"t"},{"type":"text","text":"a"}]"#, "a", "t");
    check(r#""content":null,"refusal":"no""#, "no", "");
}
