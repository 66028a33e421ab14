//! The scenarios.

mod budget;
mod catalogue;
mod hangs;
mod kills;
mod memory;
mod misfits;
mod mutants;
mod orphans;
mod poison;
mod queue;
mod sandbox;
mod stops;
mod swaps;
mod upgrades;

use std::fmt;

use futures::{FutureExt, future::BoxFuture};

use super::{
    Plan,
    load::{Case, Load, Tally},
    pulse::Pulse,
    report::Report,
    site::Site,
};

/// Something that is done to a server.
pub struct Scenario {
    /// Its name in the table.
    pub name: &'static str,
    run: fn(Plan, Report) -> BoxFuture<'static, anyhow::Result<Report>>,
}

/// All of them, in the order of the table.
pub const SCENARIOS: &[Scenario] = &[
    Scenario { name: "kill-9", run: |plan, report| kills::run(plan, report).boxed() },
    Scenario { name: "stop", run: |plan, report| stops::run(plan, report).boxed() },
    Scenario { name: "memory", run: |plan, report| memory::run(plan, report).boxed() },
    Scenario { name: "poison", run: |plan, report| poison::run(plan, report).boxed() },
    Scenario { name: "too-large", run: |plan, report| budget::too_large(plan, report).boxed() },
    Scenario { name: "two-of-three", run: |plan, report| budget::two_of_three(plan, report).boxed() },
    Scenario { name: "swap-and-reload", run: |plan, report| swaps::run(plan, report).boxed() },
    Scenario { name: "upgrade", run: |plan, report| upgrades::run(plan, report).boxed() },
    Scenario { name: "supervisor-killed", run: |plan, report| orphans::adopted(plan, report).boxed() },
    Scenario { name: "supervisor-gone", run: |plan, report| orphans::abandoned(plan, report).boxed() },
    Scenario { name: "catalogue", run: |plan, report| catalogue::run(plan, report).boxed() },
    Scenario { name: "sandbox", run: |plan, report| sandbox::run(plan, report).boxed() },
    Scenario { name: "head-of-line", run: |plan, report| queue::run(plan, report).boxed() },
    Scenario { name: "hang", run: |plan, report| hangs::run(plan, report).boxed() },
    Scenario { name: "misfits", run: |plan, report| misfits::run(plan, report).boxed() },
    Scenario { name: "mutants", run: |plan, report| mutants::run(plan, report).boxed() },
];

impl Scenario {
    /// Does it. What keeps it from coming to its end is a complaint.
    pub async fn run(&self, plan: Plan) -> Report {
        let name = self.name;
        (self.run)(plan, Report::new(name)).await.unwrap_or_else(|error| {
            let mut report = Report::new(name);
            report.check(false, || format!("it did not come to its end: {error:#}"));
            report
        })
    }
}

impl fmt::Debug for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scenario").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Sends all `cases` at once, each once.
async fn all_at_once(site: &Site, cases: &[Case], pulse: &Pulse) -> Tally {
    let send = async |case: &Case| site.client.send(&case.ask, || pulse.beat(&case.model)).await;
    let outcomes = futures::future::join_all(cases.iter().map(send)).await;
    let mut tally = Tally::default();
    for (case, outcome) in cases.iter().zip(outcomes) {
        tally.take(case, outcome);
    }
    tally
}

/// Lets `clients` send `cases` for as long as `deed` takes, and then finish what they have sent.
async fn under_load<T>(
    load: Load<'_>,
    clients: u64,
    seed: u64,
    deed: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<(Tally, T)> {
    let deed = async {
        let done = deed.await;
        load.enough.store(true, std::sync::atomic::Ordering::Relaxed);
        done
    };
    let (tally, done) = tokio::join!(load.run(clients, seed), deed);
    Ok((tally, done?))
}

/// The value below which this share of `values` lies; none of nothing.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values.get((last as f64 * share).ceil() as usize).copied().unwrap_or(f64::NAN)
}
