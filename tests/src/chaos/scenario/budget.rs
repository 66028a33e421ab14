//! Models that do not fit, and models that do not fit together.

use std::{collections::BTreeSet, sync::atomic::AtomicBool, time::Duration};

use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::Value;

use super::all_at_once;
use crate::chaos::{
    Plan, aftermath,
    answer::Outcome,
    load::{Case, Load, Tally},
    mix::{scripted, talks},
    pulse::Pulse,
    report::Report,
    setup::Setup,
};

/// Within this time a model that can never fit is refused.
const REFUSED: Duration = Duration::from_millis(50);

const LIMIT: &str = "budget.ram=100MiB";
const LIMIT_BYTES: u64 = 100 << 20;
const THIRD: &str = "memory = \"40MiB\"";

/// Requests with two models of three.
const REQUESTS: (usize, usize) = (100, 400);
const CLIENTS: usize = 10;

pub(super) async fn too_large(_plan: Plan, mut report: Report) -> anyhow::Result<Report> {
    let setup = Setup::new()?.fake("small", "")?.fake("large", "")?.set(LIMIT);
    let site = setup.model("small", THIRD).model("large", "memory = \"200MiB\"").start().await?;
    let pulse = Pulse::default();
    report.count(&all_at_once(&site, &talks("small", 1, 8), &pulse).await);
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        report.requests += 1;
        match site.client.send(&scripted("large", "hello", 8).body, || {}).await {
            Outcome::Refused(refusal) => {
                longest = longest.max(refusal.after);
                report.check(refusal.status == 503 && refusal.code == "no_capacity", || {
                    format!("refused with {refusal}")
                });
                report.check(refusal.retry_after.is_some(), || format!("no Retry-After: {refusal}"));
                for words in ["200 MiB", "100 MiB", "small"] {
                    report.check(refusal.message.contains(words), || {
                        format!("{words:?} is not in {:?}", refusal.message)
                    });
                }
            }
            other => report.check(false, || format!("a model that cannot fit: {other}")),
        }
    }
    report.check(longest <= REFUSED, || format!("refused after {longest:?} only"));
    report.note(format!("refused with the numbers within {:.1} ms", longest.as_secs_f64() * 1000.0));
    aftermath::look(site, &mut report, &[]).await?;
    Ok(report)
}

pub(super) async fn two_of_three(plan: Plan, mut report: Report) -> anyhow::Result<Report> {
    let models = ["one", "two", "three"];
    let mut setup = Setup::new()?.set(LIMIT).set("budget.turn_s=1");
    for model in models {
        setup = setup.fake(model, "load_ms = 50\nstep_ms = 2")?.model(model, THIRD);
    }
    let site = setup.start().await?;
    let cases: Vec<Case> = models.iter().flat_map(|model| talks(model, 4, 40)).collect();
    let (pulse, enough) = (Pulse::of(models), AtomicBool::new(false));
    let load = Load { client: &site.client, cases: &cases, pulse: &pulse, enough: &enough };
    let each = plan.pick(REQUESTS.0, REQUESTS.1) / CLIENTS;
    let clients = (0..CLIENTS).map(|idx| some(&load, each, plan.seed + idx as u64));
    let tallies = futures::future::join_all(clients).await;
    report.count(&tallies.into_iter().fold(Tally::default(), Tally::plus));

    let events = aftermath::events(&site);
    let number = |event: &Value, name: &str| find(event, name).and_then(Value::as_u64);
    let placed: Vec<(u64, u64)> = events
        .iter()
        .filter_map(|event| Some((number(event, "placed_bytes")?, number(event, "limit_bytes")?)))
        .collect();
    let most = placed.iter().map(|(bytes, _)| *bytes).max().unwrap_or_default();
    let over = placed.iter().filter(|(bytes, limit)| bytes > limit || *bytes > LIMIT_BYTES).count();
    report.check(!placed.is_empty(), || "the event log tells of no placement".to_owned());
    report.check(over == 0, || format!("{over} times more was placed than the budget has"));
    let workers: BTreeSet<&str> =
        events.iter().filter_map(|event| find(event, "worker").and_then(Value::as_str)).collect();
    report.faults = workers.len().saturating_sub(2);
    report.note(format!("{} placements, at most {} MiB of 100 MiB at once", workers.len(), most >> 20));
    aftermath::look(site, &mut report, &[]).await?;
    Ok(report)
}

/// A client that sends `n` requests.
async fn some(load: &Load<'_>, n: usize, seed: u64) -> Tally {
    let mut random = StdRng::seed_from_u64(seed);
    let mut tally = Tally::default();
    for _ in 0..n {
        let case = &load.cases[random.random_range(0..load.cases.len())];
        tally.take(case, load.client.send(&case.body, || load.pulse.beat(&case.model)).await);
    }
    tally
}

/// A field of a log line, wherever its format puts it.
fn find<'e>(event: &'e Value, name: &str) -> Option<&'e Value> {
    event.get(name).or_else(|| event.get("fields")?.get(name))
}
