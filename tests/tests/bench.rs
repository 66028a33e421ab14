//! `supervisorctl bench`, against the real server.

use serde_json::{Value, json};

use crate::harness::Server;

const SMALL: [&str; 8] = ["bench", "impetus-tiny", "--tokens", "8", "--pairs", "1", "--prompt", "32"];

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap_or_else(|| panic!("no object: {value}")).keys().map(String::as_str).collect()
}

fn is_ordered(spread: &Value) -> bool {
    let [p50, p95, p99] = ["p50", "p95", "p99"].map(|name| spread[name].as_f64().unwrap_or(f64::NAN));
    0.0 < p50 && p50 <= p95 && p95 <= p99
}

/// What every side of a cell has that went well: so many requests with completions of eight tokens.
fn check_side(side: &Value, requests: u32) {
    assert_eq!((&side["requests"], &side["failed"]), (&json!(requests), &json!(0)), "{side}");
    assert_eq!((&side["first_failure"], &side["completion_tokens"]), (&Value::Null, &json!(8.0)), "{side}");
    let prompt = side["prompt_tokens"].as_f64().unwrap();
    assert!((16.0..64.0).contains(&prompt), "{side}");
    let cached = side["cached_tokens"].as_f64().unwrap();
    assert!(cached < 4.0, "no prompt begins as another one, but for a token by chance: {side}");
    for name in ["first_token_ms", "inter_token_ms", "request_ms"] {
        assert!(is_ordered(&side[name]), "{name}: {side}");
    }
    assert!(side["prefill_tokens_per_s"].as_f64() > Some(0.0), "{side}");
    assert!(side["tokens_per_s"].as_f64() > Some(0.0), "{side}");
    assert_eq!(keys(&side["stages_ms"]), ["queue", "prefill", "decode", "outside"]);
}

#[tokio::test]
async fn a_bench_as_json_has_its_stable_shape() {
    let server = Server::plain().await;
    let output = server.ctl(&[&SMALL[..], &["--streams", "1,2", "--json"]].concat()).await;
    assert_eq!(output.code, 0, "{output:?}");
    let report = output.json();
    assert_eq!(keys(&report), ["model", "server", "vs", "pairs", "cells", "skipped", "memory"]);
    assert_eq!((&report["model"], &report["vs"]), (&json!("impetus-tiny"), &Value::Null));
    assert_eq!(report["server"]["url"], json!(format!("http://{}", server.listen)));
    assert_eq!((&report["pairs"], &report["skipped"]), (&json!(1), &json!([])));
    let cells = report["cells"].as_array().unwrap();
    let streams: Vec<&Value> = cells.iter().map(|cell| &cell["streams"]).collect();
    assert_eq!(streams, [&json!(1), &json!(2)]);
    for (cell, requests) in cells.iter().zip([1, 2]) {
        let expected =
            ["workload", "streams", "rate", "prompt_tokens", "completion_tokens", "ours", "vs", "ratios"];
        assert_eq!(keys(cell), expected);
        assert_eq!((&cell["workload"], &cell["vs"]), (&json!("completion"), &Value::Null));
        check_side(&cell["ours"], requests);
        assert!(cell["ours"]["engine"]["steps"].as_u64() > Some(1), "{cell}");
    }
    let processes: Vec<&str> =
        report["memory"].as_array().unwrap().iter().filter_map(|memory| memory["process"].as_str()).collect();
    assert_eq!(processes[..2], ["supervisor", "gateway"]);
    assert!(processes.iter().any(|process| process.ends_with("with impetus-tiny")), "{processes:?}");
}

#[tokio::test]
async fn two_servers_are_compared_in_every_workload() {
    let (ours, theirs) = tokio::join!(Server::plain(), Server::plain());
    let url = format!("http://{}", theirs.listen);
    let arguments = ["--vs", &url, "--json", "--turns", "--streams", "1"];
    let output = ours.ctl(&[&SMALL[..], &arguments].concat()).await;
    assert_eq!(output.code, 0, "{output:?}");
    let report = output.json();
    assert_eq!(report["vs"], json!({"url": url, "model": "impetus-tiny", "ignores_end": true}));
    let cells = report["cells"].as_array().unwrap();
    let workloads: Vec<&Value> = cells.iter().map(|cell| &cell["workload"]).collect();
    assert_eq!(workloads, ["completion", "first turn", "second turn"]);
    check_side(&cells[0]["ours"], 1);
    check_side(&cells[0]["vs"], 1);
    for cell in cells {
        assert!(cell["ratios"]["first_token_ms"].as_f64() > Some(0.0), "{cell}");
    }
    for side in ["ours", "vs"] {
        let first = cells[1][side]["prompt_tokens"].as_f64().unwrap();
        let cached = cells[2][side]["cached_tokens"].as_f64().unwrap();
        assert!(cached >= first - 8.0, "the second turn extends the first: {}", cells[2]);
    }
}

#[tokio::test]
async fn requests_come_at_a_rate() {
    let server = Server::plain().await;
    let arguments = ["--rate", "50", "--requests", "6", "--json"];
    let output = server.ctl(&[&SMALL[..], &arguments].concat()).await;
    assert_eq!(output.code, 0, "{output:?}");
    let cell = &output.json()["cells"][0];
    assert_eq!((&cell["streams"], &cell["rate"]), (&Value::Null, &json!(50.0)));
    assert_eq!((&cell["ours"]["requests"], &cell["ours"]["failed"]), (&json!(6), &json!(0)));
    assert_eq!(cell["ours"]["prefill_tokens_per_s"], Value::Null);
}

#[tokio::test]
async fn what_cannot_be_measured_is_said() {
    let server = Server::plain().await;
    let check = async |arguments: &[&str], code: i32, expected: &str| {
        let output = server.ctl(arguments).await;
        assert_eq!((output.code, output.out.as_str()), (code, ""), "{output:?}");
        assert!(output.err.contains(expected), "{output:?}");
    };
    check(&["bench", "nobody"], 4, "nobody").await;
    check(&["bench", "impetus-tiny", "--vs", "127.0.0.1:1"], 1, "http://").await;
    check(
        &["bench", "impetus-tiny", "--vs", "http://127.0.0.1:1"],
        1,
        "no server answers on http://127.0.0.1:1",
    )
    .await;
    check(&["bench", "impetus-tiny", "--prompt", "100000"], 1, "tokens of context").await;
}
