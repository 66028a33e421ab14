//! What is offered to whoever watches the server: dashboard, alerts and the page on metrics name what there is, all of it
//! and nothing else; and the page on errors has a word for each.

use std::{collections::BTreeSet, fs, path::Path};

use impetus_proto::Code;
use serde_json::{Value, json};

use crate::{
    chat::with,
    harness::{Setup, Signal, chat, signal},
};

/// What is in `/metrics` only once something has happened that this test does not bring about.
const RARE: &[&str] = &[
    "impetus_key_requests_total",
    "impetus_key_tokens_total",
    "impetus_poison_requests_total",
    "impetus_refusals_total",
    "impetus_trace_spans_total",
];

fn read(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The names of metrics in a text, without what a histogram adds to its own.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_lowercase() || c == '_';
    let mut names = BTreeSet::new();
    for (at, _) in text.match_indices("impetus_") {
        let name: String = text[at..].chars().take_while(|c| is_part(*c)).collect();
        let bare = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
        names.insert(bare.unwrap_or(&name).to_owned());
    }
    // Names of crates, of which the sources are.
    names.retain(|name| {
        !matches!(&**name, "impetus_config" | "impetus_proto" | "impetus_gateway" | "impetus_runtime")
    });
    names
}

/// Those that the gateway's source has.
fn known() -> BTreeSet<String> {
    let sources = ["metrics.rs", "metrics/fleet.rs", "metrics/stages.rs"];
    let known = sources.iter().flat_map(|file| names(&read(&format!("gateway/src/{file}")))).collect();
    assert!(BTreeSet::len(&known) > 30, "{known:?}");
    known
}

#[tokio::test]
async fn a_server_shows_the_metrics_that_the_sources_and_the_page_name() {
    let server = Setup::new().start().await;
    server.http.ask(&chat("Say PONG")).await;
    // Stopped, it holds the request without answering it.
    let pid = server.worker().await.pid;
    signal(pid, Signal::SIGSTOP);
    let kill = async {
        server.worker_when("the request holds the worker", |worker| worker.leases == 1).await;
        signal(pid, Signal::SIGKILL);
    };
    let body = chat("count from 1 to 10");
    tokio::join!(server.http.ask(&body), kill);
    server.http.refused(&with(chat("Say PONG"), &json!({"model": "nobody"}))).await;
    let shown = server.http.get("/metrics").await.text().await.unwrap();
    let expected: BTreeSet<_> = known().into_iter().filter(|name| !RARE.contains(&&**name)).collect();
    let kinds = shown.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let shown_names: BTreeSet<_> =
        kinds.filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
    assert_eq!(shown_names, expected);
    for line in [
        r#"impetus_errors_total{endpoint="/v1/chat/completions",code="model_not_found"} 1"#,
        r#"impetus_worker_exits_total{model="impetus-tiny",format="gguf",cause="outside"} 1"#,
    ] {
        assert!(shown.lines().any(|known| known == line), "{line} is not in\n{shown}");
    }
    let page = read("docs/observability.md");
    let table: BTreeSet<_> = page
        .lines()
        .filter_map(|line| line.strip_prefix("| `impetus_"))
        .map(|rest| format!("impetus_{}", rest.split('`').next().unwrap()))
        .collect();
    assert_eq!(table, known(), "docs/observability.md has a line for each metric, and no other");
}

#[test]
fn dashboard_and_alerts_name_metrics_that_there_are() {
    let known = known();
    let dashboard: Value = serde_json::from_str(&read("docs/grafana/impetus.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "ids are not unique");
    let mut n_targets = 0;
    for panel in panels {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let expression = target["expr"].as_str().unwrap();
            check(expression, &known, &panel["title"].to_string());
            n_targets += 1;
        }
    }
    assert!(n_targets > 30, "{n_targets}");

    let alerts = read("docs/prometheus/alerts.yml");
    let mut lines = alerts.lines().peekable();
    let mut n_alerts = 0;
    while let Some(line) = lines.next() {
        let Some(name) = line.trim().strip_prefix("- alert: ") else { continue };
        let mut expression =
            lines.next().and_then(|line| line.trim().strip_prefix("expr: ")).unwrap().to_owned();
        if expression == ">-" {
            expression.clear();
            while let Some(more) = lines.next_if(|line| line.starts_with("          ")) {
                expression.push_str(more);
            }
        }
        // Prometheus' own, of a scrape that failed.
        if !expression.starts_with("up{") {
            check(&expression, &known, name);
        }
        n_alerts += 1;
    }
    assert!(n_alerts >= 10, "{n_alerts}");
}

fn check(expression: &str, known: &BTreeSet<String>, whose: &str) {
    let named = names(expression);
    assert!(!named.is_empty(), "{whose}: {expression}");
    let unknown: Vec<_> = named.difference(known).collect();
    assert!(unknown.is_empty(), "{whose}: {unknown:?} in {expression}");
    for [open, close] in [['(', ')'], ['{', '}'], ['[', ']']] {
        let [n_open, n_close] = [open, close].map(|c| expression.matches(c).count());
        assert_eq!(n_open, n_close, "{whose}: {expression}");
    }
}

#[test]
fn every_code_of_an_error_is_explained() {
    let page = read("docs/troubleshooting.md");
    let headings: BTreeSet<_> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    for number in 0.. {
        let Ok(code) = Code::try_from(number) else { break };
        let name = code.as_str_name();
        let said = page.contains(&format!("(`{name}`)")) || headings.contains(name);
        assert!(said, "docs/troubleshooting.md says nothing of {name}");
    }
    // And each that clients are shown.
    let errors = read("docs/errors.md");
    for line in errors.lines() {
        let Some(code) = line.strip_prefix("| [`").and_then(|rest| rest.split('`').next()) else { continue };
        let said = headings.contains(code) || page.contains(&format!("| `{code}` |"));
        assert!(said, "docs/troubleshooting.md says nothing of {code}");
    }
}
