use clap::Parser;
use impetus_proto::supervisor::{GatewayStatus, WorkerStatus};

use super::*;

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn parse(line: &[&str]) -> Result<Arguments, String> {
    let words = ["bench"].iter().chain(line);
    Line::try_parse_from(words).map(|line| line.arguments).map_err(|error| error.to_string())
}

#[test]
fn without_arguments_everything_usual_is_measured() {
    let check = |line: &[&str], arrivals: &[Arrivals], prompts: &[u32]| {
        let wish = parse(line).unwrap().wish();
        assert_eq!((wish.arrivals.as_slice(), wish.prompts.as_slice()), (arrivals, prompts), "{line:?}");
    };
    let closed = |streams| Arrivals::Closed { streams };
    check(&["m"], &STREAMS.map(closed), &PROMPTS);
    check(&["m", "--streams", "1,2", "--prompt", "8"], &[closed(1), closed(2)], &[8]);
    check(&["m", "--rate", "0.5"], &[Arrivals::Open { rate: 0.5, requests: 20 }], &PROMPTS);
    check(&["m", "--rate", "200", "--prompt", "8"], &[Arrivals::Open { rate: 200.0, requests: 2000 }], &[8]);
    check(&["m", "--rate", "9", "--requests", "3"], &[Arrivals::Open { rate: 9.0, requests: 3 }], &PROMPTS);
    check(&["m", "--turns"], &STREAMS.map(closed), &[]);
    check(&["m", "--edit", "--streams", "1"], &[closed(1)], &PROMPTS);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let check = |line: &[&str], expected: &str| {
        let error = parse(line).unwrap_err();
        assert!(error.contains(expected), "{line:?}: {error}");
    };
    check(&[], "<MODEL>");
    check(&["m", "--streams", "0"], "--streams");
    check(&["m", "--streams", "1,x"], "--streams");
    check(&["m", "--prompt", ""], "--prompt");
    check(&["m", "--tokens", "1"], "--tokens");
    check(&["m", "--pairs", "0"], "--pairs");
    check(&["m", "--rate", "0"], "0.01 to 10000");
    check(&["m", "--rate", "inf"], "0.01 to 10000");
    check(&["m", "--rate", "1", "--streams", "1"], "cannot be used with");
    check(&["m", "--requests", "1"], "--rate");
    check(&["m", "--vs-model", "n"], "--vs");
}

#[test]
fn memory_is_of_processes_that_run() {
    let worker = |id: &str, model: &str, pid| WorkerStatus {
        id: id.into(),
        model: model.into(),
        state: "standby".into(),
        pid,
        rss_bytes: 5,
        ..WorkerStatus::default()
    };
    let status = StatusReply {
        supervisor_pid: std::process::id(),
        gateway: Some(GatewayStatus { pid: 7, rss_bytes: 9, ..GatewayStatus::default() }),
        workers: vec![worker("gguf-1", "m", 8), worker("gguf-2", "", 9), worker("gguf-3", "n", 0)],
        ..StatusReply::default()
    };
    let names: Vec<String> = memory(&status).into_iter().map(|memory| memory.process).collect();
    assert_eq!(names, ["supervisor", "gateway", "gguf-1 with m", "gguf-2 standby"]);
}
