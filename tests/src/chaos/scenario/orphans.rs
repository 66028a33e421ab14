//! A supervisor that is killed: its successor takes over what runs; without one, all of it ends.

use std::{
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use anyhow::Context;
use nix::sys::signal::Signal;
use tokio::time::timeout;

use super::under_load;
use crate::{
    chaos::{
        Plan, aftermath,
        load::{Load, cases},
        mix::{BUNDLED, mixed, scripted},
        pulse::Pulse,
        report::Report,
        setup::Setup,
        wait::eventually,
    },
    process::signal,
};

const CLIENTS: u64 = 16;

/// How long there is no supervisor, at most.
const ORPHANED: Duration = Duration::from_millis(500);

pub(super) async fn adopted(plan: Plan, mut report: Report) -> anyhow::Result<Report> {
    let mut site = Setup::new()?.bundled()?.start().await?;
    let bodies = BUNDLED.iter().flat_map(|model| mixed(model)).collect();
    let cases = cases(&site.client, bodies).await?;
    let (pulse, enough) = (Pulse::of(BUNDLED), AtomicBool::new(false));
    let client = site.client.clone();
    let load = Load { client: &client, cases: &cases, pulse: &pulse, enough: &enough };
    let rounds = plan.pick(3, 20);
    let deed = async {
        let mut kept = 0;
        for round in 0..rounds {
            for model in BUNDLED {
                pulse.passes(model, pulse.count(model), 20).await?;
            }
            let before = site.status().await?;
            let pid_of =
                |model: &str| before.workers.iter().find(|worker| worker.model == model).map(|w| w.pid);
            site.kill_supervisor()?;
            // Streams go on meanwhile; those that have none left wait for the next supervisor.
            let goes_on = pulse.passes(BUNDLED[1], pulse.count(BUNDLED[1]), 10);
            timeout(ORPHANED, goes_on).await.unwrap_or(Ok(()))?;
            let orphan = pid_of(BUNDLED[0]).context("the model is loaded")?;
            let dies = round % 3 == 2;
            if dies {
                signal(orphan, Signal::SIGKILL);
            }
            site.restart_supervisor().await?;
            for model in BUNDLED {
                let worker = site.worker_when(model, "serves", |worker| worker.state == "ready").await?;
                kept += usize::from(Some(worker.pid) == pid_of(model));
            }
        }
        Ok(kept)
    };
    let (tally, kept) = under_load(load, CLIENTS, plan.seed, deed).await?;
    report.count(&tally);
    report.faults = rounds;
    let due = rounds * BUNDLED.len() - rounds / 3;
    report.check(kept == due, || format!("{kept} workers were taken over, not {due}"));
    report.note(format!("{kept} of {due} workers taken over; every third time one died meanwhile"));
    aftermath::look(site, &mut report, &[]).await?;
    Ok(report)
}

pub(super) async fn abandoned(_plan: Plan, mut report: Report) -> anyhow::Result<Report> {
    let setup = Setup::new()?.fake("busy", "step_ms = 5")?.fake("stuck", "")?;
    let mut site = setup.set("supervisor.orphan_grace_s=1").start().await?;
    let bodies = [("busy", "hello"), ("stuck", "!hang@3")];
    let bodies = bodies.map(|(model, content)| scripted(model, content, 900));
    let pulse = Pulse::of(["busy", "stuck"]);
    let client = site.client.clone();
    let deed = async {
        pulse.passes("busy", 0, 5).await?;
        pulse.passes("stuck", 0, 1).await?;
        site.kill_supervisor()?;
        let begun = Instant::now();
        eventually("no process is left", || async { site.processes().is_empty().then_some(()) }).await?;
        anyhow::Ok(begun.elapsed())
    };
    let send = async |idx: usize| {
        let body = &bodies[idx];
        client.send(&body.ask, || pulse.beat(&body.model)).await
    };
    let (gone, _, _) = tokio::join!(deed, send(0), send(1));
    report.requests = bodies.len();
    report.faults = 1;
    report.note(format!("all processes gone after {:.1} s of a grace of 1 s", gone?.as_secs_f64()));
    Ok(report)
}
