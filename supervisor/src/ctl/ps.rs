//! `supervisorctl ps`

use std::{process::ExitCode, time::Duration};

use impetus_proto::supervisor::{StatusReply, StatusRequest, WorkerStatus};
use serde_json::{Value, json};

use super::{
    Server,
    connect::connect,
    failure::Failure,
    print,
    table::{Table, count, dash, duration, size},
};

/// What there is to see when there is nothing.
const NONE: &str =
    "no model is loaded; the first request for one loads it, as `supervisorctl load MODEL` does\n";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Prints JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(server: &Server, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let reply = connect(server).await?.status(StatusRequest {}).await?.into_inner();
    if arguments.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&json(&reply))?))?;
    } else {
        print(&text(&reply))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The workers that have a model and a process.
fn loaded(reply: &StatusReply) -> impl Iterator<Item = &WorkerStatus> {
    reply.workers.iter().filter(|worker| !worker.model.is_empty() && worker.pid != 0)
}

fn context_tokens(reply: &StatusReply, worker: &WorkerStatus) -> u32 {
    let model = reply.models.iter().find(|model| model.name == worker.model);
    model.map(|model| model.context_tokens).unwrap_or_default()
}

fn text(reply: &StatusReply) -> String {
    let mut table = Table::new(&[
        "MODEL",
        "WORKER",
        "FORMAT",
        "STATE",
        "SLOTS",
        "FOOTPRINT",
        "MEASURED",
        "CONTEXT",
        "SINCE",
        "STAYS",
    ]);
    let mut has_any = false;
    for worker in loaded(reply) {
        has_any = true;
        let state = [worker.state.as_str(), worker.role.as_str()];
        let slots = format!("{}/{}", worker.slots_busy, worker.slots_total);
        table.row([
            worker.model.clone(),
            worker.id.clone(),
            worker.format.clone(),
            state.iter().filter(|word| !word.is_empty()).copied().collect::<Vec<_>>().join(", "),
            if worker.slots_total > 0 { slots } else { dash("") },
            size(worker.footprint_bytes),
            size(worker.rss_bytes),
            count(u64::from(context_tokens(reply, worker))),
            if is_serving(worker) { time(worker.serving_s) } else { dash("") },
            stays(worker),
        ]);
    }
    if has_any { table.to_string() } else { NONE.into() }
}

fn is_serving(worker: &WorkerStatus) -> bool {
    matches!(worker.state.as_str(), "ready" | "draining")
}

/// How long it stays.
fn stays(worker: &WorkerStatus) -> String {
    match (worker.leaves_in_s, worker.stay_s) {
        _ if !worker.role.is_empty() && worker.role != "next" => "until its requests end".into(),
        (Some(left), _) => format!("{} more", time(left)),
        (None, Some(0)) => "until its requests end".into(),
        (None, Some(stay)) => format!("{} once idle", time(stay)),
        (None, None) => "until unloaded".into(),
    }
}

fn time(seconds: u64) -> String {
    duration(Duration::from_secs(seconds))
}

fn json(reply: &StatusReply) -> Value {
    let models = loaded(reply).map(|worker| {
        let known = |number: u64| (number > 0).then_some(number);
        json!({
            "model": worker.model,
            "worker": worker.id,
            "format": worker.format,
            "state": worker.state,
            "role": (!worker.role.is_empty()).then_some(&worker.role),
            "slots": {"busy": worker.slots_busy, "total": known(worker.slots_total.into())},
            "waiting": worker.waiting,
            "footprint_bytes": known(worker.footprint_bytes),
            "rss_bytes": known(worker.rss_bytes),
            "peak_bytes": known(worker.peak_bytes),
            "context_tokens": known(context_tokens(reply, worker).into()),
            "serving_s": is_serving(worker).then_some(worker.serving_s),
            "stay_s": worker.stay_s,
            "leaves_in_s": worker.leaves_in_s,
        })
    });
    json!({ "models": models.collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use impetus_proto::supervisor::ModelStatus;

    use super::*;

    fn worker(id: &str, model: &str, state: &str) -> WorkerStatus {
        WorkerStatus {
            id: id.into(),
            format: "gguf".into(),
            model: model.into(),
            state: state.into(),
            pid: 4711,
            ..WorkerStatus::default()
        }
    }

    fn reply() -> StatusReply {
        let busy = WorkerStatus {
            slots_busy: 2,
            slots_total: 4,
            waiting: 1,
            footprint_bytes: 100 << 20,
            rss_bytes: 98 << 20,
            peak_bytes: 99 << 20,
            serving_s: 75,
            stay_s: Some(300),
            ..worker("gguf-1", "impetus-tiny", "ready")
        };
        let idle = WorkerStatus { leaves_in_s: Some(61), slots_busy: 0, waiting: 0, ..busy.clone() };
        let idle = WorkerStatus { id: "gguf-2".into(), model: "twin".into(), ..idle };
        let pinned = WorkerStatus { slots_total: 8, ..worker("gguf-3", "pinned", "ready") };
        let old = WorkerStatus { role: "retiring".into(), ..worker("gguf-4", "twin", "draining") };
        StatusReply {
            workers: vec![
                busy,
                idle,
                pinned,
                old,
                worker("gguf-5", "next-one", "loading"),
                worker("gguf-6", "", "standby"),
                WorkerStatus { pid: 0, ..worker("gguf-7", "dead", "backoff") },
            ],
            models: vec![ModelStatus {
                name: "impetus-tiny".into(),
                context_tokens: 2048,
                ..ModelStatus::default()
            }],
            ..StatusReply::default()
        }
    }

    #[test]
    fn for_people() {
        insta::assert_snapshot!(text(&reply()), @r"
        MODEL         WORKER  FORMAT  STATE               SLOTS  FOOTPRINT  MEASURED  CONTEXT  SINCE       STAYS
        impetus-tiny  gguf-1  gguf    ready               2/4    100.0 MiB  98.0 MiB  2048     1 min 15 s  5 min 0 s once idle
        twin          gguf-2  gguf    ready               0/4    100.0 MiB  98.0 MiB  -        1 min 15 s  1 min 1 s more
        pinned        gguf-3  gguf    ready               0/8    -          -         -        0 s         until unloaded
        twin          gguf-4  gguf    draining, retiring  -      -          -         -        0 s         until its requests end
        next-one      gguf-5  gguf    loading             -      -          -         -        -           until unloaded
        ");
        assert_eq!(text(&StatusReply::default()), NONE);
    }

    #[test]
    fn for_programs() {
        let value = json(&reply());
        assert_eq!(value["models"].as_array().map(Vec::len), Some(5));
        insta::assert_json_snapshot!(value["models"][0], @r#"
        {
          "model": "impetus-tiny",
          "worker": "gguf-1",
          "format": "gguf",
          "state": "ready",
          "role": null,
          "slots": {
            "busy": 2,
            "total": 4
          },
          "waiting": 1,
          "footprint_bytes": 104857600,
          "rss_bytes": 102760448,
          "peak_bytes": 103809024,
          "context_tokens": 2048,
          "serving_s": 75,
          "stay_s": 300,
          "leaves_in_s": null
        }
        "#);
        assert_eq!(value["models"][1]["leaves_in_s"], 61);
    }
}
