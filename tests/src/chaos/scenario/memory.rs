//! A worker that eats memory is killed at its own limit, and nobody else notices.

use std::{sync::atomic::AtomicBool, time::Duration};

use anyhow::Context;

use super::{all_at_once, quantile, under_load};
use crate::chaos::{
    Plan, aftermath,
    answer::Outcome,
    load::{Load, Tally},
    mix::{scripted, talks, whole},
    pulse::Pulse,
    report::Report,
    setup::Setup,
};

/// What the eater is given, and what it wants.
const GIVEN: &str = "memory = \"96MiB\"";
const WANTED_MIB: u32 = 3000;

/// The longest silence of a stream that nobody touched.
const IN_TIME: Duration = Duration::from_secs(2);

pub(super) async fn run(plan: Plan, mut report: Report) -> anyhow::Result<Report> {
    let setup = Setup::new()?.fake("hog", "step_ms = 5")?.fake("neighbour", "step_ms = 5")?;
    let setup = setup.model("hog", GIVEN).model("neighbour", GIVEN);
    let site = setup.set("supervisor.backoff_initial_ms=20").start().await?;
    let (pulse, enough) = (Pulse::of(["hog", "neighbour"]), AtomicBool::new(false));
    let neighbours = talks("neighbour", 8, 120);
    let load = Load { client: &site.client, cases: &neighbours, pulse: &pulse, enough: &enough };
    let rounds = plan.pick(1, 5);
    let deed = async {
        pulse.passes("neighbour", 0, 50).await?;
        let mut beside = Tally::default();
        for round in 0..rounds {
            let eater = whole(scripted("hog", &format!("round {round} !grow@9:{WANTED_MIB}"), 200));
            let others = talks("hog", 6, 150);
            let (eaten, others) =
                tokio::join!(site.client.send(&eater.ask, || {}), all_at_once(&site, &others, &pulse));
            beside = beside.plus(others);
            match eaten {
                Outcome::Refused(refusal) if refusal.code == "worker_crashed" && refusal.status == 500 => {}
                other => {
                    beside.failed.push(format!("the request that eats memory was answered with {other}"));
                }
            }
        }
        let worker = site.worker("hog").await.context("the model has a worker")?;
        Ok((beside, worker))
    };
    let (tally, (beside, worker)) = under_load(load, 8, plan.seed, deed).await?;

    report.count(&beside);
    report.requests += rounds as usize;
    report.faults = rounds as usize;
    let mut silences: Vec<f64> = tally
        .streams
        .iter()
        .flat_map(|(_, arrivals)| arrivals.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1000.0))
        .collect();
    report.count(&tally);
    let longest = quantile(&mut silences, 1.0);
    report.check(longest <= IN_TIME.as_secs_f64() * 1000.0, || {
        format!("a neighbour's stream was silent for {longest:.0} ms")
    });
    let exit = &worker.last_exit;
    report.check(exit.contains("limit") && exit.contains("killed by"), || {
        format!("the status does not name the limit: {exit:?}")
    });
    report.check(!worker.limited_by.is_empty(), || "nothing holds the worker to its limit".to_owned());
    report.note(format!("held by {}: {exit}", worker.limited_by));
    report.note(format!("neighbours' longest silence {longest:.0} ms"));
    aftermath::look(site, &mut report, &[]).await?;
    Ok(report)
}
