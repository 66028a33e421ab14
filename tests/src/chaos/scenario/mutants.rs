//! Mutated requests to every endpoint: each is answered, with nothing that says that the server is at fault, and
//! nothing is left of them.

use std::{
    collections::BTreeMap,
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use anyhow::Context;
use futures::future::join_all;
use rand::{SeedableRng, rngs::StdRng};
use reqwest::{Client, Method};
use serde_json::Value;

use crate::chaos::{
    Plan, aftermath,
    corpus::{self, Request},
    mutate::{Mutant, mutant},
    report::Report,
    setup::Setup,
    site::Site,
    wait::eventually,
};

const MODEL: &str = "impetus-tiny";
const CLIENTS: u64 = 16;

/// For one answer; the model's context is so short that none takes a second of computing.
const PATIENCE: Duration = Duration::from_mins(1);

/// What a gateway may hold more at the end than after the first tenth: open files, and bytes of RAM.
const MORE_FILES: usize = 8;
const MORE_BYTES: u64 = 48 << 20;

/// Answers by status, and those that are no answers.
#[derive(Debug, Default)]
struct Seen {
    statuses: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

/// What a process holds.
#[derive(Debug, Clone, Copy)]
struct Held {
    files: usize,
    bytes: u64,
}

pub(super) async fn run(plan: Plan, mut report: Report) -> anyhow::Result<Report> {
    let setup = Setup::new()?.bundled()?.model(MODEL, "context = 256");
    let site = setup.start().await?;
    site.ctl(&["load", MODEL]).await?;
    let before = site.status().await?;
    let gateway = before.gateway.context("a status has the gateway")?;
    let n_requests = plan.pick(4_000, 100_000);
    let corpus = corpus::requests(MODEL);
    flood(&site, &corpus, plan.seed, n_requests / 10, &mut report).await?;
    let early = Held::by(gateway.pid)?;
    flood(&site, &corpus, plan.seed.wrapping_add(1_000), n_requests - n_requests / 10, &mut report).await?;

    let idle = eventually("all leases are given back", || async {
        let workers = site.status().await.ok()?.workers;
        workers.iter().all(|worker| worker.leases == 0 && worker.slots_busy == 0).then_some(())
    });
    report.check(idle.await.is_ok(), || "leases or slots are held after the last answer".to_owned());
    let after = site.status().await?;
    let same = after.gateway.as_ref().is_some_and(|now| now.pid == gateway.pid);
    report.check(same, || "the gateway is another process than before".to_owned());
    for worker in &after.workers {
        report.check(worker.restarts == 0, || format!("{} ended: {}", worker.id, worker.last_exit));
    }
    let late = Held::by(gateway.pid)?;
    report.check(late.files <= early.files + MORE_FILES, || format!("open files: {early:?}, then {late:?}"));
    report.check(late.bytes <= early.bytes + MORE_BYTES, || format!("memory: {early:?}, then {late:?}"));
    report.note(format!("gateway from {} to {} MiB", early.bytes >> 20, late.bytes >> 20));
    aftermath::look(site, &mut report, &[]).await?;
    Ok(report)
}

/// Sends `n_requests` mutants, several at a time.
async fn flood(
    site: &Site,
    corpus: &[Request],
    seed: u64,
    n_requests: usize,
    report: &mut Report,
) -> anyhow::Result<()> {
    let gateway = site.status().await?.gateway.context("a status has the gateway")?;
    let http =
        Client::builder().no_proxy().timeout(PATIENCE).pool_idle_timeout(Duration::from_secs(2)).build()?;
    let left = AtomicUsize::new(n_requests);
    let client = async |idx: u64| {
        let mut random = StdRng::seed_from_u64(seed.wrapping_add(idx));
        let mut seen = Seen::default();
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            let mutant = mutant(corpus, &mut random);
            match answered(&http, &gateway.listen, &mutant).await {
                Ok(status) => *seen.statuses.entry(status).or_default() += 1,
                Err(what) => seen.wrong.push(format!("{what} to {}", excerpt(&mutant))),
            }
        }
        seen
    };
    let mut statuses: BTreeMap<String, usize> = BTreeMap::new();
    for seen in join_all((0..CLIENTS).map(client)).await {
        for (status, count) in seen.statuses {
            *statuses.entry(status).or_default() += count;
        }
        report.failed += seen.wrong.len();
        for wrong in seen.wrong {
            report.check(false, || wrong);
        }
    }
    report.requests += n_requests;
    report.note(format!("answers by status: {statuses:?}"));
    Ok(())
}

/// The status of a good answer, with the reason where there is no server for it; what is wrong with another answer.
async fn answered(http: &Client, listen: &str, mutant: &Mutant) -> Result<String, String> {
    let method = Method::from_bytes(mutant.method.as_bytes()).expect("methods are words");
    let mut request =
        http.request(method, format!("http://{listen}{}", mutant.path)).body(mutant.body.clone());
    for (name, value) in &mutant.headers {
        request = request.header(*name, value);
    }
    let response = request.send().await.map_err(|error| format!("no answer ({error})"))?;
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type").map(|kind| kind.as_bytes().to_owned());
    let is = |name: &[u8]| kind.as_ref().is_some_and(|kind| kind.starts_with(name));
    let (is_stream, is_lines) = (is(b"text/event-stream"), is(b"application/x-ndjson"));
    let text = response.text().await.map_err(|error| format!("half an answer with {status} ({error})"))?;
    if status >= 500 && status != 503 {
        return Err(format!("{status} {text}"));
    }
    if status >= 400 {
        let error: Value =
            serde_json::from_str(&text).map_err(|_| format!("{status} without JSON: {text}"))?;
        let message = error["error"]["message"].as_str().or(error["error"].as_str());
        let has_message = message.is_some_and(|message| !message.is_empty());
        let reason = error["error"]["code"].as_str().filter(|_| status == 503).unwrap_or_default();
        return if has_message {
            Ok(format!("{status} {reason}").trim_end().to_owned())
        } else {
            Err(format!("{status} without a message: {text}"))
        };
    }
    let is_last = |line: &&str| is_lines || line.starts_with("data:");
    let last = text.lines().rev().find(is_last).unwrap_or_default();
    let ends = ["[DONE]", "\"response.", "\"message_stop\"", "\"done\":true", "\"error\"", "\"stop\""];
    if (is_stream || is_lines) && !ends.iter().any(|end| last.contains(end)) {
        return Err(format!("a stream that ends with {last:?}"));
    }
    if (is_stream || is_lines) && last.contains("\"internal_error\"") {
        return Err(format!("a stream that fails with {last:?}"));
    }
    Ok(status.to_string())
}

fn excerpt(mutant: &Mutant) -> String {
    let body: String = String::from_utf8_lossy(&mutant.body).chars().take(600).collect();
    format!("{} {} {:?} {body}", mutant.method, mutant.path, mutant.headers)
}

impl Held {
    fn by(pid: u32) -> anyhow::Result<Self> {
        let files = fs::read_dir(format!("/proc/{pid}/fd")).context("reading what is open")?.count();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).context("reading what is held")?;
        let line =
            status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("there is no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse().context("VmRSS is a number")?;
        Ok(Self { files, bytes: kib << 10 })
    }
}
