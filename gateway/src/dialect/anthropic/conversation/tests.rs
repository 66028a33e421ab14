use impetus_proto::Code;

use super::*;
use crate::dialect::thought;

fn read(body: &str) -> Result<Conversation, Error> {
    take(&mut Fields::of_body(body.as_bytes()).unwrap(), &mut Ignored::default())
}

fn of(body: &str) -> Vec<Message> {
    read(body).unwrap_or_else(|error| panic!("{body}: {error}")).messages
}

/// Role, content and thought of each message.
fn told(body: &str) -> Vec<(String, String, String)> {
    of(body).into_iter().map(|message| (message.role, message.content, message.reasoning)).collect()
}

fn told_as(expected: &[(&str, &str, &str)]) -> Vec<(String, String, String)> {
    let owned = |(role, content, reasoning): &(&str, &str, &str)| {
        ((*role).to_owned(), (*content).to_owned(), (*reasoning).to_owned())
    };
    expected.iter().map(owned).collect()
}

#[test]
fn one_conversation_is_the_same_in_every_form() {
    let check = |body: &str, expected: &[(&str, &str, &str)]| {
        assert_eq!(told(body), told_as(expected), "{body}");
    };
    check(r#"{"messages":[{"role":"user","content":"a"}]}"#, &[("user", "a", "")]);
    check(r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]}"#, &[("user", "a", "")]);
    check(
        r#"{"system":"s","messages":[{"role":"user","content":[{"type":"text","text":"a","citations":null},
            {"type":"text","text":"b","cache_control":{"type":"ephemeral"}}]},{"role":"user","content":"c"}]}"#,
        &[("system", "s", ""), ("user", "a\nb\nc", "")],
    );
    check(
        r#"{"system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=2.1.329.cb6; x"},
            {"type":"text","text":"s"},{"type":"text","text":"t","cache_control":{"type":"ephemeral"}}],
            "messages":[{"role":"user","content":"a"}]}"#,
        &[("system", "s\nt", ""), ("user", "a", "")],
    );
}

#[test]
fn instructions_in_the_midst_stand_where_they_change_nothing_that_was_computed() {
    let first = r#"{"role":"user","content":"a"},{"role":"system","content":[{"type":"text","text":"env"}]}"#;
    let then = r#"{"role":"assistant","content":"b"},{"role":"user","content":"c"},{"role":"system","content":"now"}"#;
    let begun = [("system", "s\nenv", ""), ("user", "a", "")];
    let body = |messages: &str| format!(r#"{{"system":"s","messages":[{messages}]}}"#);
    assert_eq!(told(&body(first)), told_as(&begun));
    let whole = told(&body(&format!("{first},{then}")));
    assert_eq!(whole[..2], told_as(&begun));
    assert_eq!(whole[2..], told_as(&[("assistant", "b", ""), ("user", "c\n<system>\nnow\n</system>", "")]));
}

#[test]
fn our_own_answers_come_back_as_they_were() {
    let sealed = thought::seal("deep");
    let messages = of(&format!(
        r#"{{"messages":[{{"role":"user","content":"?"}},{{"role":"assistant","content":[
            {{"type":"thinking","thinking":"shown ","signature":"impetus1."}},
            {{"type":"thinking","thinking":"","signature":"{sealed}"}},
            {{"type":"redacted_thinking","data":"x"}},{{"type":"text","text":"one "}},
            {{"type":"tool_use","id":"toolu_abc","name":"f","input":{{"a": 1}},"caller":{{"type":"direct"}}}},
            {{"type":"text","text":"two"}},{{"type":"tool_use","id":"mine","name":"g","input":{{}}}}]}},
            {{"role":"user","content":[
            {{"type":"tool_result","tool_use_id":"toolu_abc","content":"r"}},
            {{"type":"tool_result","tool_use_id":"mine","is_error":true,"content":[{{"type":"text","text":"x"}},{{"type":"text","text":"y"}}]}},
            {{"type":"text","text":"go on"}}]}}]}}"#
    ));
    let assistant = &messages[1];
    assert_eq!((assistant.content.as_str(), assistant.reasoning.as_str()), ("one two", "shown deep"));
    assert_eq!(
        assistant.tool_calls_json,
        r#"[{"id":"abc","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}},{"id":"mine","type":"function","function":{"name":"g","arguments":"{}"}}]"#
    );
    let tool = |message: &Message| {
        (message.role.clone(), message.tool_call_id.clone(), message.name.clone(), message.content.clone())
    };
    let text = str::to_owned;
    assert_eq!(tool(&messages[2]), (text("tool"), text("abc"), text("f"), text("r")));
    assert_eq!(tool(&messages[3]), (text("tool"), text("mine"), text("g"), text("Error: x\ny")));
    assert_eq!((messages[4].role.as_str(), messages[4].content.as_str()), ("user", "go on"));
    assert_eq!(messages.len(), 5);
}

