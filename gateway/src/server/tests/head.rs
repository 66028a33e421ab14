//! When the head of a stream is sent, and with what status. Time is paused: only silence takes any.

use tokio::time::Instant;

use super::*;
use crate::fake::finished;

const PAIR: &str = r#"{"messages":[{"role":"user","content":"hi"}],"stream":true,"n":2}"#;

/// The worker's first word after so many seconds.
fn after(seconds: u64, step: Step) -> Vec<Step> {
    vec![Step::Wait(Duration::from_secs(seconds)), step, delta(0, &[1], "a"), finished(1, &[2], "")]
}

fn refusal() -> Step {
    Step::Fail(Error::new(Code::ContextLengthExceeded, "too long").with_param("messages"))
}

/// What `body` is answered by workers that do this, one for each choice: its head's status, and the seconds until the
/// head and until the end; then the whole.
async fn exchange(body: &str, scripts: Vec<Vec<Step>>) -> ((u16, u64, u64), String) {
    let fake = Fake::start();
    for script in scripts {
        fake.script(script);
    }
    let started = Instant::now();
    let response = answer(app(fake.gateway()), post(CHAT_PATH, body.to_owned())).await.unwrap();
    let head = started.elapsed().as_secs();
    let (parts, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    ((parts.status.as_u16(), head, started.elapsed().as_secs()), text)
}

fn n_signs_of_life(text: &str) -> usize {
    text.matches(r#""delta":{},"logprobs":null,"finish_reason":null"#).count()
}

#[tokio::test(start_paused = true)]
async fn a_head_is_sent_when_nothing_is_left_to_refuse_or_after_a_while() {
    let check = async |script: Vec<Step>, expected: (u16, u64, u64), n_expected: usize| {
        let (told, text) = exchange(STREAMED, vec![script]).await;
        assert_eq!((told, n_signs_of_life(&text)), (expected, n_expected), "{text}");
        assert_eq!(text.ends_with("data: [DONE]\n\n"), !text.contains("error"), "{text}");
        assert_eq!(text.contains("context_length_exceeded"), text.contains("error"), "{text}");
    };
    check(after(0, accepted()), (200, 0, 0), 0).await;
    check(after(4, accepted()), (200, 4, 4), 0).await;
    check(after(35, accepted()), (200, 10, 35), 2).await;
    check(after(0, refusal()), (400, 0, 0), 0).await;
    check(after(4, refusal()), (400, 4, 4), 0).await;
    // Too late for a status.
    check(after(35, refusal()), (200, 10, 35), 2).await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_the_supervisor_has_its_status() {
    for (code, status) in [
        (Code::ModelNotFound, 404),
        (Code::ModelLoadFailed, 503),
        (Code::NoCapacity, 503),
        (Code::QueueFull, 429),
    ] {
        for body in [CHAT, STREAMED, PAIR] {
            let fake = Fake::start();
            fake.refuse_lease(Error::new(code, "no"));
            let answer = send(&fake, post(CHAT_PATH, body)).await;
            assert_eq!(answer.error().0, status, "{}", answer.text);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_waits_for_all_choices_until_one_speaks() {
    let silent = || vec![accepted(), Step::Stall];
    let check = async |scripts: Vec<Vec<Step>>, expected: (u16, u64, u64)| {
        let (told, text) = exchange(PAIR, scripts).await;
        assert_eq!(told, expected, "{text}");
    };
    check(vec![after(0, accepted()), after(0, accepted())], (200, 0, 0)).await;
    check(vec![after(0, accepted()), after(15, accepted())], (200, 0, 15)).await;
    check(vec![silent(), after(0, refusal())], (400, 0, 0)).await;
    check(vec![silent(), after(4, refusal())], (400, 4, 4)).await;
    check(vec![silent(), after(15, refusal())], (200, 10, 15)).await;
}

#[tokio::test]
async fn choices_are_answered_streamed_and_whole() {
    let fake = Fake::start();
    let script = || ["one two", "uno dos tres"].map(|text| fake.script(completion(text)));
    script();
    let streamed = send(&fake, post(CHAT_PATH, PAIR)).await;
    let frames: Vec<Value> = streamed
        .text
        .strip_suffix("data: [DONE]\n\n")
        .expect("it ends with [DONE]")
        .split_terminator("\n\n")
        .map(|frame| serde_json::from_str(frame.strip_prefix("data: ").unwrap()).unwrap())
        .collect();
    script();
    let whole =
        send(&fake, post(CHAT_PATH, PAIR.replace("\"stream\":true", "\"stream\":false"))).await.json();
    let usage = &whole["usage"];
    let counts =
        ["prompt_tokens", "completion_tokens", "total_tokens"].map(|name| usage[name].as_u64().unwrap());
    assert_eq!(counts, [5, 3 + 4, 12]);
    assert_eq!(usage["prompt_tokens_details"]["cached_tokens"], 3);
    for (index, expected) in ["one two", "uno dos tres"].into_iter().enumerate() {
        let choice = &whole["choices"][index];
        assert_eq!((&choice["index"], &choice["finish_reason"]), (&index.into(), &"stop".into()));
        assert_eq!(choice["message"]["content"], expected);
        let of_choice =
            frames.iter().map(|frame| &frame["choices"][0]).filter(|choice| choice["index"] == index);
        let text: String =
            of_choice.clone().filter_map(|choice| choice["delta"]["content"].as_str()).collect();
        assert_eq!(text, expected);
        let ends: Vec<&Value> =
            of_choice.map(|choice| &choice["finish_reason"]).filter(|end| !end.is_null()).collect();
        assert_eq!(ends, ["stop"]);
    }
}

#[tokio::test]
async fn how_long_a_model_is_to_stay_is_passed_on() {
    let fake = Fake::start();
    let check = async |path: &str, body: &str, expected: &[Option<i64>]| {
        let n_asked = fake.acquire_requests().len();
        assert_eq!(send(&fake, post(path, body.to_owned())).await.status, StatusCode::OK, "{body}");
        let asked: Vec<_> =
            fake.acquire_requests()[n_asked..].iter().map(|request| request.keep_alive_s).collect();
        assert_eq!(asked, expected, "{body}");
    };
    check(CHAT_PATH, CHAT, &[None]).await;
    check(CHAT_PATH, &CHAT.replacen('{', r#"{"keep_alive":"1h30m","n":2,"#, 1), &[Some(5400); 2]).await;
    check("/v1/completions", r#"{"prompt":"x","keep_alive":0}"#, &[Some(0)]).await;
    check("/v1/embeddings", r#"{"input":"x","keep_alive":-1}"#, &[Some(-1)]).await;
}
