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
    site::Site,
};

/// Within this time a model that can never fit is refused.
const REFUSED: Duration = Duration::from_millis(50);

/// Within this time one is that may wait for a second.
const WAITED: Duration = Duration::from_secs(3);

const LIMIT: &str = "budget.ram=100MiB";
const LIMIT_BYTES: u64 = 100 << 20;
const THIRD: &str = "memory = \"40MiB\"";

/// Requests with two models of three.
const REQUESTS: (usize, usize) = (100, 400);
const CLIENTS: usize = 10;

pub(super) async fn too_large(_plan: Plan, mut report: Report) -> anyhow::Result<Report> {
    let setup = Setup::new()?.fake("small", "")?.fake("medium", "")?.fake("large", "")?;
    let setup = setup.set(LIMIT).set("budget.wait_s=1").model("small", &format!("{THIRD}\npin = true"));
    let setup = setup.model("medium", "memory = \"80MiB\"").model("large", "memory = \"200MiB\"");
    let site = setup.start().await?;
    let pulse = Pulse::default();
    report.count(&all_at_once(&site, &talks("small", 1, 8), &pulse).await);
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        longest = longest.max(refused(&site, "large", &["200 MiB", "100 MiB", "40 MiB"], &mut report).await);
    }
    report.check(longest <= REFUSED, || format!("refused after {longest:?} only"));
    report.note(format!(
        "never fits: refused with the numbers within {:.1} ms",
        longest.as_secs_f64() * 1000.0
    ));
    let waited = refused(&site, "medium", &["80 MiB", "60 MiB", "small"], &mut report).await;
    report.check(waited <= WAITED, || format!("a model with no room was refused after {waited:?} only"));
    report.note(format!("does not fit now: refused after {:.1} s of at most 1 s", waited.as_secs_f64()));
    report.count(&all_at_once(&site, &talks("small", 1, 8), &pulse).await);
    aftermath::look(site, &mut report, &[]).await?;
    Ok(report)
}

/// Asks for a model that has no room, which must be refused in these words; how long that took.
async fn refused(site: &Site, model: &str, words: &[&str], report: &mut Report) -> Duration {
    report.requests += 1;
    report.faults += 1;
    match site.client.send(&scripted(model, "hello", 8).ask, || {}).await {
        Outcome::Refused(refusal) => {
            let is_named = refusal.status == 503 && refusal.code == "no_capacity";
            report.check(is_named, || format!("refused with {} {}", refusal.status, refusal.code));
            report.check(refusal.retry_after.is_some(), || "there is no Retry-After".to_owned());
            for word in words {
                let is_said = refusal.message.contains(word);
                report.check(is_said, || format!("{word:?} is not in {:?}", refusal.message));
            }
            refusal.after
        }
        other => {
            report.check(false, || format!("{model}, for which there is no room, was answered with {other}"));
            Duration::ZERO
        }
    }
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
        tally.take(case, load.client.send(&case.ask, || load.pulse.beat(&case.model)).await);
    }
    tally
}

/// A field of a log line, wherever its format puts it.
fn find<'e>(event: &'e Value, name: &str) -> Option<&'e Value> {
    event.get(name).or_else(|| event.get("fields")?.get(name))
}
