use impetus_proto::Code;

use super::*;

fn read(messages: &str) -> Result<(Option<Vec<Message>>, Ignored), Error> {
    let body = format!(r#"{{"messages":{messages}}}"#);
    let mut ignored = Ignored::default();
    let messages = take(&mut Fields::of_body(body.as_bytes()).unwrap(), &mut ignored)?;
    Ok((messages, ignored))
}

#[test]
fn messages_are_what_templates_take() {
    let check = |message: &str, expected: Message| {
        let (messages, ignored) = read(&format!("[{message}]")).unwrap();
        assert_eq!((messages, ignored), (Some(vec![expected]), Ignored::default()), "{message}");
    };
    check(r#"{"role":"user","content":"hi","images":[]}"#, of("user", "hi"));
    check(r#"{"role":"user"}"#, of("user", ""));
    check(r#"{"role":"system","content":"be brief"}"#, of("system", "be brief"));
    check(
        r#"{"role":"assistant","content":"a","thinking":"b"}"#,
        Message { reasoning: "b".into(), ..of("assistant", "a") },
    );
    check(
        r#"{"role":"tool","content":"sun","tool_name":"weather","tool_call_id":"c1"}"#,
        Message { name: "weather".into(), tool_call_id: "c1".into(), ..of("tool", "sun") },
    );
    for arguments in [r#"{"city":"Ulm"}"#, r#""{\"city\":\"Ulm\"}""#] {
        let call = format!(
            r#"{{"role":"assistant","tool_calls":[{{"id":"a1","type":"function","function":{{"index":0,"name":"weather","arguments":{arguments}}}}}]}}"#
        );
        let json = r#"[{"id":"a1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Ulm\"}"}}]"#;
        check(&call, Message { tool_calls_json: json.into(), ..of("assistant", "") });
    }
    assert_eq!(read("[]").unwrap().0, None);
    assert_eq!(read("null").unwrap().0, None);
}

#[test]
fn answers_find_the_calls_that_they_answer() {
    let call = |name: &str, id: &str| format!(r#"{{{id}"function":{{"name":"{name}","arguments":{{}}}}}}"#);
    let check = |calls: &[String], answers: &[&str], expected: &[&str]| {
        let calls = calls.join(",");
        let body = format!(r#"[{{"role":"assistant","tool_calls":[{calls}]}},{}]"#, answers.join(","));
        let messages = read(&body).unwrap().0.unwrap();
        let ids: Vec<&str> = messages[1..].iter().map(|message| message.tool_call_id.as_str()).collect();
        assert_eq!(ids, expected, "{body}");
    };
    let nameless = [call("a", ""), call("b", ""), call("a", "")];
    let (any, a, b) = (
        r#"{"role":"tool","content":"x"}"#,
        r#"{"role":"tool","content":"x","tool_name":"a"}"#,
        r#"{"role":"tool","content":"x","tool_name":"b"}"#,
    );
    check(&nameless, &[any, any, any, any], &["c00000000", "c00000001", "c00000002", ""]);
    check(&nameless, &[b, a, a], &["c00000001", "c00000000", "c00000002"]);
    let named = [call("a", r#""id":"one","#), call("a", r#""id":"two","#)];
    let second = r#"{"role":"tool","content":"x","tool_call_id":"two"}"#;
    check(&named, &[second, a], &["two", "one"]);
    let strange = r#"{"role":"tool","content":"x","tool_call_id":"other"}"#;
    check(&named, &[strange, any], &["other", "one"]);
}

#[test]
fn what_a_preset_says_comes_first() {
    let preset = |system: Option<&str>| Preset {
        name: "p".into(),
        from: "tiny".into(),
        system: system.map(str::to_owned),
        messages: vec![("user".into(), "q".into()), ("assistant".into(), "a".into())],
        options: serde_json::Map::new(),
        license: Vec::new(),
        modelfile: String::new(),
        created_unix_s: 0,
    };
    let check = |preset: Option<Preset>, messages: &[(&str, &str)], expected: &[(&str, &str)]| {
        let messages = messages.iter().map(|(role, content)| of(role, content)).collect();
        let said = after_preset(preset.as_ref(), messages);
        let said: Vec<(&str, &str)> =
            said.iter().map(|message| (message.role.as_str(), message.content.as_str())).collect();
        assert_eq!(said, expected);
    };
    let (user, own) = (("user", "hi"), ("system", "own"));
    check(None, &[user], &[user]);
    check(Some(preset(None)), &[user], &[("user", "q"), ("assistant", "a"), user]);
    check(Some(preset(Some("s"))), &[user], &[("system", "s"), ("user", "q"), ("assistant", "a"), user]);
    check(Some(preset(Some("s"))), &[own, user], &[own, ("user", "q"), ("assistant", "a"), user]);
}

#[test]
fn what_is_wrong_is_named() {
    let check = |messages: &str, code: Code, param: &str| {
        let error = read(messages).expect_err(messages);
        assert_eq!((error.code(), error.param.as_str()), (code, param), "{messages}: {error}");
    };
    let invalid = Code::InvalidRequest;
    check(r#""hi""#, invalid, "messages");
    check("[7]", invalid, "messages[0]");
    check(r#"[{"content":"x"}]"#, invalid, "messages[0].role");
    check(r#"[{"role":"wizard"}]"#, invalid, "messages[0].role");
    check(r#"[{"role":"user","content":7}]"#, invalid, "messages[0].content");
    check(r#"[{"role":"assistant","tool_calls":[{}]}]"#, invalid, "messages[0].tool_calls[0].function");
    check(
        r#"[{"role":"assistant","tool_calls":[{"function":{"name":"a","arguments":7}}]}]"#,
        invalid,
        "messages[0].tool_calls[0].function.arguments",
    );
    check(
        r#"[{"role":"user"},{"role":"user","images":["aGk="]}]"#,
        Code::UnsupportedParameter,
        "messages[1].images",
    );
    let (_, ignored) = read(r#"[{"role":"user","beta":1}]"#).unwrap();
    assert_eq!(format!("{ignored:?}"), r#"Ignored(["messages.beta"])"#);
}
