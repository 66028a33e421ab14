//! Anthropic's API, through the whole server.

use impetus_proto::worker::{FinishReason, generate_request::Input};
use serde_json::json;

use super::*;
use crate::{access::tests::config, fake::finished_for};

const PATH: &str = "/v1/messages";
const COUNT_PATH: &str = "/v1/messages/count_tokens";
const MESSAGE: &str = r#"{"model":"small","max_tokens":16,"messages":[{"role":"user","content":"hi"}]}"#;
const STREAMED: &str =
    r#"{"model":"small","max_tokens":16,"stream":true,"messages":[{"role":"user","content":"hi"}]}"#;

/// A request as the API's own clients send it.
fn speaking(path: &str) -> Request<Body> {
    Request::get(path)
        .header(HOST, "localhost")
        .header("anthropic-version", "2023-06-01")
        .body(Body::empty())
        .unwrap()
}

/// The text with the ids of messages left out, which are new each time.
fn filtered(text: &str) -> String {
    let (before, rest) = text.split_once("\"msg_").expect("it has an id");
    let (id, after) = rest.split_once('"').expect("the id ends");
    assert_eq!(id.len(), 24);
    format!("{before}\"msg_*\"{after}")
}

/// Status and type of an error.
fn refused(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    assert_eq!((&body["type"], body["request_id"].as_str()), (&json!("error"), Some(id(answer))), "{body}");
    assert!(body["error"]["message"].as_str().is_some_and(|message| message.len() > 1), "{body}");
    assert_eq!(body["error"].as_object().unwrap().len(), 2, "{body}");
    assert_eq!(answer.headers["content-type"], "application/json");
    (answer.status.as_u16(), body["error"]["type"].as_str().unwrap().to_owned())
}

/// The request's id, which is in two headers.
fn id(answer: &Answer) -> &str {
    assert_eq!(answer.headers["request-id"], answer.headers["x-request-id"]);
    answer.headers["request-id"].to_str().unwrap()
}

#[tokio::test]
async fn a_message_is_answered_streamed_and_whole() {
    let fake = Fake::start();
    fake.script(completion("one two three"));
    fake.script(completion("one two three"));
    let whole = send(&fake, post(PATH, MESSAGE)).await;
    insta::assert_snapshot!("whole", filtered(&whole.text));
    let streamed = send(&fake, post("/v1/messages?beta=true", STREAMED)).await;
    insta::assert_snapshot!("streamed", filtered(&streamed.text));
    assert_eq!(streamed.headers["content-type"], "text/event-stream; charset=utf-8");
    assert!(!id(&whole).is_empty() && !id(&streamed).is_empty());
    let [request, _] = &fake.requests()[..] else { panic!("there are two requests") };
    assert_eq!(request.stopping.as_ref().unwrap().max_tokens, Some(16));
}

#[tokio::test]
async fn the_default_model_is_named_by_its_own_name() {
    let fake = Fake::start();
    let whole = send(&fake, post(PATH, MESSAGE.replace(r#""model":"small","#, ""))).await;
    assert_eq!(whole.json()["model"], "tiny");
}

#[tokio::test]
async fn tokens_are_counted_without_generating() {
    let fake = Fake::start();
    let body = r#"{"model":"small","messages":[{"role":"user","content":"hi"}],"beta":1}"#;
    let answer = send(&fake, post(COUNT_PATH, body)).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"input_tokens": 20})));
    assert_eq!(answer.headers["x-impetus-ignored"], "beta");
    assert!(fake.requests().is_empty() && !id(&answer).is_empty());
}

#[tokio::test]
async fn models_are_listed_to_each_in_its_own_shape() {
    let fake = Fake::start();
    let list = send(&fake, speaking("/v1/models?limit=5&order=any")).await;
    insta::assert_snapshot!("models", list.text);
    assert_eq!(list.headers["x-impetus-ignored"], "order");
    let one = send(&fake, speaking("/v1/models/small")).await;
    assert_eq!((&one.json()["type"], &one.json()["id"]), (&json!("model"), &json!("tiny")));
    assert_eq!(send(&fake, get("/v1/models")).await.json()["object"], "list");
    let absent = send(&fake, speaking("/v1/models/absent")).await;
    assert_eq!(refused(&absent), (404, "not_found_error".to_owned()));
    let wrong = send(&fake, speaking("/v1/models?limit=0")).await;
    assert_eq!(refused(&wrong), (400, "invalid_request_error".to_owned()));
}

