//! Who may come in: keys that come and go under a running server, names, pages, certificates.

use reqwest::Method;
use serde_json::Value;

use crate::harness::{Output, Refusal, Server, Setup, chat, command, eventually, program};

/// What `/v1/models` is answered to whoever has this key.
async fn status(server: &Server, key: Option<&str>) -> u16 {
    let request = server.http.request(Method::GET, "/v1/models");
    let request = key.iter().fold(request, reqwest::RequestBuilder::bearer_auth);
    request.send().await.unwrap().status().as_u16()
}

async fn until(server: &Server, key: Option<&str>, expected: u16) {
    let what = format!("{expected} is the answer");
    eventually(&what, || async { (status(server, key).await == expected).then_some(()) }).await;
}

/// Makes a key of this name.
async fn add(server: &Server, arguments: &[&str]) -> String {
    let output = server.ctl(&[&["key", "add"], arguments].concat()).await;
    assert_eq!(output.code, 0, "{output:?}");
    output.out.trim().to_owned()
}

#[tokio::test]
async fn keys_are_made_and_revoked_under_a_running_server() {
    let mut server = Setup::new().start().await;
    assert_eq!(status(&server, None).await, 200);
    let first = add(&server, &["first"]).await;
    until(&server, None, 401).await;
    assert_eq!(status(&server, Some(&first)).await, 200);
    let asked = server.http.request(Method::POST, "/v1/chat/completions").header("x-api-key", &first);
    assert_eq!(asked.json(&chat("count from 1 to 3")).send().await.unwrap().status(), 200);

    let refusal = Refusal::of(server.http.post(&chat("hi")).await).await;
    assert_eq!((refusal.status, refusal.code.as_str()), (401, "invalid_api_key"));
    assert_eq!(server.http.get("/health").await.status(), 200);
    assert_eq!(server.http.get("/metrics").await.status(), 401);
    let admin = add(&server, &["admin", "--scope", "admin"]).await;
    until(&server, Some(&admin), 403).await;

    // They outlive the gateway, and the supervisor.
    assert_eq!(server.ctl(&["restart", "gateway"]).await.code, 0);
    assert_eq!((status(&server, None).await, status(&server, Some(&first)).await), (401, 200));
    server.kill_supervisor().await;
    // What is served only the next supervisor knows, who may ask the gateway alone.
    assert_eq!((status(&server, None).await, status(&server, Some(&first)).await), (401, 503));
    server.start_again(&[]).await;
    assert_eq!((status(&server, None).await, status(&server, Some(&first)).await), (401, 200));

    let again = server.ctl(&["key", "add", "first"]).await;
    assert!(again.code != 0 && again.out.is_empty() && again.err.contains("\"first\""), "{again:?}");
    let listed = eventually("the use of a key is noted", || async {
        let listed = server.ctl(&["key", "list", "--json"]).await.json();
        listed["keys"][0]["last_used"].is_string().then_some(listed)
    })
    .await;
    assert_eq!(listed["keys"][0]["name"], "first");
    assert_eq!(listed["keys"][1]["scopes"], serde_json::json!(["admin"]));
    for name in ["first", "admin"] {
        let revoke = server.ctl(&["key", "revoke", name]).await;
        assert_eq!(revoke.code, 0, "{revoke:?}");
    }
    until(&server, Some(&first), 401).await;
    assert_eq!(server.ctl(&["key", "revoke", "first"]).await.code, 4);

    let everything = eventually("the audit log tells of it", || async {
        let text = files(&server);
        let is_whole =
            ["\"act\":\"key_revoke\"", "\"reason\":\"no_key\""].iter().all(|line| text.contains(line));
        is_whole.then(|| text + &server.output())
    })
    .await;
    for key in [first, admin] {
        assert!(!everything.contains(&key), "a key is written down");
    }
}

/// All that is kept and logged.
fn files(server: &Server) -> String {
    let mut folders = vec![server.path("state")];
    let mut text = String::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else if let Ok(bytes) = std::fs::read(entry.path()) {
                text.push_str(&String::from_utf8_lossy(&bytes));
            }
        }
    }
    text
}

#[tokio::test]
async fn a_server_that_others_can_reach_starts_with_a_key() {
    let dir = Setup::new().write_config();
    let run = async |name: &'static str, arguments: Vec<&'static str>| -> Output {
        let mut command = command(&program(name), dir.path());
        command.args(["--config", "impetus.toml"]).args(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap().into()
    };
    let open = vec!["--set", "gateway.listen=0.0.0.0:0"];
    let refused = run("supervisor", open.clone()).await;
    assert!(refused.code != 0 && refused.err.contains("supervisorctl key add"), "{refused:?}");
    let key = run("supervisorctl", vec!["key", "add", "first"]).await;
    assert_eq!(key.code, 0, "{key:?}");
    let mut server = Server::start(dir, &["gateway.listen=0.0.0.0:0".to_owned()]).await;
    server.reach_by_loopback();
    assert_eq!((status(&server, None).await, status(&server, Some(key.out.trim())).await), (401, 200));
}

#[tokio::test]
async fn declared_keys_have_their_limits() {
    let keys = "
        [[auth.key]]
        name = 'user'
        key = 'sk-user-01234567'
        models = ['other']
        requests_per_minute = 2
    ";
    let server = Setup::new().table(keys).start().await;
    let ask = async || {
        let request =
            server.http.request(Method::POST, "/v1/chat/completions").bearer_auth("sk-user-01234567");
        Refusal::of(request.json(&chat("hi")).send().await.unwrap()).await
    };
    let forbidden = ask().await;
    assert_eq!((forbidden.status, forbidden.param.as_deref()), (403, Some("model")));
    assert_eq!(forbidden.headers["x-ratelimit-limit-requests"], "2");
    ask().await;
    let limited = ask().await;
    assert_eq!((limited.status, limited.code.as_str()), (429, "rate_limit_exceeded"));
    assert!(limited.headers.contains_key("retry-after"));

    let path = server.path("impetus.toml");
    let config = std::fs::read_to_string(&path).unwrap().replace("models = ['other']", "");
    std::fs::write(&path, config).unwrap();
    let reload = server.ctl(&["reload"]).await;
    assert_eq!((reload.code, reload.out.as_str()), (0, "auth.key is in force\n"), "{reload:?}");
    until(&server, Some("sk-user-01234567"), 200).await;
}

#[tokio::test]
async fn wrong_names_and_pages_are_refused() {
    let server = Setup::new().set("gateway.cors.origins=['https://chat.example']").start().await;
    let check = async |name: &str, value: &str, expected: u16| {
        let request = server.http.request(Method::GET, "/v1/models").header(name, value);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), expected, "{name}: {value}");
    };
    check("host", "evil.example", 403).await;
    check("host", "localhost:1234", 200).await;
    check("origin", "https://evil.example", 403).await;
    check("origin", "https://chat.example", 200).await;
    check("origin", &format!("http://{}", server.listen), 200).await;
}

#[tokio::test]
async fn https_is_served_with_a_certificate() {
    let setup = Setup::new();
    let (cert, key) = (setup.path("cert.pem"), setup.path("key.pem"));
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let server = setup.table("[gateway.tls]\ncert = \"cert.pem\"\nkey = \"key.pem\"").start().await;
    let plain = server.http.request(Method::GET, "/health").send().await;
    assert!(plain.is_err(), "plain HTTP is not spoken: {plain:?}");
    let answer: Value = serde_json::from_str(&server.https("/health", &cert).await).unwrap();
    assert_eq!(answer["status"], "ok");
}
