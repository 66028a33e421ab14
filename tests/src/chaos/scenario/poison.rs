//! One request that crashes every worker that computes it, among 31 that do not.

use std::time::Duration;

use super::all_at_once;
use crate::chaos::{
    Plan, aftermath,
    answer::{Outcome, Refusal},
    mix::{scripted, talks, whole},
    pulse::Pulse,
    report::Report,
    setup::Setup,
    site::Site,
};

/// Good requests beside the bad one.
const GOOD: u32 = 31;

/// What a request does, and words of the attribution.
const FAULTS: [(&str, &str); 5] = [
    ("crash", "SIGSEGV"),
    ("abort", "SIGABRT"),
    ("exit", "code 1"),
    ("panic", "code 4"),
    ("stack", "SIGABRT"),
];

/// Within this time a known poison is refused.
const AT_ONCE: Duration = Duration::from_millis(100);

/// What the worker says of itself when it goes as it was told to.
const EXPECTED: [&str; 3] = ["as the script says", "the worker ends", "overflowed its stack"];

pub(super) async fn run(plan: Plan, mut report: Report) -> anyhow::Result<Report> {
    let site = Setup::new()?.fake("fragile", "step_ms = 2")?.start().await?;
    let faults = &FAULTS[..plan.pick(1, FAULTS.len())];
    for (fault, attribution) in faults {
        poison(&site, fault, attribution, &mut report).await;
    }
    // The model has not failed over it.
    let (pulse, after) = (Pulse::default(), talks("fragile", 4, 40));
    report.count(&all_at_once(&site, &after, &pulse).await);
    aftermath::look(site, &mut report, &EXPECTED).await?;
    Ok(report)
}

async fn poison(site: &Site, fault: &str, attribution: &str, report: &mut Report) {
    let pulse = Pulse::of(["fragile"]);
    let good = talks("fragile", GOOD, 90);
    let bad = whole(scripted("fragile", &format!("please !{fault}@12"), 60));
    let (tally, outcome) = tokio::join!(all_at_once(site, &good, &pulse), site.client.send(&bad.ask, || {}));
    report.count(&tally);
    report.requests += 2;
    report.faults += 1;
    let is_honest = |refusal: &Refusal| refusal.status == 500 && refusal.code == "worker_crashed";
    match outcome {
        Outcome::Refused(refusal) if is_honest(&refusal) => {
            report.check(refusal.message.contains(attribution), || {
                format!("{attribution:?} is not in {:?}", refusal.message)
            });
        }
        other => report.check(false, || format!("the poison ({fault}) was answered with {other}")),
    }
    match site.client.send(&bad.ask, || {}).await {
        Outcome::Refused(refusal) if is_honest(&refusal) => {
            report.check(refusal.after <= AT_ONCE, || format!("it was refused after {:?}", refusal.after));
            report
                .note(format!("{fault} again: refused after {:.1} ms", refusal.after.as_secs_f64() * 1000.0));
        }
        other => report.check(false, || format!("the known poison ({fault}) was answered with {other}")),
    }
}
