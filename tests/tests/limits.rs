//! Clients that send too much or too slowly.

use serde_json::{Value, json};

use crate::{
    crash::endless,
    harness::{RawConnection, Server, Setup, chat},
};

const HEAD: &str = "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";

/// What a badly behaved client was answered.
async fn answer_to(server: &Server, sent: &str) -> String {
    let mut connection = RawConnection::open(server.listen).await.unwrap();
    connection.send(sent).await;
    connection.read_to_end().await.unwrap()
}

/// The status and the error code of a raw answer.
fn error_of(answer: &str) -> (&str, String) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head: {answer:?}"));
    assert!(head.contains("x-request-id: "), "{head}");
    let status = head.split(' ').nth(1).unwrap();
    let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer:?}"));
    (status, body["error"]["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let server = Setup::new().set("gateway.max_body_bytes=4096").start().await;
    let long = "x".repeat(5000);
    let refusal = server.http.refused(&chat(&long)).await;
    assert_eq!((refusal.status, refusal.code.as_str()), (413, "request_too_large"));
    assert!(refusal.message.contains("4096"), "{}", refusal.message);
    let chunked = format!("{HEAD}transfer-encoding: chunked\r\n\r\n1388\r\n{long}\r\n0\r\n\r\n");
    assert_eq!(error_of(&answer_to(&server, &chunked).await), ("413", "request_too_large".to_owned()));
    // One that asks first is told before it sends anything.
    let asking = format!("{HEAD}expect: 100-continue\r\ncontent-length: 5000\r\n\r\n");
    assert_eq!(error_of(&answer_to(&server, &asking).await), ("413", "request_too_large".to_owned()));
    assert_eq!(server.http.get("/health").await.status(), 200);
}

#[tokio::test]
async fn a_client_that_is_too_slow_is_let_go() {
    let settings = ["gateway.header_timeout_s=1", "gateway.body_timeout_s=1"];
    let server = settings.into_iter().fold(Setup::new(), Setup::set).start().await;
    let half = format!("{HEAD}content-length: 100\r\n\r\n{{\"model\":");
    let (headers, body) = tokio::join!(answer_to(&server, "POST /v1/chat"), answer_to(&server, &half));
    assert_eq!(error_of(&body), ("408", "request_timeout".to_owned()));
    // A request that never was one gets no answer, or the plain one of HTTP.
    assert!(headers.is_empty() || headers.starts_with("HTTP/1.1 408 "), "{headers:?}");
    assert_eq!(server.http.get("/health").await.status(), 200);
}

#[tokio::test]
async fn a_client_that_does_not_read_loses_its_slot() {
    let settings = ["gateway.write_timeout_s=1", "workers.gguf.slots=1"];
    let server = settings.into_iter().fold(Setup::new(), Setup::set).start().await;
    let mut body = endless();
    body["stream"] = json!(true);
    // More than the system takes in for who does not read.
    body["logprobs"] = json!(true);
    body["top_logprobs"] = json!(20);
    let mut connection = RawConnection::open_narrow(server.listen).await.unwrap();
    connection.send_post("/v1/chat/completions", &body.to_string()).await;
    server.worker_when("its slot is busy", |worker| worker.slots_busy == 1).await;
    server.worker_when("its slot is free", |worker| worker.slots_busy == 0 && worker.leases == 0).await;
    let stats = server.control.stats("impetus-tiny").await;
    assert_eq!((stats.cancelled, stats.finished), (1, 0), "its answer did not come to its own end");
}

#[tokio::test]
async fn what_is_not_http_is_no_harm() {
    let server = Server::plain().await;
    for sent in ["\0\0\0\r\n\r\n", "GET / SPAM/9\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let answer = answer_to(&server, sent).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{sent:?}: {answer:?}");
    }
    let huge = format!("GET /health HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n", "y".repeat(100_000));
    let answer = answer_to(&server, &huge).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer:?}");
    assert_eq!(server.http.get("/health").await.status(), 200);
}
