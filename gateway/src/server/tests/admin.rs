//! The admin API, through the whole server.

use impetus_proto::supervisor::{GatewayStatus, PoolStatus};
use serde_json::json;

use super::*;

fn busy() -> StatusReply {
    let worker = WorkerStatus {
        id: "gguf-1".into(),
        format: "gguf".into(),
        model: "tiny".into(),
        state: "ready".into(),
        pid: 7,
        slots_total: 4,
        slots_busy: 1,
        rss_bytes: 30,
        uptime_s: 9,
        ..WorkerStatus::default()
    };
    let ram = PoolStatus {
        name: "ram".into(),
        limit_bytes: 80,
        placed_bytes: 40,
        total_bytes: 100,
        available_bytes: 20,
    };
    let gateway = GatewayStatus {
        pid: 8,
        state: "ready".into(),
        listen: "127.0.0.1:8080".into(),
        rss_bytes: 10,
        ..GatewayStatus::default()
    };
    StatusReply {
        gateway: Some(gateway),
        workers: vec![worker, WorkerStatus { id: "gguf-2".into(), ..WorkerStatus::default() }],
        pools: vec![ram],
        version: "1".into(),
        ..StatusReply::default()
    }
}

#[tokio::test]
async fn a_status_says_what_is_known_and_null_for_the_rest() {
    let fake = Fake::start();
    fake.set_status(busy());
    let status = send(&fake, get("/admin/status")).await.json();
    for (pointer, expected) in [
        ("/gateway/url", json!("http://127.0.0.1:8080")),
        ("/gateway/last_exit", Value::Null),
        ("/workers/0/slots", json!({"busy": 1, "total": 4})),
        ("/workers/0/uptime_s", json!(9)),
        ("/workers/1/slots", json!({"busy": null, "total": null})),
        ("/workers/1/uptime_s", Value::Null),
        ("/workers/1/model", Value::Null),
        ("/pools/0/measured_bytes", json!(40)),
        ("/pools/0/foreign_bytes", json!(40)),
        ("/exits", json!([])),
    ] {
        assert_eq!(status.pointer(pointer), Some(&expected), "{pointer} of {status}");
    }
}

#[tokio::test]
async fn what_is_not_known_is_refused_in_the_shape_of_all_errors() {
    let fake = Fake::start();
    let check = async |request: Request<Body>, status: u16| {
        let what = format!("{request:?}");
        assert_eq!(send(&fake, request).await.error().0, status, "{what}");
    };
    check(get("/admin/history?step_s=5"), 400).await;
    check(get("/admin/history?step=1"), 400).await;
    check(get("/admin/history?since_s=x"), 400).await;
    check(get("/admin/logs?level=loud"), 400).await;
    check(get("/admin/logs?lines=5001"), 400).await;
    check(get("/admin/requests/absent"), 404).await;
    check(post("/admin/models/tiny/load", r#"{"pin":true}"#), 400).await;
    check(post("/admin/models/tiny/keep_alive", "{}"), 400).await;
    check(post("/admin/aliases/a", "[]"), 400).await;
    check(post("/admin/keys", r#"{"name":"../x"}"#), 400).await;
    check(post("/admin/pulls", r#"{"models":"x"}"#), 400).await;
    check(post("/admin/config", r#"{"change":{}}"#), 400).await;
    check(get("/admin/nowhere"), 404).await;
}

#[tokio::test]
async fn every_admin_path_asks_for_its_scope() {
    let fake = Fake::start();
    let app = app(fake.gateway());
    let admin = app.table.all().iter().filter(|route| route.path.starts_with("/admin/"));
    let needs: Vec<Need> = admin.map(|route| route.need).collect();
    assert!(needs.len() > 15 && needs.iter().all(|need| *need == Need::Scope(Scope::Admin)), "{needs:?}");
}

#[tokio::test]
async fn the_way_of_a_request_is_remembered() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    let request = Request::post(CHAT_PATH)
        .header(HOST, "localhost")
        .header("x-request-id", "mine-1")
        .body(Body::from(CHAT))
        .unwrap();
    send_to(gateway.clone(), request).await;
    send_to(gateway.clone(), get("/v1/models")).await;
    let listed = send_to(gateway.clone(), get("/admin/requests")).await.json();
    assert_eq!(listed["requests"].as_array().unwrap().len(), 1, "{listed}");
    let told = send_to(gateway, get("/admin/requests/mine-1")).await.json();
    assert_eq!(
        (&told["status"], &told["path"], &told["model"]),
        (&json!(200), &json!(CHAT_PATH), &json!(crate::fake::MODEL))
    );
    assert!(told["error"].is_null() && told["completion_tokens"].is_u64(), "{told}");
    let names: Vec<&str> =
        told["spans"].as_array().unwrap().iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(names[0], format!("POST {CHAT_PATH}"));
    assert!(
        names.contains(&"lease") && names.iter().any(|name| name.ends_with("Worker/Generate")),
        "{names:?}"
    );
}

#[tokio::test]
async fn a_stream_begins_with_the_status_and_goes_on_while_the_supervisor_says_nothing_else() {
    let fake = Fake::start();
    fake.set_status(busy());
    let response = answer(app(fake.gateway()), get("/admin/events")).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    let mut body = response.into_body();
    let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
    let text = String::from_utf8(frame.to_vec()).unwrap();
    let mut lines = text.lines();
    assert!(lines.next().unwrap().starts_with("id: 0-"), "{text}");
    assert_eq!(lines.next(), Some("event: status"));
    let data: Value = serde_json::from_str(lines.next().unwrap().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(data["workers"][0]["id"], "gguf-1");
}
