use std::sync::Arc;

use futures::stream;
use impetus_proto::{
    Code,
    worker::{self, FinishReason, TokenLogprobs},
};
use serde_json::{Value, json};

use super::*;
use crate::dialect::ollama::{Chat, Generate};

const KEEP_ALIVE: Duration = Duration::from_secs(10);

fn head() -> Head {
    Head { model: "small".into(), begun: Instant::now(), keep_alive: KEEP_ALIVE }
}

fn accepted() -> Event {
    Event::Accepted { model: Arc::from("tiny"), prompt_tokens: 12 }
}

fn says(parts: Vec<Part>) -> Event {
    Event::Delta(Delta { parts, logprobs: Vec::new(), n_tokens: 1 })
}

fn call(index: u32, id: &str, name: &str, arguments: &str) -> Part {
    let (id, name, arguments) = (id.into(), name.into(), arguments.into());
    Part::ToolCall(ToolCallDelta { index, id, name, arguments })
}

fn ends(reason: FinishReason, parts: Vec<Part>) -> Event {
    let usage =
        worker::Usage { prompt_tokens: 12, cached_tokens: 10, completion_tokens: 3, reasoning_tokens: 0 };
    let timings = worker::Timings { queue_us: 250, prefill_us: 4_000, decode_us: 10_000, tokenize_us: 500 };
    let rest = Delta { parts, ..Delta::default() };
    let lease = Duration::from_micros(750);
    Event::Finished(Finished { reason, rest, usage, timings, lease, ..Finished::default() })
}

/// The lines that become of these events, without the time of day.
async fn lines<E: Endpoint>(events: Vec<Result<Event, Error>>) -> Vec<Value> {
    let events = events.into_iter().map(|event| Ok(ChoiceEvent { index: 0, event: event? }));
    let events = stream::iter(events.collect::<Vec<_>>());
    let written: Vec<_> = body::<E>(head(), events).collect().await;
    let text: Vec<u8> = written.into_iter().flat_map(|bytes| bytes.unwrap()).collect();
    let text = String::from_utf8(text).unwrap();
    assert!(text.ends_with('\n'));
    let line = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        if let Some(object) = line.as_object_mut() {
            let at = object.shift_remove("created_at");
            assert!(at.is_some_and(|at| at.as_str().unwrap().ends_with('Z')) || object.contains_key("error"));
        }
        line
    };
    text.lines().map(line).collect()
}

/// The same, each with the model's name left out, which all have.
async fn check<E: Endpoint>(events: Vec<Event>, expected: Value) {
    let mut found = lines::<E>(events.into_iter().map(Ok).collect()).await;
    for line in &mut found {
        assert_eq!(line.as_object_mut().unwrap().shift_remove("model"), Some(json!("small")));
    }
    assert_eq!(Value::Array(found), expected);
}

fn message(fields: &Value) -> Value {
    let mut message = json!({"role": "assistant", "content": ""});
    message.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    json!({"message": message, "done": false})
}

fn end(said: Value, reason: &str) -> Value {
    let mut end = said;
    let totals = json!({"done": true, "done_reason": reason, "total_duration": 0, "load_duration": 750_000,
        "prompt_eval_count": 12, "prompt_eval_duration": 4_000_000, "eval_count": 3, "eval_duration": 10_000_000});
    end.as_object_mut().unwrap().extend(totals.as_object().unwrap().clone());
    end
}

#[tokio::test(start_paused = true)]
async fn a_chat_is_told_in_messages() {
    let events = vec![
        accepted(),
        says(vec![Part::Reasoning("hm".into())]),
        says(vec![]),
        says(vec![Part::Text("one".into())]),
        ends(FinishReason::Length, vec![Part::Text(" two".into())]),
    ];
    let expected = json!([
        message(&json!({"thinking": "hm"})),
        message(&json!({"content": "one"})),
        message(&json!({"content": " two"})),
        end(message(&json!({})), "length"),
    ]);
    check::<Chat>(events, expected).await;
}