#[test]
fn an_answer_that_has_begun_is_continued() {
    let check = |last: &str, expected: bool| {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"?"}},{last}]}}"#);
        assert_eq!(read(&body).unwrap().continue_last, expected, "{last}");
    };
    check(r#"{"role":"assistant","content":"The answer is"}"#, true);
    check(r#"{"role":"assistant","content":""}"#, false);
    check(r#"{"role":"user","content":"!"}"#, false);
    check(r#"{"role":"assistant","content":[{"type":"tool_use","id":"a","name":"f","input":{}}]}"#, false);
}

#[test]
fn what_cannot_be_read_is_refused_by_name() {
    let check = |content: &str, code: Code, param: &str| {
        let body = format!(r#"{{"messages":[{{"role":"user","content":{content}}}]}}"#);
        let error = read(&body).expect_err(&body);
        assert_eq!((error.code(), error.param.as_str()), (code, param), "{content}: {error}");
    };
    let (unsupported, invalid) = (Code::UnsupportedParameter, Code::InvalidRequest);
    for kind in super::super::block::UNOFFERED {
        check(&format!(r#"[{{"type":"{kind}"}}]"#), unsupported, "messages[0].content[0].type");
    }
    check(
        r#"[{"type":"tool_result","tool_use_id":"a","content":[{"type":"image","source":{}}]}]"#,
        unsupported,
        "messages[0].content[0].content[0].type",
    );
    check("null", invalid, "messages[0].content");
    check("7", invalid, "messages[0].content");
    check("[7]", invalid, "messages[0].content[0]");
    check("[{}]", invalid, "messages[0].content[0].type");
    check(r#"[{"type":"news"}]"#, invalid, "messages[0].content[0].type");
    check(r#"[{"type":"text"}]"#, invalid, "messages[0].content[0].text");
    check(r#"[{"type":"tool_result"}]"#, invalid, "messages[0].content[0].tool_use_id");
    check(r#"[{"type":"tool_use","id":"a","name":"f","input":{}}]"#, invalid, "messages[0].content[0]");
    check(r#"[{"type":"thinking","thinking":"a"}]"#, invalid, "messages[0].content[0]");
    let check = |body: &str, param: &str| {
        let error = read(body).expect_err(body);
        assert_eq!((error.code(), error.param.as_str()), (invalid, param), "{body}: {error}");
    };
    check("{}", "messages");
    check(r#"{"messages":[]}"#, "messages");
    check(r#"{"messages":[{"content":"a"}]}"#, "messages[0].role");
    check(r#"{"messages":[{"role":"tool","content":"a"}]}"#, "messages[0].role");
    check(r#"{"system":7,"messages":[]}"#, "system");
    let call = r#"{"type":"tool_use","id":"a","name":"f","input":[]}"#;
    check(
        &format!(r#"{{"messages":[{{"role":"assistant","content":[{call}]}}]}}"#),
        "messages[0].content[0].input",
    );
}
