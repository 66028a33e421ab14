//! Workers that do everything wrong, beside one that does not.

use std::{sync::atomic::AtomicBool, time::Duration};

use super::{all_at_once, quantile, under_load};
use crate::chaos::{
    Plan, aftermath,
    answer::{Outcome, Refusal},
    load::Load,
    mix::{scripted, talks},
    pulse::Pulse,
    report::Report,
    setup::Setup,
    site::Site,
};

/// Models that never come up, with what is wrong with them and words of the reason.
const NEVER_UP: [(&str, &str, &str); 4] = [
    ("crashing", "crash_on_load = crash", "SIGSEGV"),
    ("exiting", "crash_on_load = exit", "code 1"),
    ("babbling", "garbage_on_channel = true", "protocol"),
    ("lying", "claims = somebody-else", "somebody-else"),
];

/// The longest silence of a stream that nobody touched.
const IN_TIME: Duration = Duration::from_secs(2);

pub(super) async fn run(plan: Plan, mut report: Report) -> anyhow::Result<Report> {
    let mut setup = Setup::new()?
        .fake("good", "step_ms = 5")?
        .fake("fragile", "step_ms = 2\ndie_while_draining = true")?;
    for (name, script, _) in NEVER_UP {
        setup = setup.fake(name, script)?;
    }
    let setup = setup.set("supervisor.max_starts=3").set("supervisor.backoff_initial_ms=50");
    let site = setup.start().await?;
    let (pulse, enough) = (Pulse::of(["good", "fragile"]), AtomicBool::new(false));
    let cases = talks("good", 6, 100);
    let load = Load { client: &site.client, cases: &cases, pulse: &pulse, enough: &enough };
    let mut misfits = Report::new(report.name);
    let deed = async {
        pulse.passes("good", 0, 20).await?;
        never_up(&site, &mut misfits).await?;
        while_draining(&site, &pulse, &mut misfits).await?;
        garbage(&site, &pulse, &mut misfits).await;
        Ok(())
    };
    let (tally, ()) = under_load(load, 6, plan.seed, deed).await?;
    report.count(&tally);
    report.requests += misfits.requests;
    report.failed += misfits.failed;
    report.gaps += misfits.gaps;
    report.differing += misfits.differing;
    report.faults = misfits.faults;
    report.complaints.extend(misfits.complaints);
    let mut silences: Vec<f64> = tally
        .streams
        .iter()
        .flat_map(|(_, arrivals)| arrivals.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()))
        .collect();
    let longest = quantile(&mut silences, 1.0);
    report.check(longest <= IN_TIME.as_secs_f64(), || format!("a good stream was silent for {longest:.1} s"));
    report.note(format!("good streams' longest silence {:.0} ms", longest * 1000.0));
    let names = NEVER_UP.map(|(name, ..)| name);
    aftermath::look(site, &mut report, &names).await?;
    Ok(report)
}

/// Each is failed with its reason once its restarts are used up.
async fn never_up(site: &Site, report: &mut Report) -> anyhow::Result<()> {
    let ask = async |(name, _, _): (&str, &str, &str)| {
        site.client.send(&scripted(name, "hello", 4).ask, || {}).await
    };
    let outcomes = futures::future::join_all(NEVER_UP.map(ask)).await;
    let models = site.status().await?.models;
    for ((name, _, reason), outcome) in NEVER_UP.into_iter().zip(outcomes) {
        report.requests += 1;
        report.faults += 1;
        match outcome {
            Outcome::Refused(Refusal { status: 503, code, message, .. }) if code == "model_load_failed" => {
                report
                    .check(message.contains(reason), || format!("{name}: {reason:?} is not in {message:?}"));
            }
            other => report.check(false, || format!("{name} was answered with {other}")),
        }
        let shown = models.iter().find(|model| model.name == name);
        let is_failed = shown.is_some_and(|model| model.state == "failed" && model.detail.contains(reason));
        report.check(is_failed, || format!("{name} is shown as {shown:?}"));
    }
    Ok(())
}

/// A worker that is asked to go dies in the middle of its last streams.
async fn while_draining(site: &Site, pulse: &Pulse, report: &mut Report) -> anyhow::Result<()> {
    let cases = talks("fragile", 6, 200);
    let restart = async {
        pulse.passes("fragile", 0, 30).await?;
        site.ctl(&["restart", "fragile"]).await
    };
    let (tally, restarted) = tokio::join!(all_at_once(site, &cases, pulse), restart);
    restarted?;
    report.count(&tally);
    report.faults += 1;
    Ok(())
}

/// A worker sends nonsense on the connection that carries its streams.
async fn garbage(site: &Site, pulse: &Pulse, report: &mut Report) {
    let mut cases = talks("fragile", 6, 120);
    cases.push(scripted("fragile", "please !garbage@20", 60));
    report.count(&all_at_once(site, &cases, pulse).await);
    report.faults += 1;
}
