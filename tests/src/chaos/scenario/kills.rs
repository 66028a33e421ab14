//! kill -9 of workers of three formats, again and again, as soon as each one's streams have got on.

use std::{sync::atomic::AtomicBool, time::Instant};

use futures::future::try_join_all;
use nix::sys::signal::Signal;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{quantile, under_load};
use crate::{
    chaos::{
        Plan, aftermath,
        load::{Case, Load, cases},
        mix::{BUNDLED, mixed, thoughtful},
        pulse::Pulse,
        report::Report,
        setup::Setup,
        site::Site,
    },
    process::signal,
};

const CLIENTS: u64 = 32;

/// The one of the models that thinks before it answers.
const THINKER: &str = BUNDLED[2];

/// Kills in the short form and in the long one.
const KILLS: (usize, usize) = (201, 1002);

/// A worker lives until its clients have received at most this many pieces of text of it.
const MOST_PIECES: u64 = 96;

/// Delays before a restart that fit the pace of the kills, and the largest budget of restarts there is.
const SETTINGS: [&str; 4] = [
    "supervisor.backoff_initial_ms=1",
    "supervisor.backoff_max_ms=50",
    "supervisor.max_starts=1000",
    "workers.candle.standby=1",
];

pub(super) async fn run(plan: Plan, mut report: Report) -> anyhow::Result<Report> {
    let setup = SETTINGS
        .iter()
        .fold(Setup::new()?.bundled()?.thinking(THINKER)?, |setup, setting| setup.set(setting));
    let site = setup.set("workers.onnx.standby=1").start().await?;
    let bodies_of = |model: &&str| match mixed(model) {
        bodies if *model == THINKER => thoughtful(bodies),
        bodies => bodies,
    };
    let cases = cases(&site.client, BUNDLED.iter().flat_map(bodies_of).collect()).await?;
    let thinks = |case: &Case| case.expected.choices.iter().any(|choice| !choice.reasoning.is_empty());
    report.check(cases.iter().any(thinks), || format!("{THINKER} has no thoughts"));
    let (pulse, enough) = (Pulse::of(BUNDLED), AtomicBool::new(false));
    let load = Load { client: &site.client, cases: &cases, pulse: &pulse, enough: &enough };
    let each = plan.pick(KILLS.0, KILLS.1) / BUNDLED.len();
    let begun = Instant::now();
    let killers = BUNDLED
        .iter()
        .enumerate()
        .map(|(idx, model)| kill(&site, &pulse, model, each, plan.seed + idx as u64));
    let (tally, killed) = under_load(load, CLIENTS, plan.seed, try_join_all(killers)).await?;

    report.count(&tally);
    report.faults = killed.iter().map(Vec::len).sum();
    let mut resumed: Vec<f64> = BUNDLED
        .iter()
        .zip(&killed)
        .flat_map(|(model, kills)| {
            let streams = tally.streams.iter().filter(|(name, _)| name == model);
            streams.flat_map(|(_, arrivals)| silences(kills, arrivals)).collect::<Vec<_>>()
        })
        .collect();
    report.check(!resumed.is_empty(), || "no stream went on after a kill".to_owned());
    report.note(format!("{CLIENTS} clients, {} s", begun.elapsed().as_secs()));
    report.note(format!(
        "from death to next text p50 {:.0} ms, p99 {:.0} ms over {} resumed streams",
        quantile(&mut resumed, 0.5),
        quantile(&mut resumed, 0.99),
        resumed.len()
    ));
    report.note("restarts after 1 ms to 50 ms, up to 1000 of them, a standby for each format");
    aftermath::look(site, &mut report, &[]).await?;
    Ok(report)
}

/// Kills the worker of `model` `n` times, each when it serves and its streams have gone on.
async fn kill(site: &Site, pulse: &Pulse, model: &str, n: usize, seed: u64) -> anyhow::Result<Vec<Instant>> {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut killed, mut before) = (Vec::new(), 0);
    while killed.len() < n {
        let worker = site.successor(model, before).await?;
        let pieces = random.random_range(1..=MOST_PIECES);
        pulse.passes(model, pulse.count(model), pieces).await?;
        signal(worker.pid, Signal::SIGKILL);
        killed.push(Instant::now());
        before = worker.pid;
    }
    Ok(killed)
}

/// For each kill during a stream, milliseconds from it to the end of the longest silence before the next one, which
/// is when text came again: some of what the dead one had said may still have been on its way. A stream that was hit
/// again before that says nothing of the first time.
fn silences(kills: &[Instant], arrivals: &[Instant]) -> Vec<f64> {
    let (Some(first), Some(last)) = (arrivals.first(), arrivals.last()) else { return Vec::new() };
    let during = kills.iter().enumerate().filter(|(_, kill)| (first..=last).contains(kill));
    let resumed = during.filter_map(|(idx, kill)| {
        let next = kills.get(idx + 1);
        let is_of_this = |pair: &&[Instant]| pair[1] >= *kill && next.is_none_or(|next| pair[1] < *next);
        let silences = arrivals.windows(2).filter(is_of_this);
        let longest = silences.max_by_key(|pair| pair[1] - pair[0])?;
        Some((longest[1] - *kill).as_secs_f64() * 1000.0)
    });
    resumed.collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_death_lasts_until_text_comes_again() {
        let begun = Instant::now();
        let at = |times: &[u64]| -> Vec<Instant> {
            times.iter().map(|ms| begun + Duration::from_millis(*ms)).collect()
        };
        let check = |kills: &[u64], arrivals: &[u64], expected: &[f64]| {
            assert_eq!(silences(&at(kills), &at(arrivals)), expected, "{kills:?} {arrivals:?}");
        };
        check(&[100], &[90, 101, 180, 190], &[80.0]);
        check(&[100, 300], &[90, 180, 190, 299, 350, 360], &[199.0, 50.0]);
        check(&[10, 500], &[90, 180], &[]);
        check(&[100], &[], &[]);
    }
}
