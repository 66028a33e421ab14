use impetus_proto::{
    Code, Error,
    worker::{TokenLogprobs, TopLogprob, Usage},
};

use super::*;
use crate::{
    dialect::{ignored::Ignored, openai::responses::asked::Asked},
    upstream::Finished,
};

fn tools(json: &str) -> Tools {
    let json = serde_json::from_str(json).unwrap();
    Tools::read(Some(json), &mut Ignored::default()).unwrap()
}

fn transcript(asked: Asked, tools: Tools, include: Include) -> Transcript {
    let mut response = Response::begin("tiny".into(), asked);
    response.created_at = 1_700_000_000;
    Transcript::new(response, tools, include, Teller::new(true, false))
}

fn accepted() -> Event {
    Event::Accepted { model: "tiny".into(), prompt_tokens: 12 }
}

fn said(parts: impl IntoIterator<Item = Part>) -> Event {
    Event::Delta(Delta { parts: parts.into_iter().collect(), n_tokens: 1, ..Delta::default() })
}

fn text(text: &str) -> Event {
    said([Part::Text(text.into())])
}

fn call(index: u32, name: &str, arguments: &str) -> Part {
    let (name, arguments) = (name.to_owned(), arguments.to_owned());
    Part::ToolCall(ToolCallDelta { index, name, arguments, id: String::new() })
}

fn finished(reason: FinishReason) -> Event {
    let usage = Usage { prompt_tokens: 12, cached_tokens: 8, completion_tokens: 5, reasoning_tokens: 2 };
    Event::Finished(Finished { reason, usage, ..Finished::default() })
}

/// All events, with ids numbered in the order in which they are met.
fn written(mut transcript: Transcript, events: impl IntoIterator<Item = Event>) -> String {
    transcript.begin();
    for event in events {
        transcript.take(event);
    }
    told(&mut transcript)
}

fn told(transcript: &mut Transcript) -> String {
    let frames = transcript.frames();
    for (number, frame) in frames.iter().enumerate() {
        assert_eq!(frame.sequence_number, number as u64, "numbers have no gaps");
    }
    let text: String = frames.iter().map(|frame| String::from_utf8(frame.bytes.to_vec()).unwrap()).collect();
    masked(&text)
}

fn masked(text: &str) -> String {
    let mut masked = text.to_owned();
    for prefix in ["resp_", "msg_", "rs_", "fc_", "ctc_"] {
        let mut n_met = 0;
        while let Some(start) = masked.match_indices(prefix).find_map(|(start, _)| {
            let id = masked.get(start + prefix.len()..start + prefix.len() + 32)?;
            id.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(start)
        }) {
            n_met += 1;
            let id = masked[start..start + prefix.len() + 32].to_owned();
            masked = masked.replace(&id, &format!("{prefix}{n_met}"));
        }
    }
    for (name, length) in [("\"call_id\":\"", 9), ("\"completed_at\":", 10)] {
        let mut at = 0;
        while let Some(found) = masked.get(at..).and_then(|rest| rest.find(name)) {
            at += found + name.len();
            if !masked[at..].starts_with("null") {
                masked.replace_range(at..at + length, "MASKED");
            }
        }
    }
    masked
}

#[test]
fn a_text_is_told_in_typed_events() {
    let events = [accepted(), text("Hel"), said([]), text("lo \"x\"\n"), finished(FinishReason::Stop)];
    let transcript = transcript(Asked::default(), Tools::default(), Include::default());
    insta::assert_snapshot!(written(transcript, events));
}

#[test]
fn calls_are_told_under_the_clients_names() {
    let tools = tools(
        r#"[{"type":"function","name":"look"},
            {"type":"namespace","name":"crm","tools":[{"type":"function","name":"find"}]},
            {"type":"custom","name":"patch"}]"#,
    );
    let events = [
        accepted(),
        text("Let me see."),
        said([call(0, "look", ""), call(0, "", "{\"at\":")]),
        said([call(0, "", "1}")]),
        said([call(1, "crm__find", "{}"), call(2, "patch", "{\"input\":\"*** Be")]),
        said([call(2, "", "gin\"}")]),
        finished(FinishReason::ToolCalls),
    ];
    insta::assert_snapshot!(written(transcript(Asked::default(), tools, Include::default()), events));
}

