//! `supervisorctl`: what it shows, what it steers, and its exit codes.

use serde_json::{Value, json};

use crate::{
    chat::{counted, with},
    harness::{Server, Setup, chat, command, eventually, program},
};

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str).collect()
}

#[tokio::test]
async fn status_as_json_has_its_stable_shape() {
    let server = Server::plain().await;
    server.http.ask(&chat("count from 1 to 3")).await;
    server.worker_when("the slot is free", |worker| worker.slots_busy == 0).await;
    let output = server.ctl(&["status", "--json"]).await;
    assert_eq!(output.code, 0, "{output:?}");
    let status = output.json();
    assert_eq!(keys(&status), ["gateway", "workers", "models", "pools"]);
    assert_eq!(keys(&status["gateway"]), ["pid", "state", "listen", "url", "entrances"]);
    assert_eq!(status["gateway"]["state"], "ready");
    assert_eq!(status["gateway"]["listen"], json!(server.listen));
    let workers = status["workers"].as_array().unwrap();
    for worker in workers {
        let expected = [
            "id",
            "format",
            "model",
            "state",
            "detail",
            "pid",
            "restarts",
            "last_exit",
            "rss_bytes",
            "slots",
            "uptime_s",
            "leases",
            "role",
            "footprint_bytes",
            "peak_bytes",
            "limit_bytes",
            "limited_by",
            "sandbox",
            "prefix_bytes",
            "prefix_room_bytes",
            "load",
            "draft",
        ];
        assert_eq!(keys(worker), expected);
        assert_eq!(keys(&worker["slots"]), ["busy", "total"]);
    }
    let worker = workers.iter().find(|worker| worker["model"] == "impetus-tiny").expect("it serves");
    assert_eq!((&worker["format"], &worker["state"]), (&json!("gguf"), &json!("ready")));
    assert_eq!((&worker["restarts"], &worker["last_exit"]), (&json!(0), &Value::Null));
    assert_eq!(worker["slots"], json!({"busy": 0, "total": 8}));
    assert!(worker["rss_bytes"].as_u64().unwrap() > 10_000_000, "{worker}");
    assert!(worker["uptime_s"].is_u64() && worker["pid"].is_u64(), "{worker}");
    let [footprint, limit] =
        ["footprint_bytes", "limit_bytes"].map(|name| worker[name].as_u64().unwrap_or(0));
    assert!(footprint > 10_000_000 && limit > footprint, "{worker}");
    assert!(worker["limited_by"].is_string() && worker["sandbox"].is_string(), "{worker}");
    let ram =
        status["pools"].as_array().unwrap().iter().find(|pool| pool["name"] == "ram").expect("there is RAM");
    let room = worker["prefix_room_bytes"].as_u64().unwrap();
    assert_eq!(ram["placed_bytes"], footprint + room, "{ram}");
    assert!(ram["limit_bytes"].as_u64() > Some(footprint), "{ram}");
    let size = server.path("models/impetus-tiny.gguf").metadata().unwrap().len();
    let path = server.path("models/impetus-tiny.gguf");
    assert_eq!(
        status["models"],
        json!([{"name": "impetus-tiny", "format": "gguf", "state": "ready", "path": path, "size_bytes": size,
            "detail": null}])
    );
}

#[tokio::test]
async fn models_are_loaded_restarted_and_unloaded() {
    let server = Server::plain().await;
    let load = server.ctl(&["load", "impetus-tiny"]).await;
    assert_eq!(load.code, 0, "{load:?}");
    assert!(load.out.starts_with("impetus-tiny is ready on gguf-"), "{load:?}");
    let first = server.worker().await;
    assert_eq!(first.state, "ready");

    let restart = server.ctl(&["restart", "impetus-tiny"]).await;
    assert_eq!((restart.code, restart.out.as_str()), (0, "impetus-tiny is restarted\n"));
    let second = server.worker().await;
    assert_ne!(second.pid, first.pid);

    let gateway = server.gateway_pid().await;
    assert_eq!(server.ctl(&["restart", "gateway"]).await.code, 0);
    assert_ne!(server.gateway_pid().await, gateway);

    let unload = server.ctl(&["unload", "impetus-tiny"]).await;
    assert_eq!((unload.code, unload.out.as_str()), (0, "impetus-tiny is unloaded\n"));
    let models = server.ctl(&["models", "--json"]).await.json();
    assert_eq!(models["models"][0]["state"], "available");
    assert_eq!(server.http.ask(&chat("count from 1 to 5")).await.text, counted(5));
}

