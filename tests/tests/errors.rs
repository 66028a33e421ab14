//! What is wrong with a request is said in OpenAI's shape, with the status that clients act on and the name of the
//! parameter.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Refusal, Server, chat};

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";

async fn send(server: &Server, method: Method, path: &str, body: &str) -> Refusal {
    Refusal::of(server.http.request(method, path).body(body.to_owned()).send().await.unwrap()).await
}

#[tokio::test]
async fn a_wrong_request_is_told_what_is_wrong() {
    let server = Server::plain().await;
    let check = async |path: &str, body: &str, expected: (u16, &str, Option<&str>)| {
        let refusal = send(&server, Method::POST, path, body).await;
        let told = (refusal.status, refusal.code.as_str(), refusal.param.as_deref());
        assert_eq!(told, expected, "{body} was told {:?}", refusal.message);
        assert_eq!(refusal.kind, "invalid_request_error", "{body}");
        assert!(expected.2.is_none_or(|param| refusal.message.contains(param)), "{:?}", refusal.message);
        assert!(refusal.headers["x-request-id"].to_str().unwrap().starts_with("req_"));
    };
    let invalid = |param| (400, "invalid_value", param);
    check(CHAT, "", invalid(None)).await;
    check(CHAT, "{\"model\":", invalid(None)).await;
    check(CHAT, "[]", invalid(None)).await;
    check(CHAT, "{\"model\":\"impetus-tiny\"} x", invalid(None)).await;
    check(CHAT, &format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200)), invalid(None)).await;
    check(CHAT, "{}", invalid(Some("messages"))).await;
    check(CHAT, r#"{"messages":"hello"}"#, invalid(Some("messages"))).await;
    check(CHAT, r#"{"messages":[]}"#, invalid(Some("messages"))).await;
    check(CHAT, r#"{"messages":[7]}"#, invalid(Some("messages[0]"))).await;
    check(CHAT, r#"{"messages":[{"role":"wizard","content":"x"}]}"#, invalid(Some("messages[0].role"))).await;
    check(CHAT, r#"{"messages":[{"role":"user","content":5}]}"#, invalid(Some("messages[0].content"))).await;
    check(COMPLETIONS, "{}", invalid(Some("prompt"))).await;
    check(COMPLETIONS, r#"{"prompt":{}}"#, invalid(Some("prompt"))).await;
    check(COMPLETIONS, r#"{"prompt":[1,"x"]}"#, invalid(Some("prompt"))).await;
    for (param, value) in [
        ("model", "5"),
        ("temperature", "\"hot\""),
        ("temperature", "2.5"),
        ("top_p", "-0.1"),
        ("max_tokens", "-2"),
        ("max_tokens", "1.5"),
        ("n", "0"),
        ("n", "129"),
        ("keep_alive", "\"soon\""),
        ("seed", "\"x\""),
        ("stream", "\"yes\""),
        ("stop", "5"),
        ("stop", "[\"\"]"),
        ("logit_bias", "[]"),
        ("logit_bias", "{\"x\":1}"),
        ("stream_options", "true"),
        ("metadata", "{\"a\":1}"),
    ] {
        let body = format!(r#"{{"messages":[{{"role":"user","content":"x"}}],"{param}":{value}}}"#);
        check(CHAT, &body, invalid(Some(param))).await;
    }
    // Only a worker knows this.
    let refusal = server.http.refused(&json!({"prompt": [999_999]})).await;
    assert_eq!((refusal.status, refusal.param.as_deref()), (400, Some("prompt")));
    assert!(refusal.message.contains("999999"), "{}", refusal.message);
    let nobody = r#"{"model":"nobody","messages":[{"role":"user","content":"x"}]}"#;
    check(CHAT, nobody, (404, "model_not_found", Some("model"))).await;
    check(CHAT, &nobody.replace("nobody", &"ö".repeat(20_000)), (404, "model_not_found", Some("model")))
        .await;
    check(COMPLETIONS, r#"{"model":"nobody","prompt":"x"}"#, (404, "model_not_found", Some("model"))).await;
}

#[tokio::test]
async fn what_is_not_offered_is_refused_by_name() {
    let server = Server::plain().await;
    let check = async |path: &str, param: &str, value: Value| {
        let mut body = if path == CHAT { chat("x") } else { json!({"prompt": "x"}) };
        body[param] = value;
        let refusal = send(&server, Method::POST, path, &body.to_string()).await;
        let told = (refusal.status, refusal.code.as_str(), refusal.param.as_deref());
        assert_eq!(told, (400, "unsupported_parameter", Some(param)), "{body}");
        assert!(refusal.message.contains(param), "{}", refusal.message);
    };
    check(CHAT, "best_of", json!(2)).await;
    check(CHAT, "modalities", json!(["text", "audio"])).await;
    check(CHAT, "audio", json!({"voice": "alloy", "format": "wav"})).await;
    check(CHAT, "web_search_options", json!({})).await;
    check(CHAT, "store", json!(true)).await;
    check(COMPLETIONS, "store", json!(true)).await;
    check(COMPLETIONS, "use_beam_search", json!(true)).await;
}

#[tokio::test]
async fn what_asks_for_nothing_is_taken_and_what_nobody_defines_is_named() {
    let server = Server::plain().await;
    let mut body = chat("count from 1 to 3");
    for (name, value) in json!({
        "n": 1, "tools": [], "logprobs": false, "user": "u", "metadata": {"a": "b"}, "temperature": 0,
        "response_format": {"type": "text"}, "stop": null, "my_own": 1, "another-one": {},
    })
    .as_object()
    .unwrap()
    {
        body[name] = value.clone();
    }
    let response = server.http.post(&body).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-impetus-ignored"], "my_own,another-one");
    let response = server.http.post(&chat("count from 1 to 3")).await;
    assert!(!response.headers().contains_key("x-impetus-ignored"));
}

#[tokio::test]
async fn a_prompt_beyond_the_context_is_refused_with_the_numbers() {
    let server = Server::plain().await;
    for body in [chat(&"again ".repeat(2100)), json!({"prompt": vec![100; 2100]})] {
        let refusal = server.http.refused(&body).await;
        assert_eq!((refusal.status, refusal.code.as_str()), (400, "context_length_exceeded"));
        // Clients that shorten a conversation look for these words.
        assert!(refusal.message.contains("maximum context length"), "{}", refusal.message);
        assert!(refusal.message.contains("2048"), "{}", refusal.message);
        let mut streamed = body.clone();
        streamed["stream"] = json!(true);
        assert_eq!(server.http.refused(&streamed).await.status, 400, "also before a stream");
    }
}

#[tokio::test]
async fn paths_and_methods_that_are_not_served_are_errors_in_json() {
    let server = Server::plain().await;
    let check = async |method: Method, path: &str, status: u16, code: &str| {
        let refusal = send(&server, method.clone(), path, "").await;
        assert_eq!((refusal.status, refusal.code.as_str()), (status, code), "{method} {path}");
        assert!(refusal.headers.contains_key("x-request-id"));
    };
    check(Method::GET, "/nowhere", 404, "not_found").await;
    check(Method::GET, "/v1/nothing", 404, "not_found").await;
    check(Method::POST, "/v1/audio/speech", 404, "not_found").await;
    check(Method::GET, CHAT, 405, "method_not_allowed").await;
    check(Method::DELETE, "/v1/models", 405, "method_not_allowed").await;
}

#[tokio::test]
async fn every_answer_has_an_id_and_a_clients_own_is_kept() {
    let server = Server::plain().await;
    let id_of = async |path: &str, own: Option<&str>| {
        let mut request = server.http.request(Method::GET, path);
        if let Some(own) = own {
            request = request.header("x-request-id", own);
        }
        request.send().await.unwrap().headers()["x-request-id"].to_str().unwrap().to_owned()
    };
    for path in ["/health", "/metrics", "/v1/models", "/v1/models/nobody", "/nowhere"] {
        assert_eq!(id_of(path, Some("my-own-7")).await, "my-own-7", "{path}");
        assert_ne!(id_of(path, None).await, id_of(path, None).await, "{path}");
    }
    let unfit = "x".repeat(500);
    assert_ne!(id_of("/health", Some(&unfit)).await, unfit);
}
