//! What has happened to a server, why its processes died, and how much they log.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use impetus_proto::{
    endpoint,
    event::{ListRequest, events_client::EventsClient},
};
use serde_json::{Value, json};

use crate::{
    chat::with,
    harness::{MODEL, Output, Server, Setup, Signal, chat, eventually, signal},
};

/// The words that no report may hold.
const SECRET: &str = "xyzzy plugh";

/// The events of the server, as `supervisorctl events` tells them with these arguments besides.
async fn events(server: &Server, arguments: &[&str]) -> Vec<Value> {
    let output = server.ctl(&[&["events", "--json"], arguments].concat()).await;
    assert_eq!(output.code, 0, "{output:?}");
    output.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Waits for an event of this kind about `subject`.
async fn event(server: &Server, kind: &str, subject: &str) -> Value {
    eventually(&format!("{kind} {subject}"), || async {
        let is_it = |event: &Value| event["kind"] == kind && event["subject"] == subject;
        events(server, &[]).await.into_iter().rev().find(is_it)
    })
    .await
}

async fn done(server: &Server, arguments: &[&str]) -> Output {
    let output = server.ctl(arguments).await;
    assert_eq!(output.code, 0, "{output:?}");
    output
}

#[tokio::test]
async fn what_happens_is_told_in_order() {
    let server = Setup::new().with_copy("other.gguf").installed().start().await;
    server.http.ask(&chat("count from 1 to 3")).await;
    done(&server, &["swap", "current", MODEL]).await;
    done(&server, &["key", "add", "alice"]).await;
    done(&server, &["key", "revoke", "alice"]).await;
    done(&server, &["restart", "gateway"]).await;
    done(&server, &["reload"]).await;
    done(&server, &["upgrade"]).await;
    done(&server, &["unload", MODEL]).await;
    event(&server, "model.unloaded", MODEL).await;
    let events = events(&server, &[]).await;
    // What comes of a restarted gateway by itself is told whenever it comes.
    let kinds: Vec<&str> = events.iter().map(|event| event["kind"].as_str().unwrap()).collect();
    let due = [
        "server.started",
        "model.loading",
        "model.ready",
        "alias.swapped",
        "key.created",
        "key.revoked",
        "gateway.replaced",
        "config.reloaded",
        "upgrade.started",
        "server.started",
        "gateway.replaced",
        "model.loading",
        "model.ready",
        "upgrade.finished",
        "model.unloaded",
    ];
    let mut rest = kinds.iter();
    for kind in due {
        assert!(rest.any(|told| *told == kind), "{kind} is not in its place: {kinds:?}");
    }
    let numbers: Vec<u64> = events.iter().map(|event| event["number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=events.len() as u64).collect::<Vec<_>>(), "they outlive the supervisor");

    let told = done(&server, &["events", "--since", "1h"]).await.out;
    assert_eq!(told.lines().count(), events.len());
    assert!(told.contains(&format!("alias.swapped    current means {MODEL}")), "{told}");
    assert_eq!(done(&server, &["events", "--since", "0s"]).await.out, "");
}

#[tokio::test]
async fn a_follower_hears_what_happens_next() {
    let server = Server::plain().await;
    let socket = format!("unix://{}", server.path("run/supervisor.sock").display());
    let channel = endpoint::connect(&socket, std::time::Duration::from_secs(5)).await.unwrap();
    let request = ListRequest { since_unix_ms: 0, follow: true };
    let mut stream = EventsClient::new(channel).list(request).await.unwrap().into_inner();
    done(&server, &["key", "add", "alice"]).await;
    let mut subjects = Vec::new();
    while subjects.last().is_none_or(|subject| subject != "alice") {
        let batch = stream.message().await.unwrap().expect("it goes on");
        assert_eq!(batch.missed, 0);
        subjects.extend(batch.events.into_iter().map(|event| event.subject));
    }
}

/// Kills `pid` while it works, and answers with the report of that, as it is shown and where it lies.
async fn report(server: &Server, subject: &str, kind: &str) -> (Value, String) {
    let event = event(server, kind, subject).await;
    let id = event["fields"]["crash"].as_str().expect("it names its report").to_owned();
    let shown = done(server, &["crashes", "show", &id]).await.json();
    let path = server.path("state/crashes").join(format!("{id}.json"));
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), shown);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert!(!text.contains(SECRET), "{text}");
    let listed = done(server, &["crashes"]).await.out;
    assert!(listed.contains(&id), "{listed}");
    (shown, id)
}

#[tokio::test]
async fn a_death_is_reported_without_what_was_said() {
    let server = Setup::new().set("log.level=debug").start().await;
    assert_eq!(done(&server, &["crashes", "list"]).await.out, "nothing has died that was not asked to\n");
    let endless = with(chat(&format!("Repeat after me: {SECRET}")), &json!({"ignore_eos": true}));
    let mut stream = server.http.stream(&endless).await;
    stream.read_texts(1).await;
    let worker = server.worker_when("it works", |worker| worker.slots_busy == 1).await;
    signal(worker.pid, Signal::SIGABRT);
    let (shown, _) = report(&server, &worker.id, "worker.exited").await;
    assert_eq!((&shown["process"], &shown["pid"]), (&worker.id.into(), &worker.pid.into()));
    assert_eq!((&shown["exit"]["signal"], &shown["exit"]["may_be_request"]), (&6.into(), &true.into()));
    assert!(shown["cause"].as_str().unwrap().contains("SIGABRT"), "{shown}");
    assert!(shown["version"].is_string() && shown["uptime_ms"].as_u64().unwrap() > 0, "{shown}");
    let serving = &shown["worker"];
    assert_eq!(
        (&serving["format"], &serving["state"], &serving["sequences"]),
        (&"gguf".into(), &"ready".into(), &1.into())
    );
    assert_eq!(serving["model"]["name"], MODEL);
    assert!(serving["peak_bytes"].as_u64().unwrap() > 1 << 20, "{shown}");
    assert!(!shown["last_lines"].as_array().unwrap().is_empty(), "{shown}");
    drop(stream);

    let gateway = server.gateway_pid().await;
    signal(gateway, Signal::SIGABRT);
    let (shown, _) = report(&server, "gateway", "gateway.exited").await;
    assert_eq!((&shown["process"], &shown["exit"]["signal"]), (&"gateway".into(), &6.into()));
    assert_eq!(server.ctl(&["crashes", "show", "../keys"]).await.code, 4);
    let listed = done(&server, &["crashes", "list", "--json"]).await.json();
    assert_eq!(listed["crashes"].as_array().unwrap().len(), 2, "{listed}");
}

#[tokio::test]
async fn how_much_is_logged_changes_while_the_server_runs() {
    let server = Server::plain().await;
    server.http.ask(&chat("count from 1 to 3")).await;
    let says = async |process: &str, words: &str| {
        done(&server, &["logs", "-n", "1000", process]).await.out.contains(words)
    };
    let asks = async || {
        // With a wish of its own it shares no lease.
        server.http.ask(&with(chat("count from 1 to 3"), &json!({"keep_alive": 600}))).await;
        server.http.get("/health").await;
    };
    // What each process says of a request at `debug` alone.
    let gateway = "\"level\":\"DEBUG\",\"fields\":{\"message\":\"request ended\"";
    let words = [("supervisor", "lease asked for"), ("gateway", gateway), (MODEL, "\"accepted\"")];
    for (target, words) in words {
        assert!(!says(target, words).await, "{target}");
        let table = done(&server, &["log-level", "debug", "--target", target]).await.out;
        assert_eq!(table.matches("debug (changed)").count(), 1, "{table}");
        eventually(&format!("{target} says {words}"), || async {
            asks().await;
            says(target, words).await.then_some(())
        })
        .await;
        let table = done(&server, &["log-level", "--reset", "--target", target]).await.out;
        assert!(!table.contains("changed"), "{table}");
    }
    // All of them, also those that come.
    let table = done(&server, &["log-level", "warn"]).await.out;
    assert_eq!(table, done(&server, &["log-level"]).await.out);
    let n_processes = table.lines().count() - 1;
    assert_eq!(table.matches("warn (changed)").count(), n_processes, "{table}");
    done(&server, &["restart", MODEL]).await;
    let worker = server.worker().await.id;
    asks().await;
    assert!(!says(&worker, "\"level\":\"INFO\",\"fields\":{\"message\":\"draining\"").await);
    done(&server, &["log-level", "--reset"]).await;
    assert!(!done(&server, &["log-level"]).await.out.contains("changed"));

    let wrong = server.ctl(&["log-level", "loud"]).await;
    assert!(wrong.code == 1 && wrong.err.contains("\"loud\" is not understood"), "{wrong:?}");
    assert_eq!(server.ctl(&["log-level", "debug", "--target", "nobody"]).await.code, 4);
    event(&server, "log_level.changed", "all").await;
}
