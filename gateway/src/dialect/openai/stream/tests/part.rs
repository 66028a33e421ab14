//! What is said besides text: thoughts, calls, log probabilities, prompts.

use impetus_proto::worker::{Prompt, TokenLogprobs, ToolCallDelta, TopLogprob};

use super::*;
use crate::dialect::openai::request::{Params, params};

fn parts(parts: impl IntoIterator<Item = Part>) -> Result<ChoiceEvent, Error> {
    of(0, Event::Delta(Delta { parts: parts.into_iter().collect(), n_tokens: 1, ..Delta::default() }))
}

fn thought(text: &str) -> Part {
    Part::Reasoning(text.into())
}

fn call(index: u32, name: &str, arguments: &str, id: &str) -> Part {
    let (name, arguments, id) = (name.into(), arguments.into(), id.into());
    Part::ToolCall(ToolCallDelta { index, name, arguments, id })
}

fn token(bytes: &[u8], logprob: f32, top: &[(&str, f32)]) -> TokenLogprobs {
    let top = top.iter().map(|(text, logprob)| TopLogprob {
        token: 7,
        text: text.as_bytes().to_vec(),
        logprob: *logprob,
    });
    TokenLogprobs { token: 7, text: bytes.to_vec(), logprob, top: top.collect() }
}

fn scored(text: &str, logprobs: Vec<TokenLogprobs>) -> Result<ChoiceEvent, Error> {
    of(0, Event::Delta(Delta { logprobs, n_tokens: 1, ..saying(text) }))
}

