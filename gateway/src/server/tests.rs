use std::net::SocketAddr;

use axum::http::{HeaderMap, StatusCode, header::HOST};
use http_body_util::BodyExt;
use impetus_config::GatewayConfig;
use impetus_proto::{
    Code, Error,
    supervisor::{ModelStatus, StatusReply, WorkerStatus},
};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
    task::JoinHandle,
};

use super::*;
use crate::fake::{
    Fake, Step, accepted, completion, delta,
    embedding::{self, Embed},
};

mod access;
mod admin;
mod anthropic;
mod endpoints;
mod entrances;
mod head;
mod limits;
mod making;
mod ollama;
mod openai;
mod responses;
mod tls;
mod wire;

const CHAT: &str = r#"{"messages":[{"role":"user","content":"hi"}]}"#;
const STREAMED: &str = r#"{"messages":[{"role":"user","content":"hi"}],"stream":true}"#;
const CHAT_PATH: &str = "/v1/chat/completions";

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Status and code of an error.
    fn error(&self) -> (u16, String) {
        let error = &self.json()["error"];
        assert!(error["message"].as_str().is_some_and(|message| message.len() > 1), "{}", self.text);
        let should_retry = self.headers["x-should-retry"].to_str().unwrap();
        assert_eq!(error["retryable"].to_string(), should_retry, "{}", self.text);
        (self.status.as_u16(), error["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// What is served at the server's own entrance.
fn app(gateway: Gateway) -> App {
    super::app(gateway, Entrance::Gateway)
}

async fn send(fake: &Fake, request: Request<Body>) -> Answer {
    send_to(fake.gateway(), request).await
}

async fn send_to(gateway: Gateway, request: Request<Body>) -> Answer {
    let response = answer(app(gateway), request).await.unwrap();
    let (head, body) = response.into_parts();
    let text = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
    assert!(head.headers.contains_key(request_id::HEADER), "every answer has its id");
    Answer { status: head.status, headers: head.headers, text }
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).header(HOST, "localhost").body(Body::empty()).unwrap()
}

fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path).header(HOST, "localhost").body(body.into()).unwrap()
}

#[tokio::test]
async fn streamed_and_whole_say_the_same() {
    let fake = Fake::start();
    for path in [CHAT_PATH, "/v1/completions"] {
        fake.script(completion("one two three"));
        fake.script(completion("one two three"));
        let field = if path == CHAT_PATH { "\"messages\":[{\"role\":\"user\"}]" } else { "\"prompt\":\"x\"" };
        let whole = send(&fake, post(path, format!("{{{field}}}"))).await;
        let streamed = send(&fake, post(path, format!("{{{field},\"stream\":true}}"))).await;
        assert_eq!(streamed.headers["content-type"], "text/event-stream; charset=utf-8");
        let pointer = if path == CHAT_PATH { "/delta/content" } else { "/text" };
        let events = streamed.text.strip_suffix("data: [DONE]\n\n").expect("it ends with [DONE]");
        let text: String = events
            .split_terminator("\n\n")
            .filter_map(|event| {
                let event = event.strip_prefix("data: ").unwrap();
                let choice = serde_json::from_str::<Value>(event).unwrap()["choices"][0].take();
                choice.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
            })
            .collect();
        assert_eq!(text, "one two three");
        let choice = whole.json()["choices"][0].take();
        let whole_text = choice.pointer("/message/content").or(choice.get("text")).unwrap();
        assert_eq!(whole_text, "one two three");
        assert_eq!(choice["finish_reason"], "stop");
    }
}

