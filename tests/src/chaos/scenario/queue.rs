//! Whether one model's load delays another's requests.

use std::time::{Duration, Instant};

use futures::FutureExt;

use super::{all_at_once, quantile};
use crate::chaos::{
    Plan, aftermath,
    answer::Outcome,
    mix::{scripted, talks},
    pulse::Pulse,
    report::Report,
    setup::Setup,
    site::Site,
};

/// How much later the first token may come while another model loads: the 99th percentile, against that without.
const WORSE: f64 = 1.10;

pub(super) async fn run(plan: Plan, mut report: Report) -> anyhow::Result<Report> {
    let load_ms = plan.pick(1_500, 10_000);
    let site =
        Setup::new()?.fake("quick", "")?.fake("slow", &format!("load_ms = {load_ms}"))?.start().await?;
    let pulse = Pulse::default();
    report.count(&all_at_once(&site, &talks("quick", 4, 8), &pulse).await);
    let (mut idle, mut loading) = (Vec::new(), Vec::new());
    for _ in 0..plan.pick(1, 4) {
        let pause = Duration::from_millis(load_ms);
        idle.extend(first_tokens(&site, tokio::time::sleep(pause), &mut report).await);
        let slow = scripted("slow", "hello", 4);
        let load = site.client.send(&slow.ask, || {}).map(|outcome| {
            if matches!(outcome, Outcome::Answered(..)) { None } else { Some(outcome.to_string()) }
        });
        let load = load.shared();
        loading.extend(first_tokens(&site, load.clone().map(drop), &mut report).await);
        let failed = load.await;
        report.check(failed.is_none(), || format!("the slow model was answered with {failed:?}"));
        site.ctl(&["unload", "slow"]).await?;
        report.faults += 1;
    }
    let p99 = [&mut idle, &mut loading].map(|times| quantile(times, 0.99));
    let ratio = p99[1] / p99[0];
    report.check(loading.len() > 10, || format!("{} requests were served during a load", loading.len()));
    // A second and a half is too short for a 99th percentile.
    let is_bound = plan.pick(false, true);
    report.check(!is_bound || ratio <= WORSE, || {
        format!("the first token's p99 is {ratio:.2} times that without")
    });
    report.note(format!(
        "time to first token p50 {:.1} ms and p99 {:.1} ms without, {:.1} ms and {:.1} ms during a load of {load_ms} ms: p99 × {ratio:.2}",
        quantile(&mut idle, 0.5), p99[0], quantile(&mut loading, 0.5), p99[1]
    ));
    aftermath::look(site, &mut report, &[]).await?;
    Ok(report)
}

/// Milliseconds to the first token of one request after the other, until `end`.
async fn first_tokens(site: &Site, end: impl Future<Output = ()>, report: &mut Report) -> Vec<f64> {
    let mut end = Box::pin(end.fuse());
    let mut times = Vec::new();
    let case = scripted("quick", "hello", 1);
    loop {
        let begun = Instant::now();
        let ask = async {
            let outcome = site.client.send(&case.ask, || {}).await;
            let Outcome::Answered(_, arrivals) = outcome else { return Err(outcome.to_string()) };
            arrivals.first().map(|first| (*first - begun).as_secs_f64() * 1000.0).ok_or("no text".to_owned())
        };
        tokio::select! {
            () = &mut end => return times,
            asked = ask => {
                report.requests += 1;
                match asked {
                    Ok(time) => times.push(time),
                    Err(words) => report.check(false, || format!("the quick model was answered with {words}")),
                }
            }
        }
    }
}
