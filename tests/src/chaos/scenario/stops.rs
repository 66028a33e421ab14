//! SIGSTOP of workers: they neither die nor live.

use std::{
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use futures::future::try_join_all;
use nix::sys::signal::Signal;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::under_load;
use crate::{
    chaos::{
        Plan, aftermath,
        load::{Load, cases},
        mix::{BUNDLED, mixed},
        pulse::Pulse,
        report::Report,
        setup::Setup,
        site::Site,
        wait::eventually,
    },
    process::{is_alive, signal},
};

const CLIENTS: u64 = 16;

/// Within this time the stopped one is gone and another in its place.
const REPLACED: Duration = Duration::from_secs(5);

pub(super) async fn run(plan: Plan, mut report: Report) -> anyhow::Result<Report> {
    let site = Setup::new()?.bundled()?.start().await?;
    let bodies = BUNDLED.iter().flat_map(|model| mixed(model)).collect();
    let cases = cases(&site.client, bodies).await?;
    let (pulse, enough) = (Pulse::of(BUNDLED), AtomicBool::new(false));
    let load = Load { client: &site.client, cases: &cases, pulse: &pulse, enough: &enough };
    let each = plan.pick(1, 10);
    let stoppers = BUNDLED
        .iter()
        .enumerate()
        .map(|(idx, model)| stop(&site, &pulse, model, each, plan.seed + idx as u64));
    let (tally, took) = under_load(load, CLIENTS, plan.seed, try_join_all(stoppers)).await?;
    let took: Vec<Duration> = took.into_iter().flatten().collect();

    report.count(&tally);
    report.faults = took.len();
    let longest = took.iter().max().copied().unwrap_or_default();
    report.check(longest <= REPLACED, || format!("a stopped worker was replaced after {longest:?} only"));
    report.note(format!("replaced after {:.1} s at most", longest.as_secs_f64()));
    aftermath::look(site, &mut report, &[]).await?;
    Ok(report)
}

/// Stops the worker of `model` `n` times; how long it took each time until there was another process.
async fn stop(site: &Site, pulse: &Pulse, model: &str, n: u32, seed: u64) -> anyhow::Result<Vec<Duration>> {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut took, mut before) = (Vec::new(), 0);
    for _ in 0..n {
        let worker = site.successor(model, before).await?;
        before = worker.pid;
        pulse.passes(model, pulse.count(model), random.random_range(1..=200)).await?;
        signal(worker.pid, Signal::SIGSTOP);
        let begun = Instant::now();
        eventually("the stopped worker is dead", || async { (!is_alive(before)).then_some(()) }).await?;
        site.successor(model, before).await?;
        took.push(begun.elapsed());
        pulse.passes(model, pulse.count(model), 1).await?;
    }
    Ok(took)
}
