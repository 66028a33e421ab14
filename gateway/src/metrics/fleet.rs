//! The supervisor's view in Prometheus' text format. It is written at each scrape and kept nowhere, so that a
//! worker that is gone leaves no series behind.

use std::fmt::{self, Write};

use impetus_proto::{
    supervisor::{PoolStatus, StatusReply, WorkerStatus},
    worker::StageTimes,
};

/// Every state a worker can be in, as the supervisor names them.
const STATES: [&str; 8] =
    ["standby", "loading", "ready", "draining", "stopping", "backoff", "failed", "stopped"];

type Gauge = (&'static str, &'static str, &'static str, fn(&WorkerStatus) -> u64);

type PoolGauge = (&'static str, &'static str, fn(&PoolStatus) -> u64);

const WORKER_VALUES: [Gauge; 8] = [
    ("impetus_worker_restarts_total", "counter", "Starts of a worker after its first.", |w| {
        w.restarts.into()
    }),
    ("impetus_worker_resident_bytes", "gauge", "Memory of a worker.", |w| w.rss_bytes),
    ("impetus_worker_footprint_bytes", "gauge", "RAM that the budget counts for a worker.", |w| {
        w.footprint_bytes
    }),
    ("impetus_worker_limit_bytes", "gauge", "RAM at which a worker is killed; 0 is none.", |w| w.limit_bytes),
    ("impetus_worker_slots", "gauge", "Sequences that a worker generates at once.", |w| w.slots_total.into()),
    ("impetus_worker_slots_busy", "gauge", "Slots in use.", |w| w.slots_busy.into()),
    ("impetus_worker_leases", "gauge", "Requests that hold a worker.", |w| w.leases.into()),
    ("impetus_worker_uptime_seconds", "gauge", "Since a worker's start.", |w| w.uptime_s),
];

const POOL_VALUES: [PoolGauge; 4] = [
    ("impetus_pool_limit_bytes", "Memory that workers may hold together.", |p| p.limit_bytes),
    ("impetus_pool_placed_bytes", "Footprints of the workers that are up.", |p| p.placed_bytes),
    ("impetus_pool_total_bytes", "Memory of the machine.", |p| p.total_bytes),
    ("impetus_pool_available_bytes", "Memory that nobody uses.", |p| p.available_bytes),
];

/// The lines for `status`; `None` when the supervisor does not answer.
pub(crate) fn render(status: Option<&StatusReply>) -> String {
    let mut out = String::new();
    write(&mut out, status).expect("writing to a String cannot fail");
    out
}

fn write(out: &mut String, status: Option<&StatusReply>) -> fmt::Result {
    head(out, "impetus_supervisor_up", "gauge", "Whether the supervisor answers.")?;
    writeln!(out, "impetus_supervisor_up {}", u8::from(status.is_some()))?;
    let Some(status) = status else { return Ok(()) };

    head(out, "impetus_worker_state", "gauge", "1 for the state that a worker is in, 0 for the others.")?;
    for worker in &status.workers {
        for state in STATES {
            out.push_str("impetus_worker_state{");
            identify(out, worker)?;
            writeln!(out, ",state=\"{state}\"}} {}", u8::from(worker.state == state))?;
        }
    }
    for (name, kind, help, value) in WORKER_VALUES {
        head(out, name, kind, help)?;
        for worker in &status.workers {
            write!(out, "{name}{{")?;
            identify(out, worker)?;
            writeln!(out, "}} {}", value(worker))?;
        }
    }
    head(
        out,
        "impetus_worker_stage_seconds_total",
        "counter",
        "Where a worker's time has gone; tokenize and queue are sums of requests side by side.",
    )?;
    for worker in &status.workers {
        let Some(times) = &worker.stages else { continue };
        for (stage, us) in stages(times) {
            out.push_str("impetus_worker_stage_seconds_total{");
            identify(out, worker)?;
            writeln!(out, ",stage=\"{stage}\"}} {:.6}", us as f64 / 1e6)?;
        }
    }
    head(
        out,
        "impetus_worker_exits_total",
        "counter",
        "Ends of workers since the supervisor's start, by why; standbys have no model.",
    )?;
    for exit in &status.exits {
        let [format, model, cause] = [&exit.format, &exit.model, &exit.cause].map(|value| escape(value));
        out.push_str("impetus_worker_exits_total{");
        writeln!(out, "model=\"{model}\",format=\"{format}\",cause=\"{cause}\"}} {}", exit.count)?;
    }
    for (name, help, value) in POOL_VALUES {
        head(out, name, "gauge", help)?;
        for pool in &status.pools {
            writeln!(out, "{name}{{pool=\"{}\"}} {}", escape(&pool.name), value(pool))?;
        }
    }
    if let Some(gateway) = &status.gateway {
        head(out, "impetus_gateway_restarts_total", "counter", "Starts of the gateway after its first.")?;
        writeln!(out, "impetus_gateway_restarts_total {}", gateway.restarts)?;
    }
    Ok(())
}

fn stages(times: &StageTimes) -> [(&'static str, u64); 8] {
    [
        ("tokenize", times.tokenize_us),
        ("queue", times.queue_us),
        ("prefill", times.prefill_us),
        ("decode", times.decode_us),
        ("compose", times.compose_us),
        ("sample", times.sample_us),
        ("detokenize", times.detokenize_us),
        ("keep", times.keep_us),
    ]
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

fn identify(out: &mut String, worker: &WorkerStatus) -> fmt::Result {
    let [id, model, format] = [&worker.id, &worker.model, &worker.format].map(|value| escape(value));
    write!(out, "worker=\"{id}\",model=\"{model}\",format=\"{format}\"")
}

fn escape(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use impetus_proto::supervisor::{ExitCount, GatewayStatus};

    use super::*;

    #[test]
    fn a_worker_has_one_state() {
        let worker = WorkerStatus {
            id: "gguf-1".into(),
            format: "gguf".into(),
            model: "a \"model\"".into(),
            state: "ready".into(),
            restarts: 2,
            rss_bytes: 4096,
            slots_busy: 1,
            slots_total: 4,
            uptime_s: 60,
            leases: 3,
            stages: Some(StageTimes { sample_us: 1_500_000, detokenize_us: 7, ..StageTimes::default() }),
            ..WorkerStatus::default()
        };
        let gateway = Some(GatewayStatus { restarts: 1, ..GatewayStatus::default() });
        let pools = vec![PoolStatus { name: "ram".into(), limit_bytes: 1 << 30, ..PoolStatus::default() }];
        let (format, model, cause) = ("gguf".into(), "tiny".into(), "crash".into());
        let exits = vec![ExitCount { format, model, cause, count: 2 }];
        let status = StatusReply { workers: vec![worker], gateway, pools, exits, ..StatusReply::default() };
        insta::assert_snapshot!(render(Some(&status)));
    }

    #[test]
    fn a_silent_supervisor_is_down() {
        insta::assert_snapshot!(render(None), @r"
        # HELP impetus_supervisor_up Whether the supervisor answers.
        # TYPE impetus_supervisor_up gauge
        impetus_supervisor_up 0
        ");
    }
}
