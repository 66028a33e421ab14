//! Who is let in, over the routes that there are.

use axum::http::Method;
use impetus_config::Scope;

use super::*;
use crate::access::tests::config;

const KEYS: &str = "
    [[auth.key]]
    name = 'user'
    key = 'sk-user-01234567'
    [[auth.key]]
    name = 'operator'
    key = 'sk-operator-0123'
    scopes = ['admin']
";

const METHODS: [Method; 7] =
    [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::PATCH, Method::HEAD, Method::OPTIONS];

/// A path that the router takes to the route.
fn example(path: &str) -> String {
    let step = |step: &str| if step.starts_with('{') { "x".to_owned() } else { step.to_owned() };
    path.split('/').map(step).collect::<Vec<_>>().join("/")
}

fn request(method: Method, path: &str, key: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).header(HOST, "localhost");
    if let Some(key) = key {
        request = request.header("authorization", format!("Bearer {key}"));
    }
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn with_keys_nothing_but_health_and_the_page_answers_without_one() {
    let fake = Fake::start();
    let gateway = Gateway::new(&config(KEYS), &fake.socket()).unwrap();
    let app = app(gateway.clone());
    let routes = app.table.all().to_vec();
    assert!(routes.iter().any(|route| route.path == CHAT_PATH) && routes.len() > 5, "{routes:?}");
    let paths = routes.iter().map(|route| example(route.path)).chain(["/nowhere".into()]);
    for path in paths {
        for method in METHODS {
            for key in [None, Some("sk-made-up-by-somebody")] {
                let what = format!("{method} {path} {key:?}");
                let answer = answer(app.clone(), request(method.clone(), &path, key)).await.unwrap();
                let is_open = answer.status() != StatusCode::UNAUTHORIZED;
                let is_public = path == "/health" || path == "/" || path.starts_with("/assets/");
                assert_eq!(is_open, is_public, "{what}: {}", answer.status());
                assert!(is_open || answer.headers()["www-authenticate"] == "Bearer", "{what}");
            }
        }
        let key = Some("sk-user-01234567");
        let opened = answer(app.clone(), request(Method::GET, &path, key)).await.unwrap().status();
        let is_admin = app.table.find(&path).is_some_and(|route| route.need == Need::Scope(Scope::Admin));
        let expected = if is_admin { StatusCode::FORBIDDEN } else { opened };
        assert!(opened != StatusCode::UNAUTHORIZED && opened == expected, "{path}: {opened}");
    }
}