#[tokio::test]
async fn errors_have_one_shape() {
    let fake = Fake::start();
    let check = async |request: Request<Body>, status: u16, code: &str| {
        let what = format!("{request:?}");
        assert_eq!(send(&fake, request).await.error(), (status, code.to_owned()), "{what}");
    };
    check(get("/nowhere"), 404, "not_found").await;
    check(post("/v1/audio/speech", "{}"), 404, "not_found").await;
    check(get("/v1/embeddings"), 405, "method_not_allowed").await;
    check(post("/v1/embeddings", "{}"), 400, "invalid_value").await;
    check(get(CHAT_PATH), 405, "method_not_allowed").await;
    check(post("/v1/models", ""), 405, "method_not_allowed").await;
    check(post("/health", ""), 405, "method_not_allowed").await;
    check(get("/v1/models/absent"), 404, "model_not_found").await;
    check(post(CHAT_PATH, "{"), 400, "invalid_value").await;
    check(post(CHAT_PATH, ""), 400, "invalid_value").await;
    check(post(CHAT_PATH, "{}"), 400, "invalid_value").await;
    check(post(CHAT_PATH, r#"{"model":"absent","messages":[{"role":"user"}]}"#), 404, "model_not_found")
        .await;
    check(post(CHAT_PATH, r#"{"messages":[{"role":"user"}],"n":129}"#), 400, "invalid_value").await;
    check(post("/v1/completions", r#"{"prompt":"x","store":true}"#), 400, "unsupported_parameter").await;
    check(post("/v1/completions", r#"{"prompt":7}"#), 400, "invalid_value").await;
}

#[tokio::test]
async fn before_the_head_an_error_is_a_status() {
    let fake = Fake::start();
    for (code, status, name, is_retryable) in [
        (Code::ContextLengthExceeded, 400, "context_length_exceeded", false),
        (Code::NoCapacity, 503, "no_capacity", true),
        (Code::Internal, 500, "internal_error", false),
    ] {
        for body in [CHAT, STREAMED] {
            fake.script([Step::Fail(Error::new(code, "no").with_param("messages").with_retry_after(9))]);
            let answer = send(&fake, post(CHAT_PATH, body)).await;
            assert_eq!(answer.error(), (status, name.to_owned()));
            assert_eq!(answer.json()["error"]["param"], "messages");
            assert_eq!(answer.json()["error"]["retryable"], is_retryable);
            assert_eq!(answer.headers["retry-after"], "9");
        }
    }
}

#[tokio::test]
async fn after_the_head_an_error_is_an_event() {
    let fake = Fake::start();
    let crash = || fake.script([accepted(), delta(0, &[1], "a"), Step::Die]);
    crash();
    let streamed = send(&fake, post(CHAT_PATH, STREAMED)).await;
    assert_eq!(streamed.status, StatusCode::OK);
    assert!(!streamed.text.contains("[DONE]"));
    let last = streamed.text.trim_end().rsplit("\n\n").next().unwrap().strip_prefix("data: ").unwrap();
    assert_eq!(serde_json::from_str::<Value>(last).unwrap()["error"]["code"], "worker_crashed");
    crash();
    assert_eq!(send(&fake, post(CHAT_PATH, CHAT)).await.error(), (500, "worker_crashed".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_head_is_not_kept_waiting_for_a_worker() {
    let fake = Fake::start();
    fake.delay_lease(Duration::from_secs(25));
    let answer = send(&fake, post(CHAT_PATH, STREAMED)).await;
    assert_eq!(answer.status, StatusCode::OK);
    let frames: Vec<Value> = answer
        .text
        .split_terminator("\n\n")
        .filter_map(|frame| serde_json::from_str(frame.strip_prefix("data: ").unwrap()).ok())
        .collect();
    assert_eq!(frames[0]["choices"][0]["delta"]["role"], "assistant");
    assert!(frames.iter().all(|frame| frame["model"] == "tiny" && frame["id"] == frames[0]["id"]));
    let is_empty =
        |frame: &&Value| frame["choices"][0]["delta"].as_object().is_some_and(serde_json::Map::is_empty);
    // One sign of life, and the finish.
    assert_eq!(frames.iter().filter(is_empty).count(), 2, "{}", answer.text);
    assert!(answer.text.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn ids_are_kept_and_passed_on() {
    let fake = Fake::start();
    let request = Request::post(CHAT_PATH)
        .header(HOST, "localhost")
        .header("x-request-id", "mine-1")
        .body(Body::from(CHAT))
        .unwrap();
    assert_eq!(send(&fake, request).await.headers["x-request-id"], "mine-1");
    assert_eq!(fake.request_ids(), ["mine-1", "mine-1"]);
}

#[tokio::test]
async fn ignored_fields_are_named() {
    let fake = Fake::start();
    let body = r#"{"messages":[{"role":"user"}],"beta":1,"stream":true}"#;
    let answer = send(&fake, post(CHAT_PATH, body)).await;
    assert_eq!(answer.headers["x-impetus-ignored"], "beta");
}

#[tokio::test]
async fn vectors_are_answered_and_what_was_cut_is_said() {
    let fake = Fake::start();
    let long = "x".repeat(embedding::LIMIT + 1);
    let body = serde_json::json!({"model": "small", "input": [long, "b", long], "beta": 1}).to_string();
    let answer = send(&fake, post("/v1/embeddings", body.clone())).await;
    let list = answer.json();
    assert_eq!((list["object"].as_str(), list["model"].as_str()), (Some("list"), Some("tiny")));
    assert_eq!(list["data"][1]["embedding"][2], 1.0);
    let n_tokens = 2 * embedding::LIMIT + 1;
    assert_eq!(list["usage"], serde_json::json!({"prompt_tokens": n_tokens, "total_tokens": n_tokens}));
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.headers["x-impetus-ignored"], "beta");
    assert_eq!(answer.headers["x-impetus-truncated"], "0,2");

    let config = Config {
        gateway: GatewayConfig { truncate_inputs: true, ..GatewayConfig::default() },
        ..Config::default()
    };
    send_to(Gateway::new(&config, &fake.socket()).unwrap(), post("/v1/embeddings", body)).await;
    let told: Vec<bool> = fake.embed_requests().iter().map(|request| request.truncate).collect();
    assert_eq!(told, [false, true]);

    let refusal = Error::new(Code::ContextLengthExceeded, "long").with_param("input[2]");
    fake.script_embeds(0, [Embed::Fail(refusal)]);
    let refused = send(&fake, post("/v1/embeddings", r#"{"input":"x"}"#)).await;
    assert_eq!(refused.error(), (400, "context_length_exceeded".to_owned()));
    assert_eq!(refused.json()["error"]["param"], "input[2]");

    let text = send(&fake, get("/metrics")).await.text;
    for status in [200, 400] {
        let model = if status == 200 { "tiny" } else { "" };
        let counted = format!(
            "impetus_requests_total{{endpoint=\"/v1/embeddings\",model=\"{model}\",status=\"{status}\"}}"
        );
        assert!(text.contains(&counted), "{counted} is not in\n{text}");
    }
}

#[tokio::test]
async fn models_are_listed_with_what_is_known_of_them() {
    let fake = Fake::start();
    let model = |name: &str, state: &str| ModelStatus {
        name: name.into(),
        state: state.into(),
        aliases: vec!["other/name".into()],
        task: "generate".into(),
        ..ModelStatus::default()
    };
    fake.set_models(vec![model("one", "ready"), model("two", "broken")]);
    let list = send(&fake, get("/v1/models")).await;
    insta::assert_snapshot!("models", serde_json::to_string_pretty(&list.json()).unwrap());
    let by_alias = send(&fake, get("/v1/models/other/name")).await;
    assert_eq!(by_alias.json()["id"], "one");
}

#[tokio::test]
async fn ready_means_that_the_default_model_is_servable() {
    let fake = Fake::start();
    assert_eq!(send(&fake, get("/ready")).await.status, StatusCode::OK);
    let model = |state: &str| ModelStatus {
        name: "m".into(),
        state: state.into(),
        detail: "why".into(),
        is_default: true,
        ..ModelStatus::default()
    };
    for (state, expected) in
        [("available", 200), ("loading", 200), ("backoff", 200), ("failed", 503), ("broken", 503)]
    {
        fake.set_models(vec![model(state)]);
        let answer = send(&fake, get("/ready")).await;
        assert_eq!(answer.status.as_u16(), expected, "{state}: {}", answer.text);
    }
    fake.set_models(Vec::new());
    assert_eq!(send(&fake, get("/ready")).await.status.as_u16(), 503);
    let alone = Gateway::new(&Config::default(), "/nonexistent/supervisor.sock").unwrap();
    assert_eq!(send_to(alone.clone(), get("/ready")).await.error(), (503, "unavailable".to_owned()));
    assert_eq!(send_to(alone, get("/health")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn metrics_tell_of_requests_and_workers() {
    let fake = Fake::start();
    let worker =
        WorkerStatus { id: "gguf-1".into(), state: "ready".into(), restarts: 3, ..WorkerStatus::default() };
    fake.set_status(StatusReply { workers: vec![worker], ..StatusReply::default() });
    send(&fake, post(CHAT_PATH, CHAT)).await;
    let text = send(&fake, get("/metrics")).await.text;
    for expected in [
        "impetus_requests_total{endpoint=\"/v1/chat/completions\",model=\"tiny\",status=\"200\"}",
        "impetus_completion_tokens_total{model=\"tiny\"}",
        "impetus_prompt_cached_tokens_total{model=\"tiny\"}",
        "impetus_time_to_first_token_seconds_bucket{model=\"tiny\"",
        "impetus_inter_token_seconds_count{model=\"tiny\"}",
        "impetus_lease_wait_seconds_bucket{model=\"tiny\"",
        "impetus_requests_in_flight{endpoint=\"/metrics\"}",
        "impetus_requests_waiting ",
        "impetus_supervisor_up 1",
        "impetus_worker_state{worker=\"gguf-1\",model=\"\",format=\"\",state=\"ready\"} 1",
        "impetus_worker_restarts_total{worker=\"gguf-1\",model=\"\",format=\"\"} 3",
    ] {
        assert!(text.contains(expected), "{expected} is not in\n{text}");
    }
}

#[tokio::test]
async fn a_panic_is_an_answer() {
    let broken = Router::new().route("/", axum::routing::get(|| async { panic!("on purpose") as () }));
    let broken = App { router: broken, ..app(Fake::start().gateway()) };
    let response = answer(broken, get("/")).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(response.headers().contains_key(request_id::HEADER));
}
