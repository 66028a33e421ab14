//! The gateway: its own death, and the endpoints that generate nothing.

use serde_json::json;

use crate::{
    chat::counted,
    crash::endless,
    harness::{Event, RawConnection, Refusal, Server, Setup, Signal, chat, eventually, is_alive, signal},
};

/// Connections made while there is no gateway.
const WAITING: usize = 32;

#[tokio::test]
async fn no_connection_is_refused_while_the_gateway_is_killed() {
    let server = Server::plain().await;
    let killed = server.gateway_pid().await;
    signal(killed, Signal::SIGKILL);
    let mut waiting = Vec::new();
    for _ in 0..WAITING {
        waiting.push(RawConnection::open(server.listen).await.expect("nobody is refused"));
    }
    eventually("the gateway is dead", || async { (!is_alive(killed)).then_some(()) }).await;
    // Connections from now on can have been accepted by nobody but its successor.
    for _ in 0..WAITING {
        let mut connection = RawConnection::open(server.listen).await.expect("nobody is refused");
        connection.send_get("/health").await;
        let answer = connection.read_to_end().await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer:?}");
    }
    assert_eq!(server.http.ask(&chat("count from 1 to 10")).await.text, counted(10));
    let gateway = server.status().await.gateway.unwrap();
    assert_ne!(gateway.pid, killed);
    assert_eq!(gateway.restarts, 1);
    assert!(gateway.last_exit.contains("SIGKILL"), "{}", gateway.last_exit);
}

#[tokio::test]
async fn a_killed_gateway_gives_its_leases_back() {
    let server = Server::plain().await;
    let mut stream = server.http.stream(&endless()).await;
    stream.read_texts(2).await;
    server.worker_when("its slot is busy", |worker| worker.leases == 1 && worker.slots_busy == 1).await;
    signal(server.gateway_pid().await, Signal::SIGKILL);
    server.worker_when("its slot is free", |worker| worker.leases == 0 && worker.slots_busy == 0).await;
    assert_eq!(server.control.stats("impetus-tiny").await.cancelled, 1);
}

#[tokio::test]
async fn a_restart_of_the_gateway_lets_its_streams_finish() {
    let server = Server::plain().await;
    let mut body = endless();
    body["max_tokens"] = json!(700);
    let mut stream = server.http.stream(&body).await;
    stream.read_texts(1).await;
    let restarted = server.ctl(&["restart", "gateway"]);
    let (whole, restarted) = tokio::join!(stream.rest(), restarted);
    assert_eq!(whole.last(), Some(&Event::Done));
    assert_eq!((restarted.code, restarted.out.as_str()), (0, "gateway is restarted\n"));
    assert_eq!(server.http.get("/health").await.status(), 200);
}

#[tokio::test]
async fn models_are_listed_with_what_is_known_of_them() {
    let tables = "[[model]]\nname = \"impetus-tiny\"\naliases = [\"gpt-4o\"]\ncontext = 512";
    let server = Setup::new().with_file("torn.gguf", "GGUF").table(tables).start().await;
    let list = server.http.get_json("/v1/models").await;
    assert_eq!(list["object"], "list");
    let models = list["data"].as_array().unwrap();
    let [model] = models.as_slice() else { panic!("the broken one is not for clients: {list}") };
    assert_eq!((&model["id"], &model["object"]), (&json!("impetus-tiny"), &json!("model")));
    assert!(model["created"].as_u64().unwrap() > 0);
    let details = &model["impetus"];
    let expected = json!({
        "format": "gguf", "architecture": "llama", "quantization": "F32", "context_tokens": 512,
        "trained_context_tokens": 2048, "parameters": 2_623_744, "chat_template": true, "is_default": true,
        "aliases": ["gpt-4o"], "state": "available",
    });
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&details[name], value, "{name}");
    }
    for name in ["impetus-tiny", "gpt-4o"] {
        assert_eq!(&server.http.get_json(&format!("/v1/models/{name}")).await, model);
    }
    let refusal = Refusal::of(server.http.get("/v1/models/nothing/like/it").await).await;
    assert_eq!((refusal.status, refusal.code.as_str()), (404, "model_not_found"));
    let mut body = chat("count from 1 to 5");
    body["model"] = json!("gpt-4o");
    assert_eq!(server.http.ask(&body).await.text, counted(5));
}

#[tokio::test]
async fn watchers_are_answered() {
    let server = Server::plain().await;
    assert_eq!(server.http.get_json("/health").await, json!({"status": "ok"}));
    let ready = server.http.get_json("/ready").await;
    assert_eq!((&ready["status"], &ready["model"]), (&json!("ready"), &json!("impetus-tiny")));
    let answer = server.http.ask(&chat("count from 1 to 10")).await;
    // A request is counted when the last of its connection's bytes is written, which may be after it was read.
    let ended =
        "impetus_requests_total{endpoint=\"/v1/chat/completions\",model=\"impetus-tiny\",status=\"200\"} 1\n";
    let metrics = eventually("the request is counted", || async {
        let metrics = server.http.get("/metrics").await.text().await.unwrap();
        metrics.contains(ended).then_some(metrics)
    })
    .await;
    let tokens = answer.usage["completion_tokens"].as_u64().unwrap();
    for line in [
        format!("impetus_completion_tokens_total{{model=\"impetus-tiny\"}} {tokens}\n"),
        "impetus_time_to_first_token_seconds_count{model=\"impetus-tiny\"} 1\n".to_owned(),
        format!("impetus_inter_token_seconds_count{{model=\"impetus-tiny\"}} {}\n", tokens - 1),
        "impetus_requests_waiting 0\n".to_owned(),
        "impetus_gateway_restarts_total 0\n".to_owned(),
        "impetus_supervisor_up 1\n".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
    let is_ready =
        |line: &str| line.contains("model=\"impetus-tiny\"") && line.ends_with("state=\"ready\"} 1");
    assert!(
        metrics.lines().any(|line| line.starts_with("impetus_worker_state") && is_ready(line)),
        "{metrics}"
    );
}
