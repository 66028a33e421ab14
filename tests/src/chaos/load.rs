//! Clients that send one request after another, and compare each answer with the one that is due.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use anyhow::bail;
use futures::future::join_all;
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{
    answer::{Answer, Outcome},
    client::Client,
    dialect::Ask,
    pulse::Pulse,
    verdict::{Verdict, compare},
};

/// A request, and the answer that it has to get.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) model: String,
    pub(super) ask: Ask,
    pub(super) expected: Answer,
}

/// What clients met.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) requests: usize,
    pub(super) failed: Vec<String>,
    pub(super) gaps: Vec<String>,
    pub(super) differing: Vec<String>,
    /// Of each stream that ended well: its model, and when each piece of text arrived.
    pub(super) streams: Vec<(String, Vec<Instant>)>,
}

/// What all clients of a load have in common.
pub(super) struct Load<'l> {
    pub(super) client: &'l Client,
    pub(super) cases: &'l [Case],
    pub(super) pulse: &'l Pulse,
    /// Set when no further request is to be sent.
    pub(super) enough: &'l AtomicBool,
}

/// Asks for each answer, so that it is known what is due.
pub(super) async fn cases(client: &Client, asked: Vec<Ask>) -> anyhow::Result<Vec<Case>> {
    let mut cases = Vec::new();
    for ask in asked {
        match client.send(&ask, || {}).await {
            Outcome::Answered(expected, _) => {
                cases.push(Case { model: ask.model().to_owned(), ask, expected });
            }
            other => bail!("{ask} was answered with {other} before anything was done to the server"),
        }
    }
    Ok(cases)
}

impl Load<'_> {
    /// Has `n` clients send until it is enough.
    pub(super) async fn run(&self, n: u64, seed: u64) -> Tally {
        let tallies = join_all((0..n).map(|idx| self.client(seed.wrapping_add(idx)))).await;
        tallies.into_iter().fold(Tally::default(), Tally::plus)
    }

    async fn client(&self, seed: u64) -> Tally {
        let mut random = StdRng::seed_from_u64(seed);
        let mut tally = Tally::default();
        while !self.enough.load(Ordering::Relaxed) {
            let case = &self.cases[random.random_range(0..self.cases.len())];
            let outcome = self.client.send(&case.ask, || self.pulse.beat(&case.model)).await;
            tally.take(case, outcome);
        }
        tally
    }
}

impl Tally {
    /// Counts one outcome.
    pub(super) fn take(&mut self, case: &Case, outcome: Outcome) {
        self.requests += 1;
        let about = |words: &str| format!("{} was answered with {words}", case.ask);
        match outcome {
            Outcome::Answered(answer, arrivals) => match compare(&case.expected, &answer) {
                Verdict::Same => self.streams.push((case.model.clone(), arrivals)),
                Verdict::Gap(words) => self.gaps.push(about(&words)),
                Verdict::Differs(words) => self.differing.push(about(&words)),
            },
            failed => self.failed.push(about(&failed.to_string())),
        }
    }

    /// Both together.
    pub(super) fn plus(mut self, other: Self) -> Self {
        self.requests += other.requests;
        self.failed.extend(other.failed);
        self.gaps.extend(other.gaps);
        self.differing.extend(other.differing);
        self.streams.extend(other.streams);
        self
    }
}
