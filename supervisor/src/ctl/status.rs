//! `supervisorctl status`

mod json;

use std::{
    fmt::Write,
    io::{self, IsTerminal},
    process::ExitCode,
    time::Duration,
};

use impetus_proto::supervisor::{
    GatewayStatus, PoolStatus, StatusReply, StatusRequest, WatchRequest, WorkerStatus,
};

use super::{
    Server,
    connect::connect,
    failure::{Failure, NOT_RUNNING},
    print,
    table::{Table, amount, dash, duration, size},
};

/// Moves to the top left corner and clears what is below.
const CLEAR: &str = "\x1b[H\x1b[2J";

#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Prints JSON; with --watch one object a line.
    #[arg(long)]
    json: bool,
    /// Prints also what workers may hold, and what they have given up.
    #[arg(long, short)]
    verbose: bool,
    /// Prints again after each change, until interrupted.
    #[arg(long, short)]
    watch: bool,
}

pub(super) async fn run(server: &Server, arguments: &Arguments) -> Result<ExitCode, Failure> {
    let mut client = connect(server).await?;
    if !arguments.watch {
        let reply = client.status(StatusRequest {}).await?.into_inner();
        let text = if arguments.json { json::pretty(&reply)? } else { text(&reply, arguments.verbose) };
        print(&text)?;
        return Ok(exit_code(reply.gateway.as_ref()));
    }
    let clear = if io::stdout().is_terminal() && !arguments.json { CLEAR } else { "" };
    let mut replies = client.watch(WatchRequest {}).await?.into_inner();
    while let Some(reply) = replies.message().await? {
        let text = if arguments.json { json::line(&reply)? } else { text(&reply, arguments.verbose) };
        print(&format!("{clear}{text}"))?;
    }
    // The stream ends with the server.
    Ok(ExitCode::from(NOT_RUNNING))
}

pub(super) fn exit_code(gateway: Option<&GatewayStatus>) -> ExitCode {
    let is_ready = gateway.is_some_and(|gateway| gateway.state == "ready");
    if is_ready { ExitCode::SUCCESS } else { ExitCode::from(NOT_RUNNING) }
}

/// The supervisor and the gateway, a line each.
pub(super) fn headline(reply: &StatusReply) -> String {
    let mut text = format!(
        "supervisor {}, pid {}, up {}\n",
        reply.version,
        reply.supervisor_pid,
        duration(Duration::from_secs(reply.uptime_s))
    );
    if let Some(gateway) = &reply.gateway {
        text.push_str(&gateway_line(gateway));
    }
    text
}

fn text(reply: &StatusReply, is_verbose: bool) -> String {
    let mut text = headline(reply);
    text.extend(reply.pools.iter().map(pool_line));
    let _ = writeln!(text, "\n{}", workers(&reply.workers));
    if is_verbose && !reply.workers.is_empty() {
        let _ = writeln!(text, "{}", limits(&reply.workers));
    }
    text.push_str(&models(reply));
    text
}

fn gateway_line(gateway: &GatewayStatus) -> String {
    let mut line = format!("gateway {} on {}", gateway.state, url(gateway, &gateway.listen));
    for entrance in gateway.entrances.iter().skip(1) {
        let _ = write!(line, " and {} ({})", url(gateway, &entrance.listen), entrance.name);
    }
    if gateway.pid != 0 {
        let _ = write!(line, ", pid {}, {}", gateway.pid, size(gateway.rss_bytes));
    }
    if gateway.restarts > 0 {
        let _ = write!(line, ", restarts {}, last exit: {}", gateway.restarts, gateway.last_exit);
    }
    line.push('\n');
    line
}

fn url(gateway: &GatewayStatus, listen: &str) -> String {
    let scheme = if gateway.tls { "https" } else { "http" };
    format!("{scheme}://{listen}")
}

/// `ram: 300.0 MiB of 12.0 GiB placed; the machine has 14.0 GiB of 16.0 GiB available`
fn pool_line(pool: &PoolStatus) -> String {
    let mut line = format!("{}: {}", pool.name, amount(pool.placed_bytes));
    // What the system tells nothing of cannot be bound, unless the configuration does it.
    if pool.limit_bytes < u64::MAX {
        let _ = write!(line, " of {}", amount(pool.limit_bytes));
    }
    line.push_str(" placed");
    if pool.total_bytes > 0 {
        let (available, total) = (amount(pool.available_bytes), amount(pool.total_bytes));
        let _ = write!(line, "; the machine has {available} of {total} available");
    }
    line.push('\n');
    line
}

fn workers(workers: &[WorkerStatus]) -> String {
    if workers.is_empty() {
        return "no workers\n".into();
    }
    let headings = &[
        "WORKER", "FORMAT", "MODEL", "STATE", "PID", "SLOTS", "LEASES", "MEMORY", "UP", "RESTARTS", "DETAIL",
    ];
    let mut table = Table::new(headings);
    for worker in workers {
        let is_alive = worker.pid != 0;
        let slots = format!("{}/{}", worker.slots_busy, worker.slots_total);
        table.row([
            worker.id.clone(),
            worker.format.clone(),
            dash(&worker.model),
            worker.state.clone(),
            if is_alive { worker.pid.to_string() } else { "-".into() },
            if worker.slots_total > 0 { slots } else { "-".into() },
            worker.leases.to_string(),
            memory(worker),
            if is_alive { duration(Duration::from_secs(worker.uptime_s)) } else { "-".into() },
            worker.restarts.to_string(),
            detail(worker),
        ]);
    }
    table.to_string()
}

/// What workers may hold and who sees to it, and what they cannot do.
fn limits(workers: &[WorkerStatus]) -> String {
    let mut table = Table::new(&["WORKER", "FOOTPRINT", "PEAK", "LIMIT", "ENFORCED BY", "SANDBOX"]);
    for worker in workers {
        table.row([
            worker.id.clone(),
            size(worker.footprint_bytes),
            size(worker.peak_bytes),
            size(worker.limit_bytes),
            dash(&worker.limited_by),
            dash(&worker.sandbox),
        ]);
    }
    table.to_string()
}

/// What it holds, of what it may.
fn memory(worker: &WorkerStatus) -> String {
    match worker.limit_bytes {
        0 => size(worker.rss_bytes),
        limit => format!("{} / {}", size(worker.rss_bytes), size(limit)),
    }
}

fn detail(worker: &WorkerStatus) -> String {
    let last_exit = if worker.last_exit.is_empty() || worker.detail.contains(&worker.last_exit) {
        String::new()
    } else {
        format!("last exit: {}", worker.last_exit)
    };
    [worker.role.clone(), worker.detail.clone(), last_exit]
        .iter()
        .filter(|part| !part.is_empty())
        .cloned()
        .collect::<Vec<_>>()
        .join("; ")
}

fn models(reply: &StatusReply) -> String {
    if reply.models.is_empty() {
        return "no models; put some into a folder of models.dirs\n".into();
    }
    let mut table = Table::new(&["MODEL", "FORMAT", "STATE", "SIZE", "PATH", "DETAIL"]);
    for model in &reply.models {
        table.row([
            model.name.clone(),
            dash(&model.format),
            model.state.clone(),
            size(model.size_bytes),
            model.path.clone(),
            model.detail.clone(),
        ]);
    }
    table.to_string()
}

#[cfg(test)]
mod tests;
