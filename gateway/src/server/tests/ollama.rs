//! Ollama's dialect, through the whole server.

use impetus_proto::{
    supervisor::WorkerStatus,
    worker::{FinishReason, GenerateRequest, Infill, generate_request::Input},
};
use serde_json::json;

use super::*;
use crate::{
    access::tests::config,
    fake::{MODEL, finished_for, saying_parts},
};
use impetus_proto::worker::{ToolCallDelta, part::Part};

const CHAT_BODY: &str = r#"{"model":"small","messages":[{"role":"user","content":"hi"}]}"#;

/// An answer's text without what differs from one run to the next.
fn steady(text: &str) -> String {
    let line = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        if let Some(object) = line.as_object_mut() {
            if let Some(at) = object.get_mut("created_at") {
                *at = json!("[moment]");
            }
            for name in ["total_duration", "load_duration"] {
                if let Some(duration) = object.get_mut(name) {
                    assert!(duration.is_u64(), "{duration}");
                    *duration = json!("[duration]");
                }
            }
        }
        line.to_string()
    };
    text.lines().map(line).collect::<Vec<_>>().join("\n")
}

async fn ask(fake: &Fake, path: &str, body: &str) -> Answer {
    send(fake, post(path, body.to_owned())).await
}

/// The answer to a request whose answer is not to be streamed.
async fn whole(fake: &Fake, path: &str, body: &str) -> Value {
    let answer = ask(fake, path, &body.replacen('{', r#"{"stream":false,"#, 1)).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/json");
    answer.json()
}

fn last(fake: &Fake) -> GenerateRequest {
    fake.requests().pop().expect("the worker was asked")
}

#[tokio::test]
async fn a_chat_is_streamed_unless_it_is_not_to_be() {
    let fake = Fake::start();
    let script = || {
        let call = |arguments: &str, name: &str| {
            let (name, arguments, id) = (name.into(), arguments.into(), "call00001".into());
            Part::ToolCall(ToolCallDelta { index: 0, name, arguments, id })
        };
        fake.script([
            accepted(),
            saying_parts(0, &[1], [Part::Reasoning("hm".into())]),
            delta(1, &[2], "one "),
            saying_parts(2, &[3], [call("{\"city\":", "weather")]),
            saying_parts(3, &[4], [call("\"Ulm\"}", "")]),
            finished_for(FinishReason::ToolCalls, 4, &[5], ""),
        ]);
    };
    script();
    let streamed = ask(&fake, "/api/chat", CHAT_BODY).await;
    assert_eq!(streamed.headers["content-type"], "application/x-ndjson");
    insta::assert_snapshot!("chat_streamed", steady(&streamed.text));
    script();
    let answer = whole(&fake, "/api/chat", CHAT_BODY).await;
    insta::assert_snapshot!("chat_whole", steady(&answer.to_string()));
}

#[tokio::test]
async fn a_completion_is_streamed_unless_it_is_not_to_be() {
    let fake = Fake::start();
    let body = r#"{"model":"small:latest","prompt":"hi"}"#;
    fake.script(completion("one two"));
    let streamed = ask(&fake, "/api/generate", body).await;
    assert_eq!(streamed.headers["content-type"], "application/x-ndjson");
    insta::assert_snapshot!("generate_streamed", steady(&streamed.text));
    fake.script(completion("one two"));
    let answer = whole(&fake, "/api/generate", body).await;
    insta::assert_snapshot!("generate_whole", steady(&answer.to_string()));
}

#[tokio::test]
async fn a_prompt_reaches_the_worker_as_it_was_meant() {
    let fake = Fake::start();
    whole(&fake, "/api/generate", r#"{"prompt":"a","raw":true,"options":{"temperature":0,"num_predict":5}}"#)
        .await;
    let request = last(&fake);
    assert_eq!(request.input, Some(Input::Text("a".into())));
    assert_eq!(request.sampling.map(|sampling| sampling.temperature), Some(0.0));
    assert_eq!(request.stopping.and_then(|stopping| stopping.max_tokens), Some(5));
    whole(&fake, "/api/generate", r#"{"prompt":"a","suffix":"b"}"#).await;
    let infill = Infill { prefix: "a".into(), suffix: "b".into(), ..Infill::default() };
    assert_eq!(last(&fake).input, Some(Input::Infill(infill)));
    whole(&fake, "/api/generate", r#"{"prompt":"a","system":"s","template":"{{ messages }}","think":false}"#)
        .await;
    let Some(Input::Chat(chat)) = last(&fake).input else { panic!("it is a chat") };
    let said: Vec<&str> = chat.messages.iter().map(|message| message.content.as_str()).collect();
    assert_eq!((said, chat.reasoning.unwrap().enabled), (vec!["s", "a"], Some(false)));
    let format = r#"{"messages":[{"role":"user","content":"a"}],"format":{"type":"object"}}"#;
    whole(&fake, "/api/chat", format).await;
    assert!(last(&fake).structure.is_some());
}

#[tokio::test]
async fn num_ctx_is_kept_to_or_refused_with_the_numbers() {
    let fake = Fake::start();
    let ask = async |num_ctx: u32, num_predict: i32| {
        let body = json!({"model": MODEL, "prompt": "abcd", "raw": true, "stream": false,
            "options": {"num_ctx": num_ctx, "num_predict": num_predict}});
        ask(&fake, "/api/generate", &body.to_string()).await
    };
    let max_tokens = || last(&fake).stopping.and_then(|stopping| stopping.max_tokens);
    // The fake has 2048 tokens of context, and the prompt is one for each byte and one before them.
    assert_eq!(ask(2048, -1).await.status, StatusCode::OK);
    assert_eq!((max_tokens(), fake.tokenize_requests().len()), (None, 0));
    assert_eq!(ask(100, -1).await.status, StatusCode::OK);
    assert_eq!(max_tokens(), Some(95));
    assert_eq!(ask(100, 7).await.status, StatusCode::OK);
    assert_eq!(max_tokens(), Some(7));
    let n_asked = fake.requests().len();
    let refused = async |num_ctx: u32, numbers: [&str; 2]| {
        let answer = ask(num_ctx, -1).await;
        let message = answer.json()["error"].as_str().unwrap().to_owned();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert!(numbers.iter().all(|number| message.contains(number)), "{message}");
    };
    refused(2049, ["2049", "2048"]).await;
    refused(5, ["5 tokens", "has 5"]).await;
    assert_eq!(fake.requests().len(), n_asked);
}

#[tokio::test]
async fn nothing_to_say_loads_and_unloads() {
    let fake = Fake::start();
    let check = async |path: &str, body: &str, reason: &str, n_asked: usize| {
        let before = fake.acquire_requests().len();
        let answer = ask(&fake, path, body).await;
        let value = answer.json();
        assert_eq!(
            (answer.status, &value["done_reason"], &value["done"]),
            (StatusCode::OK, &json!(reason), &json!(true))
        );
        assert_eq!(value["model"], "small");
        assert_eq!(fake.acquire_requests().len() - before, n_asked, "{body}");
    };
    check("/api/generate", r#"{"model":"small","keep_alive":"5m"}"#, "load", 1).await;
    assert_eq!(fake.acquire_requests().pop().unwrap().keep_alive_s, Some(300));
    check("/api/chat", r#"{"model":"small","messages":[],"keep_alive":-1}"#, "load", 1).await;
    check("/api/generate", r#"{"model":"small","prompt":"","keep_alive":0}"#, "unload", 1).await;
    assert_eq!(fake.acquire_requests().pop().unwrap().keep_alive_s, Some(0));
    let idle = ModelStatus { name: "small".into(), state: "available".into(), ..ModelStatus::default() };
    fake.set_models(vec![idle]);
    check("/api/chat", r#"{"model":"small","keep_alive":0}"#, "unload", 0).await;
    assert!(fake.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_head_is_not_kept_waiting_for_a_model() {
    let ask = async |body: &str| -> Vec<Value> {
        let fake = Fake::start();
        fake.delay_lease(Duration::from_secs(25));
        let answer = ask(&fake, "/api/generate", body).await;
        assert_eq!(answer.headers["content-type"], "application/x-ndjson");
        answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    // One when the head is sent, and one later.
    let is_empty = |line: &&Value| line["response"] == "" && line["done"] == false;
    let loaded = ask(r#"{"model":"small"}"#).await;
    assert_eq!(loaded.iter().filter(is_empty).count(), 2, "{loaded:?}");
    assert_eq!(loaded.last().unwrap()["done_reason"], "load");
    for body in [r#"{"prompt":"x"}"#, r#"{"prompt":"x","options":{"num_ctx":512}}"#] {
        let told = ask(body).await;
        // What the head waits for is no silence.
        assert_eq!(told.iter().filter(is_empty).count(), 1, "{told:?}");
        let end = told.last().unwrap();
        assert_eq!(end["done_reason"], "stop");
        assert!(
            end["load_duration"].as_u64().unwrap() >= 25_000_000_000 || body.contains("num_ctx"),
            "{end}"
        );
    }
}

#[tokio::test]
async fn errors_have_this_apis_shape() {
    let fake = Fake::start();
    let check = async |request: Request<Body>, status: u16, said: &str| {
        let what = format!("{request:?}");
        let answer = send(&fake, request).await;
        let value = answer.json();
        assert_eq!(value.as_object().map(serde_json::Map::len), Some(1), "{value}");
        let message = value["error"].as_str().unwrap();
        assert_eq!(answer.status.as_u16(), status, "{what}: {message}");
        assert!(message.contains(said), "{what}: {message}");
        assert_eq!(answer.headers["content-type"], "application/json");
    };
    let absent = r#"model "nobody" not found, try pulling it first"#;
    for path in ["/api/chat", "/api/generate", "/api/embed", "/api/embeddings", "/api/show"] {
        check(
            post(path, r#"{"model":"nobody","messages":[{"role":"user"}],"prompt":"x","input":"x"}"#),
            404,
            absent,
        )
        .await;
        check(post(path, "{"), 400, "JSON").await;
        check(get(path), 405, path).await;
    }
    check(get("/api/nowhere"), 404, "/api/nowhere").await;
    check(post("/api/tags", ""), 405, "POST").await;
    check(
        post("/api/chat", r#"{"messages":[{"role":"user","images":["aGk="]}]}"#),
        400,
        "messages[0].images",
    )
    .await;
    check(post("/api/chat", r#"{"messages":[{"role":"user"}],"truncate":true}"#), 400, "truncate").await;
    check(post("/api/chat", r#"{"messages":[{"role":"user"}],"shift":true}"#), 400, "shift").await;
    check(
        post("/api/chat", r#"{"messages":[{"role":"user"}],"think":true}"#),
        400,
        "does not support thinking",
    )
    .await;
    check(post("/api/generate", r#"{"prompt":"x","context":[1]}"#), 400, "context").await;
    check(post("/api/generate", r#"{"prompt":"x","template":"other"}"#), 400, "template").await;
    check(post("/api/generate", r#"{"prompt":"x","options":{"top_p":7}}"#), 400, "options.top_p").await;
    fake.script([Step::Fail(Error::new(Code::Unprocessable, "no such tokens").with_param("suffix"))]);
    check(
        post("/api/generate", r#"{"model":"small","prompt":"x","suffix":"y"}"#),
        400,
        r#""small" does not support insert"#,
    )
    .await;
    fake.script([Step::Fail(Error::new(Code::NoCapacity, "no room").with_retry_after(9))]);
    check(post("/api/chat", CHAT_BODY), 503, "no room").await;
    let large = Config {
        gateway: GatewayConfig { max_body_bytes: 8, ..GatewayConfig::default() },
        ..Config::default()
    };
    let refused = send_to(Gateway::new(&large, &fake.socket()).unwrap(), post("/api/chat", CHAT_BODY)).await;
    assert_eq!((refused.status.as_u16(), refused.json()["error"].is_string()), (413, true));
    let keyed = Gateway::new(&config("[[auth.key]]\nname = 'a'\nkey = 'sk-user-01234567'\n"), &fake.socket())
        .unwrap();
    let refused = send_to(keyed, get("/api/tags")).await;
    assert_eq!((refused.status.as_u16(), refused.json()["error"].is_string()), (401, true));
}

#[tokio::test]
async fn a_stream_that_fails_ends_with_an_error() {
    let fake = Fake::start();
    let lost = Error::new(Code::Internal, "a defect");
    fake.script([accepted(), delta(0, &[1], "a"), Step::Fail(lost)]);
    let answer = ask(&fake, "/api/chat", CHAT_BODY).await;
    assert_eq!(answer.status, StatusCode::OK);
    let last: Value = serde_json::from_str(answer.text.lines().last().unwrap()).unwrap();
    assert_eq!(last, json!({"error": "a defect"}));
    assert!(!answer.text.contains("\"done\":true"));
}

#[tokio::test]
async fn what_has_no_effect_is_named_beside_the_answer() {
    let fake = Fake::start();
    let body = r#"{"prompt":"x","options":{"num_gpu":1,"beta":2},"gamma":3}"#;
    let answer = ask(&fake, "/api/generate", body).await;
    assert_eq!(answer.headers["x-impetus-ignored"], "options.num_gpu,options.beta,gamma");
}

#[tokio::test]
async fn texts_become_vectors() {
    let fake = Fake::start();
    let answer =
        ask(&fake, "/api/embed", r#"{"model":"small","input":["a","bc"],"dimensions":2,"keep_alive":7}"#)
            .await;
    insta::assert_snapshot!("embed", steady(&answer.text));
    let request = fake.embed_requests().pop().unwrap();
    assert_eq!((request.truncate, request.dimensions), (true, 2));
    let long = "x".repeat(embedding::LIMIT + 1);
    let cut = ask(&fake, "/api/embed", &json!({"model": "small", "input": ["a", long]}).to_string()).await;
    assert_eq!(cut.headers["x-impetus-truncated"], "1");
    let one = ask(&fake, "/api/embeddings", r#"{"model":"small","prompt":"a"}"#).await;
    assert_eq!(one.json()["embedding"].as_array().map(Vec::len), Some(3));
    let n_asked = fake.embed_requests().len();
    assert_eq!(ask(&fake, "/api/embed", r#"{"model":"small"}"#).await.json()["embeddings"], json!([]));
    assert_eq!(ask(&fake, "/api/embeddings", r#"{"model":"small"}"#).await.json(), json!({"embedding": []}));
    assert_eq!(fake.embed_requests().len(), n_asked);
}

fn models() -> Vec<ModelStatus> {
    let tiny = ModelStatus {
        name: MODEL.into(),
        aliases: vec!["small".into(), "chat:7b".into()],
        state: "ready".into(),
        format: "gguf".into(),
        architecture: "llama".into(),
        quantization: "Q8_0".into(),
        task: "generate".into(),
        parameters: 1_100_048_384,
        size_bytes: 42,
        modified_unix_s: 1_700_000_000,
        context_tokens: 2048,
        trained_context_tokens: 4096,
        is_default: true,
        ..ModelStatus::default()
    };
    let idle = ModelStatus {
        name: "idle".into(),
        state: "available".into(),
        aliases: Vec::new(),
        is_default: false,
        ..tiny.clone()
    };
    let broken = ModelStatus { name: "broken".into(), state: "broken".into(), ..idle.clone() };
    vec![tiny, idle, broken]
}

#[tokio::test]
async fn models_are_listed_and_described() {
    let fake = Fake::start();
    fake.set_models(models());
    let tags = send(&fake, get("/api/tags")).await.json();
    insta::assert_snapshot!("tags", serde_json::to_string_pretty(&tags).unwrap());
    let shown = ask(&fake, "/api/show", r#"{"name":"small"}"#).await.json();
    insta::assert_snapshot!("show", serde_json::to_string_pretty(&shown).unwrap());
    let n_leases = fake.acquire_requests().len();
    let shown = ask(&fake, "/api/show", r#"{"model":"idle:latest"}"#).await.json();
    assert_eq!((&shown["capabilities"], fake.acquire_requests().len()), (&json!(["completion"]), n_leases));
    let version = send(&fake, get("/api/version")).await.json();
    assert_eq!(version["impetus"], env!("CARGO_PKG_VERSION"));
}

#[tokio::test]
async fn loaded_models_are_listed_until_they_go() {
    let fake = Fake::start();
    let worker = |model: &str, state: &str, leaves_in_s: Option<u64>| WorkerStatus {
        model: model.into(),
        state: state.into(),
        footprint_bytes: 1000,
        leaves_in_s,
        ..WorkerStatus::default()
    };
    let workers =
        vec![worker(MODEL, "ready", None), worker("idle", "loading", None), worker("", "standby", None)];
    fake.set_status(StatusReply { workers, models: models(), ..StatusReply::default() });
    let mut running = send(&fake, get("/api/ps")).await.json();
    let expires = running["models"][0]["expires_at"].take();
    assert!(expires.as_str().unwrap() > "2300", "{expires}");
    insta::assert_snapshot!("ps", serde_json::to_string_pretty(&running).unwrap());
}

#[tokio::test]
async fn a_preset_speaks_first() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    let recipe = json!({"model": "mario", "from": MODEL, "system": "You are Mario.", "stream": false,
        "messages": [{"role": "user", "content": "Who?"}], "parameters": {"temperature": 0.1, "num_ctx": 512}});
    let made = send_to(gateway.clone(), post("/api/create", recipe.to_string())).await;
    assert_eq!(made.status, StatusCode::OK, "{}", made.text);
    let body = r#"{"model":"Mario:latest","messages":[{"role":"user","content":"hi"}],"stream":false}"#;
    let answer = send_to(gateway.clone(), post("/api/chat", body)).await;
    assert_eq!((answer.status, &answer.json()["model"]), (StatusCode::OK, &json!("Mario:latest")));
    let request = last(&fake);
    let Some(Input::Chat(chat)) = request.input else { panic!("it is a chat") };
    let said: Vec<(&str, &str)> =
        chat.messages.iter().map(|message| (message.role.as_str(), message.content.as_str())).collect();
    assert_eq!(said, [("system", "You are Mario."), ("user", "Who?"), ("user", "hi")]);
    assert!((request.sampling.unwrap().temperature - 0.1).abs() < 1e-6);
    assert!(request.stopping.unwrap().max_tokens.unwrap() < 512);
    fake.set_models(models());
    let tags = send_to(gateway.clone(), get("/api/tags")).await.json();
    let preset = tags["models"].as_array().unwrap().iter().find(|tag| tag["name"] == "mario:latest").unwrap();
    assert_eq!(preset["details"]["parent_model"], "tiny:latest");
    let shown = send_to(gateway, post("/api/show", r#"{"model":"mario"}"#)).await.json();
    assert_eq!(
        (&shown["system"], &shown["details"]["parent_model"]),
        (&json!("You are Mario."), &json!("tiny:latest"))
    );
    assert!(shown["parameters"].as_str().unwrap().contains("0.1"), "{shown}");
}
