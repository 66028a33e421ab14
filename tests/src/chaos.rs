//! `make chaos`: the server under load, while its processes are killed, stopped, starved and misled. Each scenario
//! starts a server of its own, says what it did and what that cost, and then looks for what must not be left.
//!
//! Which faults happen and when is drawn from a seed, which is printed; what a machine makes of it is its own.

mod aftermath;
mod answer;
mod client;
mod corpus;
mod dialect;
mod load;
mod mix;
mod mutate;
mod pulse;
mod report;
mod scenario;
mod setup;
mod site;
mod verdict;
mod wait;

use std::{io::Write, process::ExitCode, time::Instant};

use anyhow::{Context, ensure};

pub use self::{
    report::Report,
    scenario::{SCENARIOS, Scenario},
};

/// How much of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// About a minute in all, for `make test`.
    Short,
    /// What `make chaos` does.
    Long,
}

/// What a run does.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How much.
    pub extent: Extent,
    /// What is drawn is drawn from this.
    pub seed: u64,
}

impl Plan {
    /// One of two numbers, by the extent.
    pub(crate) fn pick<T>(self, short: T, long: T) -> T {
        match self.extent {
            Extent::Short => short,
            Extent::Long => long,
        }
    }
}

/// `chaos [--short] [--seed N] [SCENARIO...]`: runs the scenarios named, or all, and prints their table.
/// It succeeds when nothing is to be complained of.
pub fn run() -> anyhow::Result<ExitCode> {
    let mut plan = Plan { extent: Extent::Long, seed: rand::random() };
    let mut names = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--short" => plan.extent = Extent::Short,
            "--seed" => plan.seed = args.next().context("--seed takes a number")?.parse()?,
            name => names.push(name.to_owned()),
        }
    }
    for name in &names {
        let known: Vec<&str> = SCENARIOS.iter().map(|scenario| scenario.name).collect();
        ensure!(known.contains(&name.as_str()), "there is no scenario {name:?}, but {}", known.join(", "));
    }
    let chosen = |scenario: &&Scenario| names.is_empty() || names.iter().any(|name| name == scenario.name);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut out = std::io::stdout();
    writeln!(out, "seed {}", plan.seed)?;
    let mut reports = Vec::new();
    for scenario in SCENARIOS.iter().filter(chosen) {
        let begun = Instant::now();
        let report = runtime.block_on(scenario.run(plan));
        writeln!(out, "{:<24} {:>4} s  {}", scenario.name, begun.elapsed().as_secs(), report.verdict())?;
        reports.push(report);
    }
    writeln!(out, "\n{}", report::table(&reports))?;
    let complaints: Vec<&String> = reports.iter().flat_map(|report| &report.complaints).collect();
    for complaint in &complaints {
        writeln!(out, "{complaint}")?;
    }
    Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
