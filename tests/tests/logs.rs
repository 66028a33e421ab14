//! One request can be followed through the logs of three processes, and what was said in it cannot.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::harness::{Server, Setup, chat, eventually};

/// The log files, by the name of the process.
pub(crate) fn files(server: &Server) -> BTreeMap<String, String> {
    let entries = fs::read_dir(server.path("state/logs")).unwrap().flatten();
    let process =
        |entry: &fs::DirEntry| entry.file_name().to_str().unwrap().split('.').next().unwrap().to_owned();
    entries.map(|entry| (process(&entry), fs::read_to_string(entry.path()).unwrap())).collect()
}

#[tokio::test]
async fn a_request_is_found_in_the_logs_of_three_processes_and_its_text_in_none() {
    let server = Setup::new().set("log.level=debug").start().await;
    let body = chat("Repeat after me: xyzzy plugh");
    let send = server
        .http
        .request(reqwest::Method::POST, "/v1/chat/completions")
        .header("x-request-id", "find-me-7");
    let answer: Value = send.json(&body).send().await.unwrap().json().await.unwrap();
    assert_eq!(answer["choices"][0]["message"]["content"], "xyzzy plugh");
    let logs = eventually("the request is in all logs", || async {
        let logs = files(&server);
        let has_it = |process: &str| {
            logs.iter().any(|(name, log)| name.starts_with(process) && log.contains("find-me-7"))
        };
        ["supervisor", "gateway", "worker-gguf-"].into_iter().all(has_it).then_some(logs)
    })
    .await;
    for (process, log) in &logs {
        assert!(!log.contains("xyzzy"), "{process} has logged what was said:\n{log}");
        for line in log.lines() {
            let line: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {process}: {line}"));
            assert!(line["timestamp"].is_string() && line["level"].is_string(), "{process}: {line}");
        }
    }
}

#[tokio::test]
async fn logs_are_shown_by_process_and_by_model() {
    let server = Setup::new().set("log.format=text").start().await;
    server.http.ask(&chat("Say PONG")).await;
    let check = async |arguments: &[&str], words: &str| {
        let arguments = [&["logs"], arguments].concat();
        eventually(words, || async {
            let output = server.ctl(&arguments).await;
            assert_eq!(output.code, 0, "{output:?}");
            output.out.contains(words).then_some(())
        })
        .await;
    };
    check(&["supervisor"], "supervisor started").await;
    check(&["gateway"], "request ended").await;
    check(&[&server.worker().await.id], "placed").await;
    check(&["impetus-tiny"], "placed").await;
    check(&[], "gateway: ").await;
    let last = server.ctl(&["logs", "supervisor", "-n", "1"]).await;
    assert_eq!(last.out.lines().count(), 1, "{}", last.out);
    let files = files(&server);
    assert!(files["supervisor"].contains("supervisor started"), "{files:?}");
    assert!(serde_json::from_str::<Value>(files["gateway"].lines().next().unwrap()).is_err(), "{files:?}");
}
