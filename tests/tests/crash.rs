//! What clients see of a worker that is killed: nothing, whether they read a stream or wait for a whole answer,
//! before the first token or after it; and of a supervisor that is killed for good: the end, without orphans.

use std::pin::pin;

use serde_json::{Value, json};

use crate::{
    chat::{counted, with},
    harness::{BUNDLED, Server, Setup, Signal, chat, completion, eventually, is_alive, signal},
};

/// A request that runs until its context is full, which takes seconds.
pub(crate) fn endless() -> Value {
    let mut body = chat("count from 1 to 100");
    body["ignore_eos"] = json!(true);
    body
}

/// Kills the worker of `model`, once it serves, and waits until it is dead.
pub(crate) async fn kill_worker(server: &Server, model: &str) -> u32 {
    let serves = || async { server.find_worker(model).await.filter(|worker| worker.state == "ready") };
    let pid = eventually("a worker serves", serves).await.pid;
    signal(pid, Signal::SIGKILL);
    eventually("the worker is dead", || async { (!is_alive(pid)).then_some(()) }).await;
    pid
}

#[tokio::test]
async fn a_worker_killed_between_requests_is_not_missed() {
    let server = Server::plain().await;
    let body = chat("count from 1 to 10");
    assert_eq!(server.http.ask(&body).await.text, counted(10));
    let killed = kill_worker(&server, "impetus-tiny").await;
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
async fn a_stream_goes_on_where_it_was_when_its_worker_was_killed() {
    let server = Setup::in_all_formats().start().await;
    let check = async |body: Value, n_texts: usize| {
        let model = body["model"].as_str().unwrap();
        let alone = server.http.ask(&body).await;
        let mut stream = server.http.stream(&body).await;
        let text = stream.read_texts(n_texts).await;
        kill_worker(&server, model).await;
        // Fast engines may have said it all by now, and nobody asks for another worker.
        let mut rest = pin!(stream.whole());
        let rest = tokio::select! {
            rest = &mut rest => rest,
            _ = kill_worker(&server, model) => rest.await,
        };
        assert_eq!((text + &rest.text, &rest.finish_reason), (alone.text, &alone.finish_reason), "{body}");
        for count in ["prompt_tokens", "completion_tokens", "total_tokens"] {
            assert_eq!(rest.usage[count], alone.usage[count], "{count} of {body}");
        }
    };
    for model in BUNDLED {
        let model = json!({"model": model});
        check(with(chat("count from 1 to 100"), &model), 8).await;
        check(with(with(chat("count from 1 to 100"), &model), &json!({"stop": "87"})), 8).await;
        let seeded = json!({"temperature": 0.8, "seed": 5, "max_tokens": 300, "frequency_penalty": 0.5});
        // It repeats itself, and is guessed.
        check(with(with(completion("Xq vlurb"), &model), &seeded), 2).await;
    }
    let metrics = server.http.get("/metrics").await.text().await.unwrap();
    for model in BUNDLED {
        let replays = format!("impetus_replays_total{{model=\"{model}\"");
        assert!(metrics.lines().any(|line| line.starts_with(&replays)), "{model}: {metrics}");
    }
}

#[tokio::test]
async fn a_whole_answer_is_none_the_less_whole_when_its_worker_is_killed() {
    let server = Server::plain().await;
    let body = chat("count from 1 to 100");
    let alone = server.http.ask(&body).await;
    let before = server.control.stats("impetus-tiny").await.completion_tokens;
    let kill = async {
        eventually("tokens flow", || async {
            (server.control.stats("impetus-tiny").await.completion_tokens > before + 8).then_some(())
        })
        .await;
        kill_worker(&server, "impetus-tiny").await
    };
    let (answer, killed) = tokio::join!(server.http.ask(&body), kill);
    assert_eq!((&answer.text, &answer.finish_reason), (&alone.text, &alone.finish_reason));
    assert_eq!(answer.usage["completion_tokens"], alone.usage["completion_tokens"]);
    assert_ne!(server.worker().await.pid, killed);
}

#[tokio::test]
async fn every_choice_of_a_request_goes_on_where_it_stood() {
    let server = Server::plain().await;
    let body =
        with(completion("Xq vlurb"), &json!({"n": 3, "temperature": 0.9, "seed": 4, "max_tokens": 150}));
    let texts = |answer: &Value| -> Vec<Value> {
        let choices = answer["choices"].as_array().unwrap_or_else(|| panic!("no choices: {answer}"));
        choices.iter().map(|choice| choice["text"].clone()).collect()
    };
    let alone: Value = server.http.post(&body).await.json().await.unwrap();
    assert_eq!(texts(&alone).len(), 3);
    let before = server.control.stats("impetus-tiny").await.completion_tokens;
    let kill = async {
        eventually("tokens flow", || async {
            (server.control.stats("impetus-tiny").await.completion_tokens > before + 30).then_some(())
        })
        .await;
        kill_worker(&server, "impetus-tiny").await
    };
    let ask = async { server.http.post(&body).await.json::<Value>().await.unwrap() };
    let (again, _) = tokio::join!(ask, kill);
    assert_eq!(texts(&again), texts(&alone));
    assert_eq!(again["usage"]["completion_tokens"], alone["usage"]["completion_tokens"]);
}

#[tokio::test]
async fn nothing_survives_a_supervisor_that_nobody_follows() {
    let mut server = Setup::new().set("supervisor.orphan_grace_s=1").start().await;
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