#[tokio::test]
async fn a_refusal_has_the_shape_of_an_error_and_tells_no_key() {
    let fake = Fake::start();
    let gateway = Gateway::new(&config(KEYS), &fake.socket()).unwrap();
    let check = async |request: Request<Body>, status: u16, code: &str| {
        let what = format!("{request:?}");
        let answer = send_to(gateway.clone(), request).await;
        assert_eq!(answer.error(), (status, code.to_owned()), "{what}");
        assert!(!answer.text.contains("sk-"), "{}", answer.text);
    };
    check(request(Method::GET, "/v1/models", None), 401, "invalid_api_key").await;
    check(request(Method::GET, "/v1/models", Some("sk-made-up")), 401, "invalid_api_key").await;
    check(request(Method::GET, "/v1/models?api_key=sk-user-01234567", None), 401, "invalid_api_key").await;
    let listed = send_to(gateway.clone(), request(Method::GET, "/v1/models", Some("sk-user-01234567"))).await;
    assert_eq!(listed.status, StatusCode::OK);
    check(request(Method::GET, "/metrics", Some("sk-user-01234567")), 403, "forbidden").await;
    check(request(Method::GET, "/v1/models", Some("sk-operator-0123")), 403, "forbidden").await;
    let rebound = Request::get("/v1/models").header(HOST, "evil.example").body(Body::empty()).unwrap();
    check(rebound, 403, "forbidden").await;
    let page = Request::get("/v1/models").header(HOST, "localhost").header("origin", "https://evil.example");
    check(page.body(Body::empty()).unwrap(), 403, "forbidden").await;

    let metrics = send_to(gateway, request(Method::GET, "/metrics", Some("sk-operator-0123"))).await.text;
    for line in [
        "impetus_refusals_total{reason=\"no_key\"}",
        "impetus_refusals_total{reason=\"host\"}",
        "impetus_refusals_total{reason=\"origin\"}",
        "impetus_key_requests_total{key=\"user\",status=\"200\"}",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
}

#[tokio::test]
async fn a_key_for_some_models_opens_no_other_anywhere() {
    const BODY: &str = r#"{"model":"tiny","messages":[{"role":"user","content":"x"}],"prompt":"x","input":"x",
        "query":"x","documents":["x"],"content":"x","tokens":[1],"input_prefix":"x","input_suffix":"x"}"#;
    let fake = Fake::start();
    let keys = "auth.key = [
        { name = 'other', key = 'sk-other-0123456', models = ['qwen*'] },
        { name = 'alias', key = 'sk-alias-0123456', models = ['sm*'] },
    ]";
    let gateway = Gateway::new(&config(keys), &fake.socket()).unwrap();
    let app = app(gateway.clone());
    let post = |path: &str, body: &str, key: &str| {
        let key = format!("Bearer {key}");
        let request = Request::post(path).header(HOST, "localhost").header("authorization", key);
        request.header("content-type", "application/json").body(Body::from(body.to_owned())).unwrap()
    };
    for route in app.table.all() {
        for body in [BODY, &BODY.replace("\"tiny\"", "null"), &BODY.replace("tiny", "small")] {
            let request = post(&example(route.path), body, "sk-other-0123456");
            let status = answer(app.clone(), request).await.unwrap().status();
            assert!(status.is_client_error(), "{}: {status}", route.path);
        }
    }
    assert!(
        fake.requests().is_empty() && fake.embed_requests().is_empty() && fake.acquire_requests().is_empty()
    );
    let refused = send_to(gateway.clone(), post(CHAT_PATH, CHAT, "sk-other-0123456")).await;
    assert_eq!(refused.error(), (403, "forbidden".to_owned()));
    assert_eq!(refused.json()["error"]["param"], "model");
    let listed = send_to(gateway.clone(), request(Method::GET, "/v1/models", Some("sk-other-0123456"))).await;
    assert_eq!(listed.json()["data"], serde_json::json!([]));
    let one =
        send_to(gateway.clone(), request(Method::GET, "/v1/models/tiny", Some("sk-other-0123456"))).await;
    assert_eq!(one.error(), (403, "forbidden".to_owned()));
    // A model is the same under each of its names.
    assert_eq!(send_to(gateway, post(CHAT_PATH, CHAT, "sk-alias-0123456")).await.status, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn what_a_key_may_use_is_not_known_while_the_supervisor_is_away() {
    let keys = "auth.key = [{ name = 'user', key = 'sk-user-01234567', models = ['sm*'] }]";
    let gateway = Gateway::new(&config(keys), "/nowhere/supervisor.sock").unwrap();
    let request = Request::post(CHAT_PATH).header(HOST, "localhost").header("x-api-key", "sk-user-01234567");
    let answer = send_to(gateway, request.body(Body::from(CHAT)).unwrap()).await;
    assert_eq!(answer.error(), (503, "unavailable".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn tokens_are_paid_for_when_they_are_known() {
    let fake = Fake::start();
    let keys = "auth.key = [{ name = 'a', key = 'sk-user-01234567', requests_per_minute = 9, tokens_per_minute = 6, \
                priority = -7 }]";
    let gateway = Gateway::new(&config(keys), &fake.socket()).unwrap();
    let ask = async || {
        let request =
            Request::post(CHAT_PATH).header(HOST, "localhost").header("x-api-key", "sk-user-01234567");
        send_to(gateway.clone(), request.body(Body::from(CHAT)).unwrap()).await
    };
    let first = ask().await;
    assert_eq!(first.status, StatusCode::OK);
    let tokens = first.json()["usage"]["total_tokens"].as_u64().unwrap();
    assert!(tokens >= 6, "{}", first.text);
    let told: Vec<_> = fake.requests().into_iter().map(|request| (request.owner, request.priority)).collect();
    assert_eq!(told, [("a".to_owned(), -7)]);
    assert_eq!(first.headers["x-ratelimit-limit-tokens"], "6");
    assert_eq!(first.headers["x-ratelimit-remaining-requests"], "8");
    let second = ask().await;
    assert_eq!(second.error(), (429, "rate_limit_exceeded".to_owned()));
    // At six a minute, one takes ten seconds.
    assert_eq!(second.headers["retry-after"], ((tokens - 6 + 1) * 10).to_string());
    tokio::time::advance(Duration::from_secs((tokens - 6 + 1) * 10)).await;
    assert_eq!(ask().await.status, StatusCode::OK);
}

#[tokio::test]
async fn keys_that_are_made_open_at_once_and_those_revoked_no_more() {
    use impetus_proto::key::{Key, KeySet};
    use sha2::{Digest, Sha256};

    let fake = Fake::start();
    let gateway = fake.gateway();
    let status = async |key: Option<&str>| {
        send_to(gateway.clone(), request(Method::GET, "/v1/models", key)).await.status.as_u16()
    };
    assert_eq!(status(None).await, 200, "without keys, this machine is trusted");
    let made = |per_minute: u32| KeySet {
        keys: vec![Key {
            name: "a".into(),
            sha256: Sha256::digest("sk-made").to_vec(),
            scopes: vec!["inference".into()],
            requests_per_minute: per_minute,
            ..Key::default()
        }],
        in_use: true,
    };
    gateway.set_keys(made(1));
    assert_eq!((status(None).await, status(Some("sk-made")).await), (401, 200));
    let ask = async || {
        let request = Request::post(CHAT_PATH).header(HOST, "localhost").header("api-key", "sk-made");
        send_to(gateway.clone(), request.body(Body::from(CHAT)).unwrap()).await.status.as_u16()
    };
    assert_eq!((ask().await, ask().await), (200, 429));
    // What else changes does not give anybody another minute.
    gateway.set_keys(made(1));
    assert_eq!(ask().await, 429);
    gateway.set_keys(made(2));
    assert_eq!(ask().await, 200);
    gateway.set_keys(KeySet { keys: Vec::new(), in_use: true });
    assert_eq!((status(None).await, status(Some("sk-made")).await), (401, 401));
}

#[tokio::test]
async fn listed_pages_are_told_that_they_may() {
    let fake = Fake::start();
    let file = format!("gateway.cors.origins = ['https://chat.example']\n{KEYS}");
    let gateway = Gateway::new(&config(&file), &fake.socket()).unwrap();
    let from = |method: Method, key: Option<&str>| {
        let mut request = request(method, CHAT_PATH, key);
        request.headers_mut().insert("origin", "https://chat.example".parse().unwrap());
        request
    };
    let mut preflight = from(Method::OPTIONS, None);
    preflight.headers_mut().insert("access-control-request-method", "POST".parse().unwrap());
    preflight.headers_mut().insert("access-control-request-headers", "authorization".parse().unwrap());
    let told = send_to(gateway.clone(), preflight).await;
    assert_eq!(told.status, StatusCode::OK);
    assert_eq!(told.headers["access-control-allow-origin"], "https://chat.example");
    assert_eq!(told.headers["access-control-allow-headers"], "authorization");
    // A page has to be able to read why it is refused.
    let refused = send_to(gateway.clone(), from(Method::POST, None)).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers["access-control-allow-origin"], "https://chat.example");
    let program = send_to(gateway, request(Method::GET, "/v1/models", Some("sk-user-01234567"))).await;
    assert!(!program.headers.contains_key("access-control-allow-origin"));
}
