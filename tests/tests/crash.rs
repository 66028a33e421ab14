//! What clients see of a process that is killed: of a worker nothing before the first token and an honest error
//! after it, of the supervisor the end, without orphans.

use serde_json::{Value, json};

use crate::{
    chat::counted,
    harness::{Event, Server, Setup, Signal, chat, eventually, is_alive, signal},
};

/// A request that runs until its context is full, which takes seconds.
pub(crate) fn endless() -> Value {
    let mut body = chat("count from 1 to 100");
    body["ignore_eos"] = json!(true);
    body
}

/// Kills the worker of the bundled model and waits until it is dead.
async fn kill_worker(server: &Server) -> u32 {
    let pid = server.worker().await.pid;
    signal(pid, Signal::SIGKILL);
    eventually("the worker is dead", || async { (!is_alive(pid)).then_some(()) }).await;
    pid
}

#[tokio::test]
async fn a_worker_killed_between_requests_is_not_missed() {
    let server = Server::plain().await;
    let body = chat("count from 1 to 10");
    assert_eq!(server.http.ask(&body).await.text, counted(10));
    let killed = kill_worker(&server).await;
    assert_eq!(server.http.ask(&body).await.text, counted(10));
    let worker = server.worker().await;
    assert_ne!(worker.pid, killed);
    assert!(worker.last_exit.contains("SIGKILL"), "{}", worker.last_exit);
    assert_eq!(worker.restarts, 1);
}

#[tokio::test]
async fn a_worker_killed_before_the_first_token_is_not_seen() {
    let server = Server::plain().await;
    let body = chat("count from 1 to 30");
    server.http.ask(&chat("What is your name?")).await;
    // Stopped, it holds the requests without answering them.
    let pid = server.worker().await.pid;
    signal(pid, Signal::SIGSTOP);
    let whole = server.http.ask(&body);
    let streamed = async { server.http.stream(&body).await.whole().await };
    let kill = async {
        server.worker_when("both requests hold the worker", |worker| worker.leases == 2).await;
        signal(pid, Signal::SIGKILL);
    };
    let (whole, streamed, ()) = tokio::join!(whole, streamed, kill);
    assert_eq!((whole.text, streamed.text), (counted(30), counted(30)));
    let metrics = server.http.get("/metrics").await.text().await.unwrap();
    assert!(metrics.contains("impetus_retries_total{model=\"impetus-tiny\"} 2\n"), "{metrics}");
}

#[tokio::test]
async fn a_worker_that_falls_silent_is_replaced_unseen() {
    let server = Setup::new().set("supervisor.silence_timeout_s=2").start().await;
    server.http.ask(&chat("What is your name?")).await;
    let pid = server.worker().await.pid;
    signal(pid, Signal::SIGSTOP);
    assert_eq!(server.http.ask(&chat("count from 1 to 10")).await.text, counted(10));
    let worker = server.worker().await;
    assert_ne!(worker.pid, pid);
    assert!(!is_alive(pid));
    assert!(!worker.last_exit.is_empty(), "{worker:?}");
}

#[tokio::test]
async fn a_worker_killed_after_the_first_token_ends_its_streams_with_an_error() {
    let server = Server::plain().await;
    let mut stream = server.http.stream(&endless()).await;
    assert_eq!(stream.read_texts(4).await, "1, 2");
    kill_worker(&server).await;
    let rest = stream.rest().await;
    assert!(!rest.contains(&Event::Done), "{rest:?}");
    let Some(Event::Error(error)) = rest.last() else { panic!("no error: {rest:?}") };
    assert_eq!(
        (&error["error"]["type"], &error["error"]["code"]),
        (&json!("server_error"), &json!("worker_crashed"))
    );
    assert!(error["error"]["message"].as_str().unwrap().contains("impetus-tiny"), "{error}");
    assert_eq!(error["error"]["param"], Value::Null);
    assert_eq!(server.http.ask(&chat("count from 1 to 10")).await.text, counted(10));
}

#[tokio::test]
async fn a_worker_killed_within_a_whole_answer_is_an_error_with_a_status() {
    let server = Server::plain().await;
    server.http.ask(&chat("What is your name?")).await;
    let before = server.control.stats("impetus-tiny").await.completion_tokens;
    let endless = endless();
    let refused = server.http.refused(&endless);
    let kill = async {
        eventually("tokens flow", || async {
            (server.control.stats("impetus-tiny").await.completion_tokens > before + 8).then_some(())
        })
        .await;
        kill_worker(&server).await;
    };
    let (refused, ()) = tokio::join!(refused, kill);
    assert_eq!((refused.status, refused.code.as_str()), (500, "worker_crashed"));
}

#[tokio::test]
async fn nothing_survives_a_killed_supervisor() {
    let mut server = Server::plain().await;
    let mut stream = server.http.stream(&endless()).await;
    stream.read_texts(1).await;
    let status = server.status().await;
    assert!(status.workers.iter().any(|worker| worker.state == "ready"), "{status:?}");
    let children: Vec<u32> =
        status.workers.iter().map(|worker| worker.pid).chain(status.gateway.map(|g| g.pid)).collect();
    signal(server.pid(), Signal::SIGKILL);
    server.ended().await;
    eventually("no child is alive", || async { (!children.iter().any(|pid| is_alive(*pid))).then_some(()) })
        .await;
    server.nothing_is_left().await;
}
