//! The course of a bench: cell after cell, pair after pair, the servers in turns.

use std::{
    io::{self, IsTerminal, Write},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    edit,
    error::BenchError,
    part::{Part, Side},
    plan::{Cell, NEXT_TURN_TOKENS, Workload},
    prompt::{COUNTED_WORDS, Measure, Prompts},
    round::Round,
    target::{Question, TRIED_TOKENS, Target},
    worker::{Counted, Worker},
};

/// Who is measured, and with what.
pub(super) struct Course {
    ours: Arc<Target>,
    theirs: Option<Arc<Target>>,
    worker: Worker,
    prompts: Prompts,
    measure: Measure,
    pairs: u32,
}

/// What a pair's requests are made of; each server gets it with other marks before it, so that neither has seen any of
/// it before, even if both are the same.
struct Material {
    schedule: Vec<Duration>,
    texts: Vec<String>,
    /// What the second turn adds.
    addition: String,
}

/// Which of the servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Ours,
    Theirs,
}

impl Course {
    pub(super) fn new(ours: Arc<Target>, theirs: Option<Arc<Target>>, worker: Worker, pairs: u32) -> Self {
        let measure = Measure { fixed_tokens: 0.0, tokens_per_word: 1.0 };
        Self { ours, theirs, worker, prompts: Prompts::new(), measure, pairs }
    }

    /// Has our server count the tokens of two texts.
    pub(super) async fn count_words(&mut self) -> Result<Measure, BenchError> {
        let mut counted = [(0, 0); 2];
        for (words, counted) in COUNTED_WORDS.into_iter().zip(&mut counted) {
            let prompt = format!("{}{}", self.prompts.mark(), self.prompts.words(words));
            let seen = self.ours.ask(&completion(prompt, TRIED_TOKENS, false), Instant::now()).await?;
            *counted = (words, seen.prompt_tokens);
        }
        self.measure = Measure::of(counted);
        Ok(self.measure)
    }

    /// Measures all cells. Requests that fail are counted and end nothing.
    pub(super) async fn run(&mut self, cells: &[Cell]) -> Vec<Part> {
        let mut parts = Vec::new();
        for (idx, cell) in cells.iter().enumerate() {
            say(&format!("measuring {} of {}", idx + 1, cells.len()));
            parts.extend(self.cell(cell).await);
        }
        say("");
        parts
    }

    async fn cell(&mut self, cell: &Cell) -> Vec<Part> {
        let part = |&workload: &&'static str| Part {
            workload,
            arrivals: cell.arrivals,
            prompt_tokens: cell.prompt_tokens,
            completion_tokens: cell.completion_tokens,
            ours: Side::default(),
            theirs: self.theirs.is_some().then(Side::default),
        };
        let mut parts: Vec<Part> = cell.workload.parts().iter().map(part).collect();
        for pair in 0..self.pairs {
            let material = self.material(cell);
            // Whoever goes first may find the machine in another state, so they take turns at that too.
            let order =
                if pair % 2 == 0 { [Which::Ours, Which::Theirs] } else { [Which::Theirs, Which::Ours] };
            for which in order {
                let rounds = self.rounds(which, cell, &material).await;
                for (part, (round, counted)) in parts.iter_mut().zip(rounds) {
                    let side = match which {
                        Which::Ours => &mut part.ours,
                        Which::Theirs => part.theirs.get_or_insert_default(),
                    };
                    side.push(round, counted);
                }
            }
        }
        parts
    }

    fn material(&mut self, cell: &Cell) -> Material {
        let requests = cell.arrivals.requests();
        let n_words = self.measure.words(cell.prompt_tokens.unwrap_or_default());
        let texts = match cell.workload {
            Workload::Edit { lines } => vec![edit::request(&mut self.prompts, lines)],
            Workload::Completion | Workload::Turns => {
                (0..requests).map(|_| self.prompts.words(n_words)).collect()
            }
        };
        let addition =
            self.prompts.words((f64::from(NEXT_TURN_TOKENS) / self.measure.tokens_per_word) as u32 + 1);
        Material { schedule: cell.arrivals.schedule(&mut self.prompts), texts, addition }
    }

    /// One round for each part of the cell's workload on one server; none where there is no such server.
    async fn rounds(
        &mut self,
        which: Which,
        cell: &Cell,
        material: &Material,
    ) -> Vec<(Round, Option<Counted>)> {
        if which == Which::Theirs && self.theirs.is_none() {
            return Vec::new();
        }
        let tokens = cell.completion_tokens;
        let marked: Vec<String> =
            material.texts.iter().map(|text| format!("{}{text}", self.prompts.mark())).collect();
        let asked = |questions: Vec<Question>| material.schedule.iter().copied().zip(questions).collect();
        match cell.workload {
            Workload::Completion => {
                let questions = marked.into_iter().map(|text| completion(text, tokens, false)).collect();
                vec![self.round(which, asked(questions)).await]
            }
            Workload::Edit { .. } => {
                let question =
                    |prompt| Question { prompt, max_tokens: tokens, keeps_text: false, is_chat: true };
                vec![self.round(which, asked(marked.into_iter().map(question).collect())).await]
            }
            Workload::Turns => {
                let first = marked.concat();
                let question = completion(first.clone(), tokens, true);
                let first_round = self.round(which, asked(vec![question])).await;
                let said: String = first_round.0.seen.iter().map(|seen| seen.text.as_str()).collect();
                let second = format!("{first}{said}{}", material.addition);
                let second_round = self.round(which, asked(vec![completion(second, tokens, false)])).await;
                vec![first_round, second_round]
            }
        }
    }

    async fn round(&mut self, which: Which, asked: Vec<(Duration, Question)>) -> (Round, Option<Counted>) {
        let theirs = self.theirs.as_ref().filter(|_| which == Which::Theirs);
        if let Some(theirs) = theirs {
            return (Round::run(theirs, asked).await, None);
        }
        let (gateway_before, before) = (self.ours.times().await, self.worker.stats().await);
        let round = Round::run(&self.ours, asked).await;
        let (after, gateway_after) = (self.worker.stats().await, self.ours.times().await);
        let counted = before.zip(after).zip(round.wall());
        let mut counted = counted.and_then(|((before, after), wall)| Counted::between(&before, &after, wall));
        if let Some(counted) = &mut counted {
            let gateway = gateway_before.zip(gateway_after);
            counted.spent.gateway = gateway.and_then(|(before, after)| after.since(before));
        }
        (round, counted)
    }
}

fn completion(prompt: String, max_tokens: u32, keeps_text: bool) -> Question {
    Question { prompt, max_tokens, keeps_text, is_chat: false }
}

/// Tells a person who waits how far it is, in place of what was told before.
fn say(text: &str) {
    let mut err = io::stderr();
    if err.is_terminal() {
        // A terminal that takes nothing more is no reason to stop.
        let _ = write!(err, "\r\x1b[K{text}").and_then(|()| err.flush());
    }
}