/// What a request with these fields gets for these events: streamed, and as a whole.
async fn answered<S: Shape>(fields: &str, events: Vec<Result<ChoiceEvent, Error>>) -> (String, String) {
    let body = format!(r#"{{"messages":[{{"role":"user"}}],"prompt":"x",{fields}}}"#);
    let Params { shape, delivery, n_kept, .. } = params::<S>(body.as_bytes()).unwrap();
    let head = Head {
        envelope: envelope(S::CHUNK_OBJECT),
        shape: shape.clone(),
        delivery,
        count: count(n_kept),
        keep_alive: KEEP_ALIVE,
    };
    let frames: Vec<_> = super::body(head, stream::iter(events.clone())).collect().await;
    let streamed = frames.into_iter().map(|Ok(frame)| String::from_utf8(frame.to_vec()).unwrap()).collect();
    let completed = fold(stream::iter(events), count(n_kept)).await.unwrap();
    let whole = answer::whole(envelope(S::OBJECT), &shape, completed);
    (streamed, serde_json::to_string_pretty(&serde_json::to_value(whole).unwrap()).unwrap())
}

async fn both<S: Shape>(fields: &str, events: Vec<Result<ChoiceEvent, Error>>) -> String {
    let (streamed, whole) = answered::<S>(fields, events).await;
    format!("{streamed}\n{whole}")
}

fn calling() -> Vec<Result<ChoiceEvent, Error>> {
    vec![
        parts([thought("Hm")]),
        parts([thought(", yes.")]),
        parts([Part::Text("Let me see.".into()), call(0, "find", "", "c1")]),
        parts([call(0, "", r#"{"a":"#, "")]),
        parts([call(0, "", "1}", ""), call(1, "end", "{}", "c2")]),
        end(0, FinishReason::ToolCalls, ""),
    ]
}

const TOOLS: &str = r#""tools":[{"type":"function","function":{"name":"find"}}]"#;

#[tokio::test]
async fn thoughts_and_calls_are_told_apart_from_text() {
    insta::assert_snapshot!("calls", both::<ChatCompletions>(TOOLS, calling()).await);
    let hidden = format!(r#"{TOOLS},"include_reasoning":false"#);
    let (streamed, whole) = answered::<ChatCompletions>(&hidden, calling()).await;
    assert!(!streamed.contains("Hm") && !whole.contains("Hm"), "{streamed}{whole}");
}

#[tokio::test]
async fn functions_are_answered_with_one_call() {
    let events = || {
        vec![
            parts([call(0, "find", r#"{"a""#, "")]),
            parts([call(0, "", ":1}", "")]),
            end(0, FinishReason::ToolCalls, ""),
        ]
    };
    let functions = r#""functions":[{"name":"find"}]"#;
    insta::assert_snapshot!("function_call", both::<ChatCompletions>(functions, events()).await);
}

#[tokio::test]
async fn a_call_that_the_model_does_not_name_has_an_id_all_the_same() {
    let events = vec![
        parts([call(0, "find", "{", "")]),
        parts([call(0, "", "}", ""), call(1, "find", "{}", "")]),
        end(0, FinishReason::ToolCalls, ""),
    ];
    let (streamed, whole) = answered::<ChatCompletions>(TOOLS, events).await;
    assert_eq!(streamed.matches(r#""type":"function""#).count(), 2, "{streamed}");
    let whole: serde_json::Value = serde_json::from_str(&whole).unwrap();
    let choice = &whole["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert!(choice["message"]["content"].is_null());
    let ids: Vec<&str> = choice["message"]["tool_calls"]
        .as_array()
        .unwrap()
        .iter()
        .map(|call| call["id"].as_str().unwrap())
        .collect();
    assert!(ids[0] != ids[1] && ids.iter().all(|id| id.len() == 9), "{ids:?}");
}

#[tokio::test]
async fn a_call_that_a_stop_string_cuts_is_not_to_be_made() {
    let events = vec![parts([call(0, "find", r#"{"a": ""#, "c1")]), end(0, FinishReason::Stop, "")];
    let (streamed, whole) = answered::<ChatCompletions>(TOOLS, events).await;
    assert!(streamed.contains(r#""finish_reason":"stop""#), "{streamed}");
    assert!(whole.contains(r#""finish_reason": "stop""#), "{whole}");
}

#[tokio::test]
async fn tokens_have_their_log_probabilities() {
    let events = || {
        vec![
            of(0, Event::Accepted { model: "tiny".into(), prompt_tokens: 2 }),
            scored("a", vec![token(b"a", -0.5, &[("a", -0.5), ("b", -1.5)])]),
            scored("", vec![token(b"\xe2\x82", -1.0, &[])]),
            scored("€", vec![token(b"\xac", f32::NEG_INFINITY, &[("c", -0.25)])]),
            end(0, FinishReason::Length, ""),
        ]
    };
    let chat = r#""logprobs":true,"top_logprobs":2"#;
    insta::assert_snapshot!("chat_logprobs", both::<ChatCompletions>(chat, events()).await);
    insta::assert_snapshot!("completion_logprobs", both::<Completions>(r#""logprobs":2"#, events()).await);
    // Nobody asked.
    let (streamed, whole) = answered::<Completions>(r#""logprobs":null"#, events()).await;
    assert!(!streamed.contains("tokens\":[") && !whole.contains("text_offset"), "{streamed}{whole}");
}

#[tokio::test]
async fn an_echo_stands_before_the_completion() {
    let prompt = |logprobs| of(0, Event::Prompt(Prompt { text: "für".into(), logprobs }));
    let plain = vec![prompt(Vec::new()), text(0, "b"), end(0, FinishReason::Stop, "")];
    let (streamed, whole) = answered::<Completions>(r#""echo":true"#, plain).await;
    assert!(streamed.starts_with("data: ") && streamed.contains(r#""text":"für""#), "{streamed}");
    assert!(whole.contains(r#""text": "fürb""#), "{whole}");
    let scores = vec![
        // The token that begins a text is not part of it.
        token(b"<s>", 0.0, &[]),
        token("fü".as_bytes(), -1.0, &[("fü", -1.0)]),
        token(b"r", -2.0, &[("x", -0.5)]),
    ];
    let events =
        vec![prompt(scores), scored("b", vec![token(b"b", -0.25, &[])]), end(0, FinishReason::Stop, "")];
    insta::assert_snapshot!("echo", both::<Completions>(r#""echo":true,"logprobs":1"#, events).await);
}

#[tokio::test]
async fn a_continued_message_may_be_repeated() {
    let said = || vec![text(0, "b"), end(0, FinishReason::Stop, "")];
    let fields = r#""messages":[{"role":"user"},{"role":"assistant","content":"a"}],"echo":"#;
    for (echo, expected) in [("true", "ab"), ("false", "b")] {
        let (streamed, whole) = answered::<ChatCompletions>(&format!("{fields}{echo}"), said()).await;
        assert!(whole.contains(&format!(r#""content": "{expected}""#)), "{whole}");
        assert_eq!(streamed.contains(r#""content":"a""#), echo == "true", "{streamed}");
    }
}

#[tokio::test]
async fn usage_may_come_with_every_chunk() {
    let events = vec![
        of(0, Event::Accepted { model: "tiny".into(), prompt_tokens: 12 }),
        text(0, "a"),
        text(0, "b"),
        end(0, FinishReason::Stop, ""),
    ];
    let fields = r#""stream":true,"stream_options":{"continuous_usage_stats":true}"#;
    let (streamed, _) = answered::<Completions>(fields, events).await;
    let counts: Vec<u64> = streamed
        .split("\n\n")
        .filter_map(|frame| serde_json::from_str::<serde_json::Value>(frame.strip_prefix("data: ")?).ok())
        .map(|chunk| chunk["usage"]["completion_tokens"].as_u64().unwrap())
        .collect();
    assert_eq!(counts, [1, 2, 3, 3]);
}

#[tokio::test]
async fn an_event_may_be_of_several_tokens() {
    let several = |said: &str, n_tokens: usize| {
        let logprobs: Vec<_> = said.bytes().map(|byte| token(&[byte], -1.0, &[])).collect();
        assert_eq!(logprobs.len(), n_tokens);
        of(0, Event::Delta(Delta { logprobs, n_tokens, ..saying(said) }))
    };
    let events = || vec![accepted(0), several("abc", 3), several("d", 1), end(0, FinishReason::Stop, "")];
    let counted = r#""stream_options":{"continuous_usage_stats":true}"#;
    let (streamed, _) = answered::<Completions>(&format!(r#""logprobs":0,{counted}"#), events()).await;
    for said in [r#""text_offset":[0,1,2]"#, r#""text_offset":[3]"#, r#""completion_tokens":4,"#] {
        assert_eq!(streamed.matches(said).count(), 1, "{said} in {streamed}");
    }
    let (streamed, _) = answered::<ChatCompletions>(&format!(r#""logprobs":true,{counted}"#), events()).await;
    let chunk = streamed.split("\n\n").find(|chunk| chunk.contains("abc")).unwrap();
    assert_eq!(chunk.matches(r#""token":"#).count(), 3, "{chunk}");
}

#[tokio::test]
async fn obfuscated_chunks_have_lengths_that_say_little() {
    let events = ["a", "some more", &"x".repeat(200)].map(|said| text(0, said));
    let events = events.into_iter().chain([end(0, FinishReason::Stop, "")]).collect();
    let fields = r#""stream":true,"stream_options":{"include_obfuscation":true}"#;
    let (streamed, _) = answered::<ChatCompletions>(fields, events).await;
    let frames: Vec<&str> =
        streamed.split_inclusive("\n\n").filter(|frame| frame.contains("choices")).collect();
    assert_eq!(frames.len(), 5);
    for frame in frames {
        assert!(frame.len().is_multiple_of(PADDED_BYTES) && frame.contains("obfuscation"), "{frame}");
    }
}

#[tokio::test]
async fn the_best_are_those_of_the_highest_mean_probability() {
    let scores = [[-1.0, -1.0], [-0.5, -0.5], [-3.0, -0.1], [-0.2, -2.0]];
    let events = (0..).zip(scores).flat_map(|(index, [one, two])| {
        let logprobs = vec![token(b"x", one, &[]), token(b"y", two, &[])];
        let said = Delta { logprobs, n_tokens: 2, ..saying(&index.to_string()) };
        [of(index, Event::Delta(said)), end(index, FinishReason::Stop, "")]
    });
    let count = Count { n_prompts: 2, n_each: 2 };
    let mut completed = fold(stream::iter(events.collect::<Vec<_>>()), count).await.unwrap();
    completed.keep_best(2, 1);
    let texts: Vec<&str> = completed.choices.iter().map(|choice| choice.text.as_str()).collect();
    assert_eq!(texts, ["1", "3"]);
    // Two prompts, of which each is counted once.
    assert_eq!(completed.cost.total().prompt_tokens, 24);
}

#[tokio::test(start_paused = true)]
async fn times_may_come_with_every_chunk() {
    let events = Box::pin(async_stream::stream! {
        yield accepted(0);
        tokio::time::sleep(Duration::from_millis(500)).await;
        yield text(0, "a");
        tokio::time::sleep(Duration::from_millis(250)).await;
        yield text(0, "b");
        yield end(0, FinishReason::Stop, "");
    });
    let delivery = Delivery { is_streamed: true, continuous_timings: true, ..Delivery::default() };
    let frames: Vec<_> = super::body(head::<Completions>(1, delivery), events).collect().await;
    let streamed: String =
        frames.into_iter().map(|Ok(frame)| String::from_utf8(frame.to_vec()).unwrap()).collect();
    let times: Vec<_> = streamed
        .split("\n\n")
        .filter_map(|frame| serde_json::from_str::<serde_json::Value>(frame.strip_prefix("data: ")?).ok())
        .map(|chunk| chunk["timings"].clone())
        .map(|timings| {
            ["predicted_n", "prompt_ms", "predicted_ms"].map(|name| timings[name].as_f64().unwrap())
        })
        .collect();
    // In the end it is the worker that knows.
    assert_eq!(times, [[1.0, 500.0, 0.0], [2.0, 500.0, 250.0], [3.0, 4.0, 10.0]]);
}
