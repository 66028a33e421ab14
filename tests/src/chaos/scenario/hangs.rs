//! A request that hangs in a step, and a load that makes no progress.

use std::time::Instant;

use super::all_at_once;
use crate::chaos::{
    Plan, aftermath,
    answer::Outcome,
    mix::{scripted, talks, whole},
    pulse::Pulse,
    report::Report,
    setup::Setup,
};

const SETTINGS: [&str; 4] = [
    "supervisor.hang_timeout_s=1",
    "supervisor.first_step_timeout_s=3",
    "supervisor.load_timeout_s=1",
    "supervisor.max_starts=4",
];

/// What is said of the model that never loads.
const EXPECTED: [&str; 1] = ["never"];

pub(super) async fn run(_plan: Plan, mut report: Report) -> anyhow::Result<Report> {
    let setup =
        Setup::new()?.fake("stuck", "step_ms = 5")?.fake("never", "load_ms = 600000\nprogress = none")?;
    let setup = SETTINGS.iter().fold(setup, |setup, setting| setup.set(setting));
    let site = setup.set("supervisor.backoff_initial_ms=20").start().await?;
    let pulse = Pulse::of(["stuck"]);
    let begun = Instant::now();
    let good = talks("stuck", 8, 200);
    let bad = whole(scripted("stuck", "please !hang@10", 60));
    let never = scripted("never", "hello", 8);
    let (tally, hung, unloaded) = tokio::join!(
        all_at_once(&site, &good, &pulse),
        site.client.send(&bad.ask, || {}),
        site.client.send(&never.ask, || {}),
    );
    report.count(&tally);
    report.requests += 2;
    report.faults = 2;
    match hung {
        Outcome::Refused(refusal) if refusal.code == "worker_crashed" && refusal.status == 500 => {
            report.check(refusal.message.contains("hung"), || format!("no attribution: {refusal}"));
        }
        other => report.check(false, || format!("the request that hangs was answered with {other}")),
    }
    match unloaded {
        Outcome::Refused(refusal) if refusal.code == "model_load_failed" && refusal.status == 503 => {
            report.check(refusal.message.contains("progress"), || format!("no reason: {refusal}"));
        }
        other => report.check(false, || format!("the model that never loads was answered with {other}")),
    }
    let models = site.status().await?.models;
    let shown = models.iter().find(|model| model.name == "never").map(|model| model.state.as_str());
    report.check(shown == Some("failed"), || format!("the model that never loads is {shown:?}"));
    report.note(format!("all over after {:.1} s, hang timeout 1 s", begun.elapsed().as_secs_f64()));
    aftermath::look(site, &mut report, &EXPECTED).await?;
    Ok(report)
}