#[tokio::test]
async fn what_is_refused_is_said_in_the_apis_words() {
    let fake = Fake::start();
    let limits = GatewayConfig { max_body_bytes: 1024, ..GatewayConfig::default() };
    let gateway = Gateway::new(&Config { gateway: limits, ..Config::default() }, &fake.socket()).unwrap();
    let check = async |request: Request<Body>, status: u16, kind: &str| {
        let what = format!("{request:?}");
        let answer = send_to(gateway.clone(), request).await;
        assert_eq!(refused(&answer), (status, kind.to_owned()), "{what}");
        answer
    };
    check(post(PATH, "{"), 400, "invalid_request_error").await;
    check(post(PATH, "{}"), 400, "invalid_request_error").await;
    check(post(COUNT_PATH, "{}"), 400, "invalid_request_error").await;
    check(get(PATH), 405, "invalid_request_error").await;
    check(post("/v1/messages/batches", "{}"), 404, "not_found_error").await;
    check(speaking("/v1/files"), 404, "not_found_error").await;
    check(post(PATH, MESSAGE.replace("small", "absent")), 404, "not_found_error").await;
    check(post(PATH, "x".repeat(1025)), 413, "request_too_large").await;
    let image = MESSAGE.replace(r#""hi""#, r#"[{"type":"image","source":{"type":"url","url":"x"}}]"#);
    let answer = check(post(PATH, image), 400, "invalid_request_error").await;
    let message = answer.json()["error"]["message"].to_string();
    assert!(message.contains("messages[0].content[0].type") && message.contains("image"), "{message}");
    // Elsewhere it is said in OpenAI's.
    assert_eq!(send(&fake, get("/v1/files")).await.error(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn an_overloaded_server_says_when_to_come_again() {
    let fake = Fake::start();
    for body in [MESSAGE, STREAMED] {
        let error = Error::new(Code::NoCapacity, "full").with_retry_after(9);
        fake.script([Step::Fail(error)]);
        let answer = send(&fake, post(PATH, body)).await;
        assert_eq!(refused(&answer), (529, "overloaded_error".to_owned()));
        assert_eq!(
            (&answer.headers["retry-after"], &answer.headers["x-should-retry"]),
            (&"9".parse().unwrap(), &"true".parse().unwrap())
        );
    }
    let long = "This model's maximum context length is 20 tokens. However, your prompt has 30 tokens.";
    fake.script([Step::Fail(Error::new(Code::ContextLengthExceeded, long).with_param("messages"))]);
    let answer = send(&fake, post(PATH, STREAMED)).await;
    assert_eq!(refused(&answer), (400, "invalid_request_error".to_owned()));
    assert_eq!(answer.json()["error"]["message"], "prompt is too long: 30 tokens > 20 maximum");
}

#[tokio::test]
async fn after_the_head_an_error_is_an_event_of_the_api() {
    let fake = Fake::start();
    fake.script([accepted(), delta(0, &[1], "a"), Step::Die]);
    let streamed = send(&fake, post(PATH, STREAMED)).await;
    assert_eq!(streamed.status, StatusCode::OK);
    let last = streamed.text.strip_suffix("\n\n").unwrap().rsplit("\n\n").next().unwrap();
    let data = last.strip_prefix("event: error\ndata: ").expect("it ends with an error");
    let error: Value = serde_json::from_str(data).unwrap();
    assert_eq!(
        (&error["error"]["type"], error["request_id"].as_str()),
        (&json!("api_error"), Some(id(&streamed)))
    );
    assert!(!streamed.text.contains("message_stop"), "{}", streamed.text);
}

#[tokio::test(start_paused = true)]
async fn a_silent_stream_pings() {
    let fake = Fake::start();
    fake.delay_lease(Duration::from_secs(25));
    let answer = send(&fake, post(PATH, STREAMED)).await;
    let names: Vec<_> = answer.text.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    // The first comes with the beginning, the second after another ten seconds.
    let expected = [
        "message_start",
        "ping",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(names, expected, "{}", answer.text);
}

#[tokio::test]
async fn keys_are_taken_from_either_header() {
    let fake = Fake::start();
    let keys = config("[[auth.key]]\nname = 'user'\nkey = 'sk-user-01234567'");
    let gateway = Gateway::new(&keys, &fake.socket()).unwrap();
    let check = async |header: Option<(&str, &str)>, expected: u16| {
        let request = Request::post(PATH).header(HOST, "localhost");
        let request = header.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        let answer = send_to(gateway.clone(), request.body(Body::from(MESSAGE)).unwrap()).await;
        assert_eq!(answer.status.as_u16(), expected, "{header:?}");
        if expected != 200 {
            assert_eq!(refused(&answer), (401, "authentication_error".to_owned()));
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
    };
    check(Some(("x-api-key", "sk-user-01234567")), 200).await;
    check(Some(("authorization", "Bearer sk-user-01234567")), 200).await;
    check(Some(("x-api-key", "sk-somebody-else")), 401).await;
    check(None, 401).await;
}

#[tokio::test]
async fn a_stop_sequence_is_told() {
    let fake = Fake::start();
    fake.answer_with(|_| {
        let mut end = finished_for(FinishReason::Stop, 1, &[2], "");
        if let Step::Send(event) = &mut end
            && let Some(impetus_proto::worker::generate_event::Event::Finished(finished)) = &mut event.event
        {
            finished.stop = "END".into();
        }
        vec![accepted(), delta(0, &[1], "a"), end]
    });
    let body = MESSAGE.replacen('{', r#"{"stop_sequences":["END"],"#, 1);
    let whole = send(&fake, post(PATH, body)).await.json();
    assert_eq!((&whole["stop_reason"], &whole["stop_sequence"]), (&json!("stop_sequence"), &json!("END")));
    assert_eq!(fake.requests()[0].stopping.as_ref().unwrap().stop, ["END"]);
}

#[tokio::test]
async fn names_that_clients_insist_on_mean_the_chosen_model_everywhere() {
    let fake = Fake::start();
    let names = "[gateway.names]\n'claude-*' = 'small'\n'tin*' = 'absent'\n'gpt-*' = 'absent'\n";
    let gateway = Gateway::new(&config(names), &fake.socket()).unwrap();
    let check = async |path: &str, body: &str, pointer: &str, expected: Value| {
        let answer = send_to(gateway.clone(), post(path, body.to_owned())).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.text);
        assert_eq!(answer.json().pointer(pointer), Some(&expected), "{path}: {}", answer.text);
    };
    let named = |body: &str| body.replacen('{', r#"{"model":"claude-opus-9","#, 1);
    check(PATH, &MESSAGE.replace("small", "claude-opus-9"), "/model", json!("claude-opus-9")).await;
    check(CHAT_PATH, &named(CHAT), "/model", json!("tiny")).await;
    check("/v1/completions", &named(r#"{"prompt":"x"}"#), "/model", json!("tiny")).await;
    check("/v1/embeddings", &named(r#"{"input":"x"}"#), "/model", json!("tiny")).await;
    check("/v1/responses", &named(r#"{"input":"x","store":false}"#), "/model", json!("tiny")).await;
    check("/v1/rerank", &named(r#"{"query":"a","documents":["b"]}"#), "/model", json!("tiny")).await;
    check("/tokenize", &named(r#"{"content":"a"}"#), "/tokens/0", json!(97)).await;
    // What a model is called means that model.
    check(PATH, &MESSAGE.replace("small", "tiny"), "/model", json!("tiny")).await;

    let absent = send_to(gateway.clone(), post(PATH, MESSAGE.replace("small", "gpt-9"))).await;
    assert_eq!(refused(&absent), (404, "not_found_error".to_owned()));
    assert!(absent.text.contains("gateway.names"), "{}", absent.text);
    let other = send_to(gateway, post(PATH, MESSAGE.replace("small", "other"))).await;
    assert_eq!(refused(&other), (404, "not_found_error".to_owned()));
    assert!(fake.requests().iter().all(|request| request.model == "tiny"));
}

#[tokio::test]
async fn a_key_is_for_the_chosen_model() {
    let fake = Fake::start();
    let text =
        "[gateway.names]\n'claude-*' = 'small'\n[[auth.key]]\nname = 'user'\nkey = 'sk-user-01234567'\n";
    let check = async |models: &str, expected: u16| {
        let gateway = Gateway::new(&config(&format!("{text}models = {models}")), &fake.socket()).unwrap();
        let request = Request::post(PATH).header(HOST, "localhost").header("x-api-key", "sk-user-01234567");
        let body = Body::from(MESSAGE.replace("small", "claude-opus-9"));
        let answer = send_to(gateway, request.body(body).unwrap()).await;
        assert_eq!(answer.status.as_u16(), expected, "{models}: {}", answer.text);
    };
    check("['tiny']", 200).await;
    check("['small']", 200).await;
    check("['claude-*']", 403).await;
}

#[tokio::test]
async fn the_line_that_changes_with_every_run_reaches_no_model() {
    let fake = Fake::start();
    for version in ["cb6", "f6c"] {
        let system = json!([
            {"type": "text", "text": format!("x-anthropic-billing-header: cc_version=2.1.329.{version}; x")},
            {"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]);
        let body = MESSAGE.replacen('{', &format!(r#"{{"system":{system},"#), 1);
        let answer = send(&fake, post(PATH, body)).await;
        assert_eq!(answer.headers["x-impetus-ignored"], "system.x-anthropic-billing-header");
    }
    let [one, other] = &fake.requests()[..] else { panic!("there are two requests") };
    assert_eq!(one.input, other.input);
    let Some(Input::Chat(chat)) = &one.input else { panic!("it is a chat") };
    assert_eq!(chat.messages[0].content, "Be brief.");
}
