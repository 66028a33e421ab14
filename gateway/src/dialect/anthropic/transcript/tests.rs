use impetus_proto::{Code, Error, worker::FinishReason};
use serde_json::Value;

use super::*;

fn delta(parts: Vec<Part>) -> Event {
    Event::Delta(Delta { parts, ..Delta::default() })
}

fn text(text: &str) -> Part {
    Part::Text(text.into())
}

fn thought(text: &str) -> Part {
    Part::Reasoning(text.into())
}

fn call(index: u32, name: &str, arguments: &str) -> Part {
    Part::ToolCall(ToolCallDelta {
        index,
        name: name.into(),
        arguments: arguments.into(),
        id: format!("own{index}"),
    })
}

fn finished(reason: FinishReason, stop: &str) -> Event {
    let usage = Used { prompt_tokens: 20, cached_tokens: 15, completion_tokens: 7, reasoning_tokens: 2 };
    Event::Finished(Finished { reason, stop: stop.into(), usage, ..Finished::default() })
}

fn accepted() -> Event {
    Event::Accepted { model: "tiny".into(), prompt_tokens: 20 }
}

/// What is written of these events, and the message that they make.
fn written(shown: Shown, events: Vec<Event>) -> (String, Value) {
    let message = || {
        let mut message = Message::begin("claude-x".into(), false);
        message.id = "msg_1".into();
        message
    };
    let mut streamed = Transcript::new(message(), shown, true);
    let mut whole = Transcript::new(message(), shown, false);
    streamed.begin();
    for event in events {
        streamed.take(event.clone());
        whole.take(event);
    }
    assert!(streamed.is_over() && whole.is_over());
    assert!(whole.written().is_empty());
    let whole = serde_json::to_value(whole.into_message()).unwrap();
    let text = String::from_utf8(streamed.written().to_vec()).unwrap();
    assert_eq!(folded(&text), whole, "a whole answer is what the stream says together: {text}");
    (text, whole)
}

/// The message that a client makes of a stream.
fn folded(text: &str) -> Value {
    let mut message = Value::Null;
    let mut input = String::new();
    for event in text.split_terminator("\n\n") {
        let (name, data) = event.split_once('\n').unwrap();
        let data: Value = serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap();
        assert_eq!(name.strip_prefix("event: "), data["type"].as_str());
        let index = data["index"].as_u64().unwrap_or_default() as usize;
        match data["type"].as_str().unwrap() {
            "message_start" => message = data["message"].clone(),
            "content_block_start" => {
                assert_eq!(message["content"].as_array().unwrap().len(), index);
                message["content"].as_array_mut().unwrap().push(data["content_block"].clone());
                input.clear();
            }
            "content_block_delta" => {
                let (block, delta) = (&mut message["content"][index], &data["delta"]);
                for (field, value) in delta.as_object().unwrap() {
                    match field.as_str() {
                        "type" => {}
                        "partial_json" => {
                            input += value.as_str().unwrap();
                            block["input"] = serde_json::from_str(&input).unwrap_or_default();
                        }
                        field => {
                            let so_far = block[field].as_str().unwrap().to_owned();
                            block[field] = (so_far + value.as_str().unwrap()).into();
                        }
                    }
                }
            }
            "message_delta" => {
                for (field, value) in data["delta"].as_object().unwrap() {
                    message[field] = value.clone();
                }
                message["usage"] = data["usage"].clone();
            }
            _ => {}
        }
    }
    message
}

#[test]
fn texts_and_calls_are_blocks() {
    let (text, _) = written(
        Shown::Yes,
        vec![
            accepted(),
            delta(vec![thought("Hm"), thought("m.")]),
            delta(vec![text("On"), text("e.")]),
            delta(vec![]),
            delta(vec![call(0, "f", r#"{"a":"#), call(0, "", "1}"), call(1, "g", "{}")]),
            finished(FinishReason::ToolCalls, ""),
        ],
    );
    insta::assert_snapshot!("blocks", text);
}

#[test]
fn a_thought_is_shown_as_the_client_wants_it() {
    let check = |shown: Shown, expected: &str| {
        let events =
            vec![accepted(), delta(vec![thought("Hm."), text("One.")]), finished(FinishReason::Stop, "")];
        let (_, whole) = written(shown, events);
        assert_eq!(whole["content"].to_string(), expected, "{shown:?}");
    };
    let text = r#"{"type":"text","text":"One."}"#;
    check(Shown::No, &format!("[{text}]"));
    check(Shown::Yes, &format!(r#"[{{"type":"thinking","thinking":"Hm.","signature":"impetus1."}},{text}]"#));
    check(
        Shown::Sealed,
        &format!(r#"[{{"type":"thinking","thinking":"","signature":"impetus1.SG0u"}},{text}]"#),
    );
}

#[test]
fn the_end_says_why() {
    let check = |reason: FinishReason, stop: &str, expected: &str, sequence: Value| {
        let (_, whole) = written(Shown::No, vec![accepted(), finished(reason, stop)]);
        assert_eq!(whole["stop_reason"], expected);
        assert_eq!(whole["stop_sequence"], sequence);
        assert_eq!(whole["content"].to_string(), r#"[{"type":"text","text":""}]"#, "it has said nothing");
        let usage = &whole["usage"];
        assert_eq!((&usage["input_tokens"], &usage["cache_read_input_tokens"]), (&5.into(), &15.into()));
        assert_eq!(usage["output_tokens"], 7);
    };
    check(FinishReason::Stop, "", "end_turn", Value::Null);
    check(FinishReason::Stop, "END", "stop_sequence", "END".into());
    check(FinishReason::Length, "", "max_tokens", Value::Null);
    check(FinishReason::ToolCalls, "", "tool_use", Value::Null);
}

#[test]
fn a_call_that_is_cut_is_none_the_less_an_object() {
    let mut transcript = Transcript::new(Message::begin("m".into(), true), Shown::No, false);
    transcript.take(delta(vec![call(0, "f", r#"{"a":"#)]));
    transcript.take(finished(FinishReason::Length, ""));
    let whole = serde_json::to_value(transcript.into_message()).unwrap();
    assert_eq!(whole["content"][0]["input"], serde_json::json!({}));
    assert_eq!(whole["context_management"], serde_json::json!({"applied_edits": []}));
}

#[test]
fn a_failure_is_the_last_event() {
    let mut transcript = Transcript::new(Message::begin("m".into(), false), Shown::No, true);
    transcript.take(delta(vec![text("On")]));
    transcript.fail(&Error::new(Code::WorkerCrashed, "gone").into(), "req_1");
    assert!(transcript.is_over());
    let written = String::from_utf8(transcript.written().to_vec()).unwrap();
    let last = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\",\"message\":\"gone\"},\
                \"request_id\":\"req_1\"}\n\n";
    assert!(written.ends_with(last) && !written.contains("message_stop"), "{written}");
}