#[tokio::test(start_paused = true)]
async fn a_completion_is_told_in_responses() {
    let events = vec![
        accepted(),
        says(vec![Part::Reasoning("hm".into()), Part::Text("one".into())]),
        ends(FinishReason::Stop, Vec::new()),
    ];
    let expected = json!([
        {"response": "", "thinking": "hm", "done": false},
        {"response": "one", "done": false},
        end(json!({"response": ""}), "stop"),
    ]);
    check::<Generate>(events, expected).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_is_told_when_it_is_whole() {
    let told = |index: usize, id: &str, name: &str, arguments: Value| json!({"id": id, "function": {"index": index, "name": name, "arguments": arguments}});
    let events = vec![
        accepted(),
        says(vec![Part::Text("ok".into())]),
        says(vec![call(0, "a", "weather", "{\"city\":")]),
        says(vec![call(0, "", "", "\"Ulm\"}")]),
        says(vec![call(1, "b", "time", "{"), call(1, "", "", "}")]),
        says(vec![call(2, "c", "time", "")]),
        ends(FinishReason::ToolCalls, Vec::new()),
    ];
    let expected = json!([
        message(&json!({"content": "ok"})),
        message(&json!({"tool_calls": [told(0, "a", "weather", json!({"city": "Ulm"}))]})),
        message(&json!({"tool_calls": [told(1, "b", "time", json!({}))]})),
        message(&json!({"tool_calls": [told(2, "c", "time", json!({}))]})),
        end(message(&json!({})), "stop"),
    ]);
    check::<Chat>(events, expected).await;

    // What is cut in two is no call.
    let events = vec![
        accepted(),
        says(vec![call(0, "a", "weather", "{\"city\":")]),
        ends(FinishReason::Length, Vec::new()),
    ];
    check::<Chat>(events, json!([end(message(&json!({})), "length")])).await;
    let events = vec![
        accepted(),
        says(vec![call(0, "a", "weather", "{}")]),
        says(vec![Part::Text("so".into())]),
        ends(FinishReason::Stop, Vec::new()),
    ];
    let expected = json!([
        message(&json!({"tool_calls": [told(0, "a", "weather", json!({}))]})),
        message(&json!({"content": "so"})),
        end(message(&json!({})), "stop"),
    ]);
    check::<Chat>(events, expected).await;
}

#[tokio::test(start_paused = true)]
async fn log_probabilities_stand_beside_their_tokens() {
    let token = |text: &str| TokenLogprobs { token: 1, text: text.into(), logprob: -0.5, top: Vec::new() };
    let delta = |parts: Vec<Part>, logprobs| Event::Delta(Delta { parts, logprobs, n_tokens: 1 });
    let events = vec![
        accepted(),
        delta(vec![Part::Text("a".into())], vec![token("a")]),
        delta(vec![], vec![token("b")]),
        ends(FinishReason::Stop, Vec::new()),
    ];
    let listed = |text: &str| json!([{"token": text, "logprob": -0.5, "bytes": text.as_bytes()}]);
    let expected = json!([
        {"response": "a", "done": false, "logprobs": listed("a")},
        {"response": "", "done": false, "logprobs": listed("b")},
        end(json!({"response": ""}), "stop"),
    ]);
    check::<Generate>(events, expected).await;
}

#[tokio::test]
async fn a_failure_is_the_last_line() {
    let lost = Error::new(Code::WorkerCrashed, "the request crashes workers");
    let found = lines::<Chat>(vec![Ok(accepted()), Ok(says(vec![Part::Text("a".into())])), Err(lost)]).await;
    assert_eq!(found.len(), 2);
    assert_eq!(found[1], json!({"error": "the request crashes workers"}));
    let cut = lines::<Chat>(vec![Ok(accepted())]).await;
    assert!(cut.len() == 1 && cut[0]["error"].is_string(), "{cut:?}");
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_gets_lines_that_carry_nothing() {
    let late = async {
        tokio::time::sleep(KEEP_ALIVE * 5 / 2).await;
        Ok(ChoiceEvent { index: 0, event: ends(FinishReason::Stop, Vec::new()) })
    };
    let lines: Vec<_> = body::<Chat>(head(), Box::pin(stream::once(late))).collect().await;
    let lines: Vec<Value> =
        lines.into_iter().map(|line| serde_json::from_slice(&line.unwrap()).unwrap()).collect();
    let done: Vec<bool> = lines.iter().map(|line| line["done"].as_bool().unwrap()).collect();
    assert_eq!(done, [false, false, true]);
    assert_eq!(lines[0]["message"], json!({"role": "assistant", "content": ""}));
}

#[tokio::test(start_paused = true)]
async fn what_is_at_hand_leaves_together() {
    let events = [accepted(), says(vec![Part::Text("a".into())]), ends(FinishReason::Stop, Vec::new())];
    let events = stream::iter(events.map(|event| Ok(ChoiceEvent { index: 0, event })));
    let written: Vec<_> = body::<Chat>(head(), events).collect().await;
    assert_eq!(written.len(), 1);
}
