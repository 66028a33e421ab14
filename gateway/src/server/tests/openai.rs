//! Chats and completions from HTTP to the worker and back.

use impetus_proto::worker::{
    Delta, FinishReason, GenerateEvent, GenerateRequest, Part, TokenLogprobs, ToolCallDelta, ToolMode,
    generate_event::Event, generate_request::Input, part,
};
use serde_json::json;

use super::*;
use crate::fake::{MODEL, finished, finished_for};

const COMPLETIONS: &str = "/v1/completions";

/// One token, with all that is said of it.
fn said(index: u32, delta: Delta) -> Step {
    let event = Some(Event::Delta(delta));
    Step::Send(GenerateEvent { model: MODEL.into(), index, tokens: vec![7], event })
}

fn call(name: &str, arguments: &str) -> Delta {
    let call = ToolCallDelta {
        index: 0,
        name: name.into(),
        arguments: arguments.into(),
        ..ToolCallDelta::default()
    };
    Delta { parts: vec![Part { part: Some(part::Part::ToolCall(call)) }], ..Delta::default() }
}

fn prompt_of(request: &GenerateRequest) -> String {
    let Some(Input::Text(text)) = &request.input else { panic!("{request:?} has no text") };
    text.clone()
}

#[tokio::test]
async fn prompts_are_answered_in_their_order() {
    let fake = Fake::start();
    fake.answer_with(|request| completion(&format!("{}{}", prompt_of(request), request.choice)));
    let body = json!({"prompt": ["a", "b"], "n": 2}).to_string();
    let whole = send(&fake, post(COMPLETIONS, body.clone())).await.json();
    let texts: Vec<_> = whole["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|choice| (choice["index"].as_u64().unwrap(), choice["text"].as_str().unwrap()))
        .collect();
    assert_eq!(texts, [(0, "a0"), (1, "a1"), (2, "b2"), (3, "b3")]);
    // Each prompt is counted once.
    assert_eq!(whole["usage"]["prompt_tokens"], 10);
    assert_eq!(whole["usage"]["prompt_tokens_details"]["cached_tokens"], 6);
    let streamed = send(&fake, post(COMPLETIONS, body.replacen('{', r#"{"stream":true,"#, 1))).await.text;
    for (index, text) in texts {
        assert!(streamed.contains(&format!(r#""text":"{text}","index":{index},"#)), "{streamed}");
    }
    assert!(streamed.ends_with("data: [DONE]\n\n"), "{streamed}");
}

#[tokio::test]
async fn the_best_of_several_is_the_answer() {
    let fake = Fake::start();
    fake.answer_with(|request| {
        let logprob = [-3.0, -0.5, -1.0][request.choice as usize];
        let text = part::Part::Text(request.choice.to_string());
        let delta = Delta {
            parts: vec![Part { part: Some(text) }],
            logprobs: vec![TokenLogprobs { logprob, ..TokenLogprobs::default() }],
        };
        vec![accepted(), said(0, delta), finished(1, &[], "")]
    });
    let whole = send(&fake, post(COMPLETIONS, r#"{"prompt":"x","n":2,"best_of":3}"#)).await.json();
    let texts: Vec<_> = whole["choices"].as_array().unwrap().iter().map(|choice| &choice["text"]).collect();
    assert_eq!(texts, ["1", "2"]);
    assert_eq!((&whole["choices"][0]["index"], &whole["choices"][1]["index"]), (&json!(0), &json!(1)));
    // Nobody asked for them, though they decide; those that were left out are paid for, too.
    assert!(whole["choices"][0]["logprobs"].is_null());
    assert_eq!(whole["usage"]["completion_tokens"], 3);
    assert!(fake.requests().iter().all(|request| request.logprobs.is_some()));
    let check = async |body: &str| {
        let refused = send(&fake, post(COMPLETIONS, body.to_owned())).await;
        assert_eq!(refused.error(), (400, "invalid_value".to_owned()), "{body}");
        assert_eq!(refused.json()["error"]["param"], "best_of", "{body}");
    };
    check(r#"{"prompt":"x","best_of":2,"stream":true}"#).await;
    check(r#"{"prompt":"x","n":3,"best_of":2}"#).await;
}

#[tokio::test]
async fn tools_go_to_the_worker_and_calls_come_back() {
    let fake = Fake::start();
    fake.answer_with(|_| {
        let end = finished_for(FinishReason::ToolCalls, 2, &[2], "");
        vec![accepted(), said(0, call("find", r#"{"a""#)), said(1, call("", ":1}")), end]
    });
    let function = json!({"name": "find", "parameters": {"type": "object"}});
    let tools = json!([{"type": "web_search"}, {"type": "function", "function": function}]);
    let mut body =
        json!({"messages": [{"role": "user", "content": "?"}], "tools": tools, "tool_choice": "required"});
    let answer = send(&fake, post(CHAT_PATH, body.to_string())).await;
    assert_eq!(answer.headers["x-impetus-ignored"], "tools.web_search");
    let choice = answer.json()["choices"][0].take();
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(
        choice["message"]["tool_calls"][0]["function"],
        json!({"name": "find", "arguments": r#"{"a":1}"#})
    );
    let Some(Input::Chat(chat)) = &fake.requests()[0].input else { panic!("it is a chat") };
    assert_eq!(chat.tool_choice.as_ref().unwrap().mode(), ToolMode::Required);
    assert_eq!(
        serde_json::from_str::<Value>(&chat.tools_json).unwrap(),
        json!([{"type": "function", "function": function}])
    );

    body["stream"] = true.into();
    let streamed = send(&fake, post(CHAT_PATH, body.to_string())).await.text;
    let deltas: Vec<Value> = streamed
        .split("\n\n")
        .filter_map(|frame| serde_json::from_str::<Value>(frame.strip_prefix("data: ")?).ok())
        .filter_map(|chunk| Some(chunk["choices"][0]["delta"].get("tool_calls")?[0].clone()))
        .collect();
    let [first, second] = &deltas[..] else { panic!("{streamed}") };
    assert!(first["id"].as_str().is_some_and(|id| !id.is_empty()), "{streamed}");
    assert_eq!((&first["index"], &first["type"]), (&json!(0), &json!("function")));
    assert_eq!(first["function"], json!({"name": "find", "arguments": r#"{"a""#}));
    assert_eq!(second, &json!({"index": 0, "function": {"arguments": ":1}"}}));
}

#[tokio::test]
async fn a_worker_refuses_in_the_clients_words() {
    let fake = Fake::start();
    let check = async |path: &str, fields: &str, of_worker: &str, expected: &str| {
        let body = format!(r#"{{"messages":[{{"role":"user"}}],"prompt":"x",{fields}}}"#);
        for body in [body.clone(), body.replacen('{', r#"{"stream":true,"#, 1)] {
            fake.script([Step::Fail(Error::invalid(of_worker, "no"))]);
            let answer = send(&fake, post(path, body)).await;
            assert_eq!(answer.error(), (400, "invalid_value".to_owned()), "{fields}");
            assert_eq!(answer.json()["error"]["param"], expected, "{fields}");
        }
    };
    check(COMPLETIONS, r#""n":1"#, "messages", "prompt").await;
    check(CHAT_PATH, r#""n":1"#, "messages", "messages").await;
    check(CHAT_PATH, r#""guided_json":{}"#, "response_format", "guided_json").await;
    let schema = r#""response_format":{"type":"json_schema","json_schema":{"schema":{}}}"#;
    check(CHAT_PATH, schema, "response_format", "response_format.json_schema.schema").await;
    let tools = r#""tools":[{"type":"custom"},{"type":"function","name":"f"}]"#;
    check(CHAT_PATH, tools, "tools[0].function.parameters", "tools[1].parameters").await;
}