#[tokio::test]
async fn tables_are_for_people() {
    let server = Setup::new().with_file("torn.gguf", "GGUF").start().await;
    let status = server.ctl(&["status"]).await;
    assert_eq!(status.code, 0);
    let gateway = format!("gateway ready on http://{}, pid ", server.listen);
    let supervisor = format!("supervisor 0.1.0, pid {}, ", server.pid());
    for words in [supervisor.as_str(), &gateway, "standby", "impetus-tiny"] {
        assert!(status.out.contains(words), "{words:?} is not in\n{}", status.out);
    }
    let models = server.ctl(&["models"]).await.out;
    assert!(models.contains("impetus-tiny (default)"), "{models}");
    assert!(models.lines().any(|line| line.starts_with("torn") && line.contains("broken")), "{models}");
    let version = server.ctl(&["version"]).await;
    assert_eq!((version.code, version.out.as_str()), (0, "supervisorctl 0.1.0\nsupervisor 0.1.0\n"));
}

#[tokio::test]
async fn what_does_not_exist_exits_with_4() {
    let server = Server::plain().await;
    for arguments in [["load", "nobody"], ["unload", "nobody"], ["restart", "nobody"], ["logs", "nobody"]] {
        let output = server.ctl(&arguments).await;
        assert_eq!((output.code, output.out.as_str()), (4, ""), "{arguments:?}");
        assert!(
            output.err.starts_with("supervisorctl: ") && output.err.contains("\"nobody\""),
            "{}",
            output.err
        );
    }
    let socket = server.path("run/supervisor.sock");
    let mut command = command(&program("supervisorctl"), &server.path(""));
    command.arg("--socket").arg(socket).args(["unload", "impetus-tiny"]);
    let unload = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    assert_eq!(unload.status.code(), Some(0), "unloading what is not loaded is no failure: {unload:?}");
}

#[tokio::test]
async fn a_server_that_does_not_run_exits_with_3() {
    let dir = Setup::new().write_config();
    for arguments in [&["status"][..], &["status", "--json"], &["load", "x"], &["version"]] {
        let mut command = command(&program("supervisorctl"), dir.path());
        command.args(["--config", "impetus.toml"]).args(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {output:?}");
    }
}

#[tokio::test]
async fn an_alias_is_swapped_and_stays_so() {
    let tables = "[[model]]\nname = \"impetus-tiny\"\naliases = [\"current\"]";
    let server = Setup::new().with_copy("twin.gguf").table(tables).start().await;
    let answers_of = async || {
        let body = with(chat("count from 1 to 5"), &json!({"model": "current"}));
        let answer: Value = server.http.post(&body).await.json().await.unwrap();
        assert_eq!(answer["choices"][0]["message"]["content"], counted(5), "{answer}");
        answer["model"].as_str().unwrap().to_owned()
    };
    let before = answers_of().await;
    let swap = server.ctl(&["swap", "current", "twin"]).await;
    assert_eq!(swap.code, 0, "{swap:?}");
    assert!(swap.out.starts_with("current means twin instead of impetus-tiny"), "{swap:?}");
    assert_eq!((before.as_str(), answers_of().await.as_str()), ("impetus-tiny", "twin"));
    let reload = server.ctl(&["reload"]).await;
    assert_eq!((reload.code, reload.out.as_str()), (0, "nothing has changed\n"), "{reload:?}");
    let nobody = server.ctl(&["swap", "current", "nobody"]).await;
    assert_eq!(nobody.code, 4, "{nobody:?}");
    let again = server.ctl(&["swap", "current", "twin"]).await;
    assert_eq!((again.code, again.out.as_str()), (0, "current means twin, as before\n"));
}

#[tokio::test]
async fn a_reload_touches_only_what_changed() {
    let server = Setup::new().with_copy("twin.gguf").start().await;
    for model in ["impetus-tiny", "twin"] {
        server.http.ask(&with(chat("count from 1 to 3"), &json!({"model": model}))).await;
    }
    let pids = async || {
        let pid = async |model| server.find_worker(model).await.map(|worker| worker.pid);
        (pid("impetus-tiny").await, pid("twin").await)
    };
    let before = pids().await;
    let path = server.path("impetus.toml");
    let good = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{good}\n[[model]]\nname = \"twin\"\nslits = 2\n")).unwrap();
    let bad = server.ctl(&["reload"]).await;
    assert_ne!(bad.code, 0, "{bad:?}");
    assert!(bad.err.contains("slits"), "{bad:?}");
    assert_eq!(pids().await, before, "a wrong file changes nothing");
    std::fs::write(&path, format!("{good}\n[[model]]\nname = \"twin\"\nslots = 2\n")).unwrap();
    let reload = server.ctl(&["reload"]).await;
    assert_eq!(reload.code, 0, "{reload:?}");
    assert!(reload.out.contains("twin"), "{reload:?}");
    let twin = eventually("the other model has its new slots", || async {
        let twin = server.find_worker("twin").await?;
        (twin.slots_total == 2 && twin.role.is_empty()).then_some(twin)
    })
    .await;
    assert_eq!((pids().await.0, Some(twin.pid) == before.1), (before.0, false));
}