#[test]
fn a_thought_is_an_item_of_its_own() {
    let events = || {
        let thought = |text: &str| said([Part::Reasoning(text.into())]);
        let both = said([Part::Reasoning("?".into()), Part::Text("Yes".into())]);
        [accepted(), thought("Is it"), both, text("."), finished(FinishReason::Stop)]
    };
    let include = Include { sealed_reasoning: true, ..Include::default() };
    let plain = transcript(Asked::default(), Tools::default(), include);
    insta::assert_snapshot!("thought", written(plain, events()));

    let mut asked = Asked::default();
    asked.reasoning.summary = Some("auto");
    let summary = transcript(asked, Tools::default(), Include::default());
    insta::assert_snapshot!("thought_as_summary", written(summary, events()));
}

#[test]
fn an_answer_that_is_cut_says_so() {
    let transcript = transcript(Asked::default(), Tools::default(), Include::default());
    let written = written(transcript, [accepted(), text("Hel"), finished(FinishReason::Length)]);
    let last = written.split_terminator("\n\n").last().unwrap();
    assert!(last.starts_with("event: response.incomplete\n"), "{last}");
    assert!(last.contains(r#""incomplete_details":{"reason":"max_output_tokens"}"#), "{last}");
    assert!(last.contains(r#""status":"incomplete","role":"assistant""#), "{last}");
}

#[test]
fn a_model_that_says_nothing_has_said_an_empty_message() {
    let mut transcript = transcript(Asked::default(), Tools::default(), Include::default());
    transcript.take(accepted());
    transcript.take(finished(FinishReason::Stop));
    let output = serde_json::to_value(&transcript.response.output).unwrap();
    assert_eq!(output[0]["content"][0]["text"], "");
    assert_eq!(transcript.response.status, Status::Completed);
}

#[test]
fn a_failure_is_the_end_of_the_same_response() {
    let mut transcript = transcript(Asked::default(), Tools::default(), Include::default());
    transcript.begin();
    transcript.take(accepted());
    transcript.take(text("Hel"));
    transcript.fail(&Error::new(Code::WorkerCrashed, "it crashes workers").into());
    let told = told(&mut transcript);
    insta::assert_snapshot!(told);
    assert!(!told.contains("resp_2"), "one response has one id");
}

#[test]
fn the_cause_of_a_failure_is_one_of_the_apis() {
    let check = |code: Code, expected: &str| {
        let mut response = Response::begin(String::new(), Asked::default());
        response.fail(&Error::new(code, "m").into());
        assert_eq!(serde_json::to_value(&response).unwrap()["error"]["code"], expected, "{code:?}");
    };
    check(Code::WorkerCrashed, "server_error");
    check(Code::NoCapacity, "server_error");
    check(Code::QueueFull, "rate_limit_exceeded");
    check(Code::InvalidRequest, "invalid_prompt");
    check(Code::ContextLengthExceeded, "context_length_exceeded");
}

#[test]
fn log_probabilities_are_told_with_their_text() {
    let logprob = |text: &str| TokenLogprobs {
        token: 1,
        text: text.as_bytes().to_vec(),
        logprob: -0.5,
        top: vec![TopLogprob { token: 2, text: b"x".to_vec(), logprob: f32::NEG_INFINITY }],
    };
    let said = |parts: Vec<Part>, text: &str| {
        Event::Delta(Delta { parts, logprobs: vec![logprob(text)], n_tokens: 1 })
    };
    let include = Include { logprobs: true, ..Include::default() };
    let mut transcript = transcript(Asked::default(), Tools::default(), include);
    for event in [
        accepted(),
        said(vec![Part::Reasoning("no".into())], "no"),
        said(vec![Part::Text("a".into())], "a"),
        said(vec![], "b"),
        said(vec![Part::Text("bc".into())], "c"),
        said(vec![], "d"),
        finished(FinishReason::Stop),
    ] {
        transcript.take(event);
    }
    let output = serde_json::to_value(&transcript.response.output).unwrap();
    let logprobs = output[1]["content"][0]["logprobs"].as_array().unwrap();
    let tokens: Vec<_> = logprobs.iter().map(|logprob| logprob["token"].as_str().unwrap()).collect();
    assert_eq!(tokens, ["a", "b", "c", "d"]);
    assert_eq!(logprobs[0]["top_logprobs"][0]["logprob"], -9999.0);
    let told = told(&mut transcript);
    let deltas: Vec<usize> = told
        .split_terminator("\n\n")
        .filter(|event| event.starts_with("event: response.output_text.delta"))
        .map(|event| event.matches("top_logprobs").count())
        .collect();
    assert_eq!(deltas, [1, 2]);
}

#[test]
fn what_is_cancelled_ends_so() {
    let asked = Asked { background: true, ..Asked::default() };
    let mut transcript = transcript(asked, Tools::default(), Include::default());
    transcript.begin();
    transcript.take(accepted());
    transcript.cancel();
    let kinds: Vec<_> = told(&mut transcript)
        .split_terminator("\n\n")
        .map(|event| event.lines().next().unwrap().to_owned())
        .collect();
    let expected = ["response.created", "response.queued", "response.in_progress", "response.cancelled"];
    assert_eq!(kinds, expected.map(|kind| format!("event: {kind}")));
}

#[test]
fn deltas_can_hide_their_length() {
    let response = Response::begin("tiny".into(), Asked::default());
    let teller = Teller::new(true, true);
    let mut transcript = Transcript::new(response, Tools::default(), Include::default(), teller);
    transcript.take(accepted());
    transcript.take(text("a"));
    let told = told(&mut transcript);
    assert_eq!(told.matches("\"obfuscation\"").count(), 1, "{told}");
}

#[test]
fn log_probabilities_of_what_is_held_back_wait_for_their_text() {
    let event = |parts: &[Part], token: &str| {
        let logprob = TokenLogprobs { text: token.into(), ..TokenLogprobs::default() };
        Event::Delta(Delta { parts: parts.to_vec(), logprobs: vec![logprob], n_tokens: 1 })
    };
    let (said, thought) = (|text: &str| Part::Text(text.into()), |text: &str| Part::Reasoning(text.into()));
    let check = |events: &[Event], expected: &[&str]| {
        let include = Include { logprobs: true, ..Include::default() };
        let mut transcript = transcript(Asked::default(), Tools::default(), include);
        transcript.take(accepted());
        for event in events {
            transcript.take(event.clone());
        }
        transcript.take(finished(FinishReason::Stop));
        let output = serde_json::to_value(&transcript.response.output).unwrap();
        let message = output.as_array().unwrap().iter().find(|item| item["type"] == "message").unwrap();
        let logprobs = message["content"][0]["logprobs"].as_array().unwrap();
        let tokens: Vec<_> = logprobs.iter().map(|logprob| logprob["token"].as_str().unwrap()).collect();
        assert_eq!(tokens, expected, "{events:?}");
    };
    check(&[event(&[], "a"), event(&[], "b"), event(&[said("abc")], "c")], &["a", "b", "c"]);
    check(&[event(&[], "<"), event(&[thought("hm")], "h"), event(&[said("a")], "a")], &["a"]);
    check(&[event(&[], "<"), event(&[thought("hm"), said("a")], "a")], &["a"]);
    check(&[event(&[], "<"), event(&[call(0, "f", "{}")], "f"), event(&[said("a")], "a")], &["a"]);
    check(&[event(&[said("a")], "a"), event(&[], "b"), event(&[thought("hm")], "h")], &["a", "b"]);
}

#[test]
fn a_custom_call_that_is_cut_has_what_was_written_of_its_text() {
    let tools = tools(r#"[{"type":"custom","name":"patch"}]"#);
    let mut transcript = transcript(Asked::default(), tools, Include::default());
    transcript.take(accepted());
    transcript.take(said([call(0, "patch", r#"{"input":"*** Begin Pat"#)]));
    transcript.take(finished(FinishReason::Length));
    let output = serde_json::to_value(&transcript.response.output).unwrap();
    assert_eq!((&output[0]["status"], &output[0]["input"]), (&"incomplete".into(), &"*** Begin Pat".into()));
}
