//! A supervisor that is killed and started again: its workers and its gateway go on, and no client notices. What the
//! new one has no use for finishes what it has begun.

use std::time::Duration;

use impetus_tests::fake::oracle::greedy;
use serde_json::{Value, json};

use crate::{
    chat::with,
    harness::{EventStream, RawConnection, Server, Setup, Signal, chat, eventually, is_alive, signal},
};

/// Tokens of the long answers here, at 20 ms each: all that happens meanwhile takes less time than they do.
const N_TOKENS: usize = 400;

fn long() -> Value {
    with(chat("hello"), &json!({"model": "slow", "max_tokens": N_TOKENS}))
}

fn whole_text() -> String {
    greedy("user: hello\nassistant: ", N_TOKENS)
}

async fn start() -> Server {
    Setup::new().with_fake("slow", "step_ms = 20").set("supervisor.orphan_grace_s=60").start().await
}

async fn check_rest(begun: String, stream: EventStream) {
    let rest = stream.whole().await;
    assert_eq!((begun + &rest.text, rest.finish_reason.as_str()), (whole_text(), "length"));
}

/// The process of the model's worker, once there is one.
async fn worker_pid(server: &Server) -> u32 {
    let pid = async || server.find_worker("slow").await.map(|worker| worker.pid).filter(|pid| *pid != 0);
    eventually("the model has a worker", pid).await
}

#[tokio::test]
async fn a_stream_goes_on_through_two_supervisors_in_the_same_processes() {
    let mut server = start().await;
    let mut stream = server.http.stream(&long()).await;
    let mut text = stream.read_texts(5).await;
    let before = (server.gateway_pid().await, worker_pid(&server).await, server.listen);
    for _ in 0..2 {
        server.kill_supervisor().await;
        text += &stream.read_texts(5).await;
        server.start_again(&[]).await;
        assert_eq!((server.gateway_pid().await, worker_pid(&server).await, server.listen), before);
        // The gateway holds the worker as before.
        let holds = async || server.find_worker("slow").await.filter(|worker| worker.leases == 1);
        eventually("the lease is taken up again", holds).await;
    }
    let answer = server.http.ask(&with(long(), &json!({"max_tokens": 5}))).await;
    assert!(whole_text().starts_with(&answer.text), "{}", answer.text);
    // Standard error of both is captured anew.
    for process in ["gateway", "slow"] {
        let adopted = async || {
            let logs = server.ctl(&["logs", process]).await;
            logs.out.contains("adopted by another supervisor").then_some(())
        };
        eventually("the adoption is in the log", adopted).await;
    }
    check_rest(text, stream).await;
}

#[tokio::test]
async fn a_worker_that_dies_between_supervisors_is_replaced_and_one_that_dies_after_is_not_explained() {
    let mut server = start().await;
    let mut stream = server.http.stream(&long()).await;
    let mut text = stream.read_texts(5).await;
    let orphan = worker_pid(&server).await;
    server.kill_supervisor().await;
    signal(orphan, Signal::SIGKILL);
    eventually("the worker is dead", || async { (!is_alive(orphan)).then_some(()) }).await;
    server.start_again(&[]).await;
    text += &stream.read_texts(5).await;
    assert_ne!(worker_pid(&server).await, orphan);

    server.kill_supervisor().await;
    server.start_again(&[]).await;
    let adopted = worker_pid(&server).await;
    signal(adopted, Signal::SIGKILL);
    let replaced =
        async || server.find_worker("slow").await.filter(|worker| ![0, adopted].contains(&worker.pid));
    let last_exit = eventually("the worker is replaced", replaced).await.last_exit;
    assert!(last_exit.contains("its exit status is unknown"), "{last_exit}");
    check_rest(text, stream).await;
}

#[tokio::test]
async fn a_worker_that_loads_is_taken_over() {
    let setup = Setup::new().with_fake("slow", "load_ms = 2000").set("supervisor.orphan_grace_s=60");
    let mut server = setup.start().await;
    let request = server.http.request(reqwest::Method::POST, "/v1/chat/completions").json(&long());
    let answer = tokio::spawn(async move { request.send().await.unwrap().json::<Value>().await.unwrap() });
    let loads = async || server.find_worker("slow").await.filter(|worker| worker.state == "loading");
    let pid = eventually("the model is loading", loads).await.pid;
    server.kill_supervisor().await;
    server.start_again(&[]).await;
    let answer = answer.await.unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], whole_text(), "{answer}");
    assert_eq!(worker_pid(&server).await, pid);
}

#[tokio::test]
async fn what_is_configured_otherwise_now_finishes_its_requests() {
    let mut server = start().await;
    let mut stream = server.http.stream(&long()).await;
    let text = stream.read_texts(5).await;
    let before = (server.gateway_pid().await, worker_pid(&server).await);
    server.kill_supervisor().await;
    // Another context for the worker, and with it another configuration for the gateway.
    server.start_again(&["workers.fake.context=900"]).await;
    let successor = async || Some(server.gateway_pid().await).filter(|pid| *pid != before.0);
    eventually("there is another gateway", successor).await;
    assert_eq!(server.http.ask(&with(long(), &json!({"max_tokens": 5}))).await.text.len(), 5);
    assert_ne!(worker_pid_of_new(&server, before.1).await, before.1);
    assert!(is_alive(before.0) && is_alive(before.1));
    check_rest(text, stream).await;
    eventually("the former gateway has ended", || async { (!is_alive(before.0)).then_some(()) }).await;
    eventually("the former worker has ended", || async { (!is_alive(before.1)).then_some(()) }).await;
}

#[tokio::test]
async fn a_gateway_elsewhere_finishes_its_requests() {
    let mut server = start().await;
    let mut stream = server.http.stream(&long()).await;
    let text = stream.read_texts(5).await;
    let (gateway, former) = (server.gateway_pid().await, server.listen);
    server.kill_supervisor().await;
    server.start_again(&["gateway.listen='127.0.0.2:0'"]).await;
    assert_eq!(server.listen.ip().to_string(), "127.0.0.2");
    assert_ne!(server.gateway_pid().await, gateway);
    eventually("nobody is let in where it was", || async {
        RawConnection::open(former).await.is_err().then_some(())
    })
    .await;
    check_rest(text, stream).await;
    eventually("the former gateway has ended", || async { (!is_alive(gateway)).then_some(()) }).await;
}

#[tokio::test]
async fn without_another_supervisor_all_end_after_the_grace() {
    let mut server =
        Setup::new().with_fake("slow", "step_ms = 20").set("supervisor.orphan_grace_s=2").start().await;
    let mut stream = server.http.stream(&long()).await;
    stream.read_texts(5).await;
    let killed = std::time::Instant::now();
    server.kill_supervisor().await;
    stream.read_texts(2).await;
    server.nothing_is_left().await;
    assert!(killed.elapsed() >= Duration::from_secs(2), "{:?}", killed.elapsed());
    // What is left on disk is in nobody's way.
    server.start_again(&[]).await;
    assert_eq!(server.http.ask(&with(long(), &json!({"max_tokens": 5}))).await.text.len(), 5);
}

/// The process of the worker that is not `former`.
async fn worker_pid_of_new(server: &Server, former: u32) -> u32 {
    let workers = server.status().await.workers;
    let new = workers.iter().find(|worker| worker.model == "slow" && worker.pid != former);
    new.expect("the model has another worker").pid
}
