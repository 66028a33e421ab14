//! What is refused before it is understood.

use impetus_config::AuthConfig;

use super::{wire::Served, *};

/// A chat of so many messages.
fn long(n_messages: usize) -> String {
    let messages = vec![r#"{"role":"user","content":"x"}"#; n_messages].join(",");
    format!("{{\"messages\":[{messages}]}}")
}

#[tokio::test]
async fn bodies_are_bounded_in_depth_and_messages_and_are_json() {
    let fake = Fake::start();
    let limits = GatewayConfig { max_depth: 8, max_messages: 3, ..GatewayConfig::default() };
    let config = Config { gateway: limits, ..Config::default() };
    let gateway = Gateway::new(&config, &fake.socket()).unwrap();
    let check = async |body: &str, kind: Option<&str>, expected: Result<(), (u16, &str)>| {
        // As a browser sends it from a page of this server; a program says no origin, and its type says nothing.
        let mut request =
            Request::post(CHAT_PATH).header(HOST, "localhost").header("origin", "http://localhost");
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
            let program = Request::post(CHAT_PATH).header(HOST, "localhost").header("content-type", kind);
            let told = send_to(gateway.clone(), program.body(Body::from(body.to_owned())).unwrap()).await;
            assert_eq!(told.status, StatusCode::OK, "{kind}: {}", told.text);
        }
        let answer = send_to(gateway.clone(), request.body(Body::from(body.to_owned())).unwrap()).await;
        match expected {
            Ok(()) => assert_eq!(answer.status, StatusCode::OK, "{body} {kind:?}: {}", answer.text),
            Err((status, code)) => assert_eq!(answer.error(), (status, code.to_owned()), "{body} {kind:?}"),
        }
    };
    check(&long(3), None, Ok(())).await;
    check(&long(4), None, Err((400, "invalid_value"))).await;
    let deep = format!("{{\"messages\":{}{}}}", "[".repeat(9), "]".repeat(9));
    check(&deep, None, Err((400, "invalid_value"))).await;
    check(CHAT, Some("application/json"), Ok(())).await;
    check(CHAT, Some("Application/JSON; charset=utf-8"), Ok(())).await;
    check(CHAT, Some("application/vnd.api+json"), Ok(())).await;
    for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""] {
        check(CHAT, Some(kind), Err((415, "unsupported_media_type"))).await;
    }
}

#[tokio::test]
async fn headers_are_bounded_in_number_and_bytes() {
    let fake = Fake::start();
    let limits = GatewayConfig { max_headers: 16, max_header_bytes: 8192, ..GatewayConfig::default() };
    let served = Served::start(&fake, &limits).await;
    let ask = async |headers: String| {
        let head = format!("GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n");
        served.exchange(&head).await
    };
    let some = |n: usize| (0..n).fold(String::new(), |all, i| all + &format!("x-{i}: y\r\n"));
    assert!(ask(some(14)).await.starts_with("HTTP/1.1 200 "));
    assert!(ask(some(15)).await.starts_with("HTTP/1.1 431 "));
    assert!(ask(format!("x: {}\r\n", "y".repeat(7000))).await.starts_with("HTTP/1.1 200 "));
    assert!(ask(format!("x: {}\r\n", "y".repeat(9000))).await.starts_with("HTTP/1.1 431 "));
}

#[tokio::test]
async fn a_connection_from_a_denied_address_is_closed_unread() {
    let fake = Fake::start();
    let head = "GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    let check = async |allowed: &[&str], denied: &[&str], expected: bool| {
        let networks = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let (allow_addresses, deny_addresses) = (networks(allowed), networks(denied));
        let auth = AuthConfig { allow_addresses, deny_addresses, ..AuthConfig::default() };
        let served = Served::start_with(&fake, &Config { auth, ..Config::default() }).await;
        let mut answer = Vec::new();
        // A connection that is closed with something unread is reset.
        let _ = served.connect(head).await.read_to_end(&mut answer).await;
        assert_eq!(answer.starts_with(b"HTTP/1.1 200 "), expected, "{allowed:?} {denied:?}");
        assert!(expected || answer.is_empty());
    };
    check(&[], &[], true).await;
    check(&["127.0.0.0/8"], &[], true).await;
    check(&["10.0.0.0/8"], &[], false).await;
    check(&[], &["127.0.0.1"], false).await;
}
