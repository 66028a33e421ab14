//! `supervisorctl doctor` and `ps`: what is there, what is wrong, and what is loaded.

use std::{fs, net::TcpListener, os::unix::fs::PermissionsExt, path::Path};

use serde_json::{Value, json};

use crate::{
    chat::with,
    harness::{Output, Server, Setup, bundled_model, chat, command, program},
};

async fn doctor(dir: &Path, arguments: &[&str]) -> Output {
    let mut command = command(&program("supervisorctl"), dir);
    command.args(["--config", "impetus.toml", "doctor"]).args(arguments);
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap().into()
}

/// The finding about `what`.
fn finding(report: &Value, what: &str) -> Value {
    let checks = report["checks"].as_array().unwrap_or_else(|| panic!("no checks: {report}"));
    checks
        .iter()
        .find(|check| check["what"] == what)
        .unwrap_or_else(|| panic!("no {what}: {report:#}"))
        .clone()
}

#[tokio::test]
async fn a_server_that_runs_is_well() {
    let setup = Setup::in_all_formats().with_file("torn.gguf", "GGUF").set("supervisor.orphan_grace_s=1");
    fs::create_dir_all(setup.path("state/store/kept")).unwrap();
    fs::copy(bundled_model(), setup.path("state/store/kept/kept.gguf")).unwrap();
    fs::set_permissions(setup.path("state"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(setup.path("state/store"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(setup.path("state/hub-tokens.json"), "{}").unwrap();
    fs::set_permissions(setup.path("state/hub-tokens.json"), fs::Permissions::from_mode(0o600)).unwrap();
    let mut server = setup.start().await;
    server.http.ask(&chat("count from 1 to 3")).await;
    let output = server.ctl(&["doctor", "--json"]).await;
    let report = output.json();
    assert_eq!((output.code, &report["errors"]), (0, &json!(0)), "{report:#}");
    let check = |what: &str, verdict: &str, seen: &str| {
        let finding = finding(&report, what);
        assert_eq!(finding["verdict"], verdict, "{finding}");
        assert!(finding["seen"].as_str().unwrap().contains(seen), "{finding}");
        // Whoever is told of something wrong is told what to do.
        assert_eq!(finding["advice"].is_string(), ["warning", "error"].contains(&verdict), "{finding}");
    };
    check("configuration", "ok", "impetus.toml");
    check("server", "ok", &format!("pid {}", server.pid()));
    check("gateway.listen", "ok", &format!("{} is ready", server.listen));
    check("state folder", "ok", "mode 700");
    check("runtime folder", "ok", "mode 700");
    check("store", "ok", "mode 700");
    check("hub tokens", "ok", "for this user alone");
    check("fetcher", "ok", "fetcher");
    check("models", "ok", "4 can be served");
    check("model torn", "warning", "torn.gguf");
    check("worker of gguf", "ok", "llama.cpp");
    check("worker of candle", "ok", "candle");
    check("worker of onnx", "ok", "ONNX Runtime");
    for what in [
        "cores",
        "ram",
        "swap",
        "GPU",
        "open files",
        "processes",
        "locked memory",
        "control groups",
        "keys",
        "room for state",
        "room for models",
        "room for the store",
        "clock",
        "service manager",
    ] {
        finding(&report, what);
    }
    let text = server.ctl(&["doctor"]).await;
    assert!(text.out.starts_with("VERDICT") && text.out.contains("\n0 errors, "), "{}", text.out);
    assert_eq!(server.ctl(&["status"]).await.code, 0, "the server has not noticed");
    server.kill_supervisor().await;
    let report = doctor(&server.path("."), &["--json"]).await.json();
    assert_eq!(finding(&report, "models")["seen"], "4 can be served", "without a server too: {report:#}");
    server.nothing_is_left().await;
}

#[tokio::test]
async fn what_is_wrong_is_an_error_and_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let dir = Setup::new().write_config();
    let path = dir.path().join("impetus.toml");
    let good = fs::read_to_string(&path).unwrap();
    let bad = good.replace("127.0.0.1:0", &format!("127.0.0.1:{port}"));
    fs::write(&path, bad + "\n[pull]\ncommand = './absent'\n").unwrap();
    fs::create_dir(dir.path().join("state")).unwrap();
    fs::set_permissions(dir.path().join("state"), fs::Permissions::from_mode(0o777)).unwrap();
    let output = doctor(dir.path(), &["--json"]).await;
    let report = output.json();
    assert_eq!(output.code, 1, "{report:#}");
    let fetcher = finding(&report, "fetcher");
    assert_eq!(fetcher["verdict"], "warning", "only pulls need it: {fetcher}");
    for (what, seen, advice) in [
        ("gateway.listen", format!("127.0.0.1:{port} is taken"), "set gateway.listen"),
        ("state folder", "others can write to it".to_owned(), "chmod 700"),
    ] {
        let finding = finding(&report, what);
        assert_eq!(finding["verdict"], "error", "{finding}");
        assert!(finding["seen"].as_str().unwrap().contains(&seen), "{finding}");
        assert!(finding["advice"].as_str().unwrap().contains(advice), "{finding}");
    }
    assert_eq!(finding(&report, "server")["verdict"], "not applicable");
    assert_eq!(report["errors"], 2, "{report:#}");

    fs::write(&path, format!("{good}\n[gateways]\nlisten = 1\n")).unwrap();
    let output = doctor(dir.path(), &[]).await;
    assert_eq!(output.code, 1);
    let line = output.out.lines().find(|line| line.contains("configuration")).unwrap();
    assert!(line.starts_with("error") && line.contains("there is no setting gateways"), "{}", output.out);
}

#[tokio::test]
async fn what_is_loaded_is_listed_with_how_long_it_stays() {
    let server = Setup::new().with_copy("twin.gguf").start().await;
    let none = server.ctl(&["ps"]).await;
    assert!(none.code == 0 && none.out.starts_with("no model is loaded"), "{none:?}");
    server.http.ask(&chat("count from 1 to 3")).await;
    server.http.ask(&with(chat("count from 1 to 3"), &json!({"model": "twin", "keep_alive": 3600}))).await;
    server.worker_when("the slot is free", |worker| worker.slots_busy == 0).await;
    let listed = server.ctl(&["ps", "--json"]).await.json();
    let model = |name: &str| {
        let models = listed["models"].as_array().unwrap();
        models
            .iter()
            .find(|model| model["model"] == name)
            .unwrap_or_else(|| panic!("{name}: {listed:#}"))
            .clone()
    };
    assert_eq!(listed["models"].as_array().unwrap().len(), 2);
    let tiny = model("impetus-tiny");
    assert_eq!((&tiny["state"], &tiny["slots"]), (&json!("ready"), &json!({"busy": 0, "total": 8})));
    assert_eq!((&tiny["stay_s"], &tiny["leaves_in_s"]), (&Value::Null, &Value::Null), "{tiny}");
    assert_eq!(tiny["context_tokens"], 2048, "{tiny}");
    assert!(tiny["footprint_bytes"].as_u64() > Some(10_000_000) && tiny["rss_bytes"].is_u64(), "{tiny}");
    assert_eq!(model("twin")["stay_s"], 3600);
    let text = server.ctl(&["ps"]).await.out;
    assert!(text.starts_with("MODEL") && text.contains("until unloaded"), "{text}");
    let left = crate::harness::eventually("the model is idle", || async {
        let listed = server.ctl(&["ps", "--json"]).await.json();
        let twin = listed["models"].as_array()?.iter().find(|model| model["model"] == "twin")?.clone();
        twin["leaves_in_s"].as_u64()
    })
    .await;
    assert!((3000..=3600).contains(&left), "{left}");
    let status = Server::status(&server).await;
    assert!(status.workers.iter().any(|worker| worker.model == "twin" && worker.completion_tokens > 3));
}
