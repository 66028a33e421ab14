//! Guesses of a draft model: a small model of the same vocabulary that says what the large one may say next. What it
//! says is checked like any other guess, so that it changes how long an output takes and nothing else.
//!
//! Its slots are those of the engine. What they hold is made to follow only when a sequence is to be guessed for, and is
//! computed in pieces where that is much; until then the sequence goes on without.

mod slots;
#[cfg(test)]
mod tests;
mod worth;

use std::time::{Duration, Instant};

use crate::{
    engine::{Batch, Limits, Rows, StepError, TextEngine, TokenId, Want},
    sampling::softmax,
    scheduler::{Counters, Running, stretch::Stretch},
};
use slots::Slots;
use worth::Worth;

/// What the most probable token has to have to be a guess.
const LEAST_PROBABILITY: f64 = 0.7;

/// Tokens that are made up for beside a step as long as it is not known what they take.
const FIRST_TOKENS: usize = 64;

/// Times that an engine may be unable to forget what it guessed before it guesses no more: it may lack memory for once.
const MAX_NOT_FORGOTTEN: u32 = 3;

/// A draft model on an engine of its own.
pub struct Draft {
    engine: Box<dyn TextEngine>,
    limits: Limits,
    /// Tokens that both models have.
    vocabulary: usize,
    slots: Slots,
    batch: Batch,
    rows: Rows,
    /// Places in `running` of the sequences to guess for, in the order of their slots.
    asked: Vec<usize>,
    /// How much may be made up for beside a step.
    stretch: Stretch,
    worth: Worth,
    /// Prompts are computed in this step, which is as long by them as it may become.
    is_beside_prompts: bool,
    /// What the guesses of this tick took; none where there are none.
    spent: Option<Duration>,
    /// What all of its steps in this tick took.
    took: Duration,
    not_forgotten: u32,
}

/// What a step has brought, for who has guessed in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outcome {
    /// Sequences that decode, and tokens of prompts beside them.
    pub(super) n_decoding: usize,
    pub(super) n_prefilled: usize,
    /// Tokens that were guessed for them by whatever way, and those that came true.
    pub(super) n_guessed: usize,
    pub(super) n_true: usize,
    pub(super) took: Duration,
}

/// Why a draft model cannot go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum DraftError {
    #[error(transparent)]
    Step(StepError),
    #[error("the engine cannot take back what it guessed")]
    NotForgotten,
}

impl Draft {
    /// A draft model of one whose engine has the limits `of`. A step of decoding sequences becomes at most `stretch` times
    /// as long by what is made up for beside it; 0 is without bound.
    pub fn new(engine: Box<dyn TextEngine>, of: Limits, stretch: f64) -> Self {
        let limits = engine.limits();
        let (mut batch, mut rows) = (Batch::default(), Rows::new(limits.vocabulary));
        batch.reserve(limits.tokens_per_step as usize);
        rows.reserve(limits.chunks_per_step.min(limits.slots) as usize);
        Self {
            slots: Slots::new(limits),
            engine,
            limits,
            vocabulary: limits.vocabulary.min(of.vocabulary) as usize,
            batch,
            rows,
            asked: Vec::new(),
            stretch: Stretch::new(stretch),
            worth: Worth::default(),
            is_beside_prompts: false,
            spent: None,
            took: Duration::ZERO,
            not_forgotten: 0,
        }
    }

    /// The same, which guesses whatever that takes.
    #[cfg(test)]
    pub(super) fn at_any_price(mut self) -> Self {
        self.worth = Worth::at_any_price();
        self
    }

    /// A new step, with prompts in it or without: nobody has asked yet.
    pub(super) fn begin(&mut self, is_beside_prompts: bool) {
        self.asked.clear();
        self.is_beside_prompts = is_beside_prompts;
        self.spent = None;
        self.took = Duration::ZERO;
    }

    /// How much longer this tick has become by it.
    pub(super) fn took(&self) -> Duration {
        self.took
    }

    /// The sequence at this place in `running` is to be guessed for.
    pub(super) fn ask(&mut self, running: usize) {
        self.asked.push(running);
    }

    /// Whether anybody has asked.
    pub(super) fn is_asked(&self) -> bool {
        !self.asked.is_empty()
    }

    /// Guesses `n` tokens for each of those that asked, or as many as are probable for all of them; answers how many.
    /// Some may have got one more.
    pub(super) fn guess(
        &mut self,
        running: &mut [Running],
        n: usize,
        counters: &Counters,
    ) -> Result<usize, DraftError> {
        let n_asked = self.asked.len();
        let too_many = n_asked > self.limits.chunks_per_step as usize;
        if too_many || !self.worth.pays() {
            return Ok(0);
        }
        self.asked.sort_unstable_by_key(|&member| running[member].slot);
        let mut n_due = 0;
        for &member in &self.asked {
            let Running { sequence, slot } = &running[member];
            let (owner, tokens) = (sequence.owner(), sequence.tokens());
            if !self.slots.can_hold(*slot, tokens.len() + n) {
                return Ok(0);
            }
            let has_followed = self.slots.follow(&mut *self.engine, *slot, owner, tokens);
            self.not_forgotten += u32::from(!has_followed);
            let due = self.slots.due(*slot, tokens);
            if due.iter().any(|token| token.0 as usize >= self.vocabulary) {
                return Ok(0);
            }
            n_due += due.len();
        }
        if self.not_forgotten >= MAX_NOT_FORGOTTEN {
            return Err(DraftError::NotForgotten);
        }
        // What guesses leave to be made up for belongs to their price; whatever is more does not.
        let of_guesses = n_asked * (n + 2);
        if n_due > of_guesses.min(self.limits.tokens_per_step as usize) {
            if !self.is_beside_prompts {
                self.catch_up(running, self.stretch.tokens_or(FIRST_TOKENS).max(of_guesses), counters)?;
            }
            return Ok(0);
        }
        self.spent = Some(Duration::ZERO);
        for n_guessed in 0..n {
            let Some(took) = self.extend(running, counters)? else { return Ok(0) };
            self.spent = self.spent.map(|spent| spent + took);
            if !self.take(running) {
                return Ok(n_guessed);
            }
        }
        Ok(n)
    }

    /// Learns what came of the step from what it took.
    pub(super) fn learn(&mut self, outcome: &Outcome) {
        let Outcome { n_decoding, n_prefilled, n_guessed, n_true, took } = *outcome;
        let spent = self.spent.take();
        if n_prefilled > 0 || n_decoding == 0 {
            return;
        }
        self.stretch.learn(n_decoding, 0, took);
        let tokens = 1.0 + n_true as f64 / n_decoding as f64;
        match spent {
            Some(spent) => self.worth.learn_drafted((spent + took).as_secs_f64() / tokens),
            None if n_guessed == 0 => self.worth.learn_plain(took.as_secs_f64()),
            // What was looked up is no matter of this model.
            None => {}
        }
    }

    /// Computes `room` tokens of what its slots lack, but for the last of each, whose row is wanted when it is computed.
    fn catch_up(&mut self, running: &[Running], room: usize, counters: &Counters) -> Result<(), DraftError> {
        self.batch.clear();
        let mut room = room.min(self.limits.tokens_per_step as usize);
        for &member in &self.asked {
            let Running { sequence, slot } = &running[member];
            let due = self.slots.due(*slot, sequence.tokens());
            let n = due.len().saturating_sub(1).min(room);
            if n > 0 {
                self.batch.push(*slot, self.slots.held(*slot) as u32, &due[..n], Want::Nothing);
                room -= n;
            }
        }
        let n_tokens = self.batch.n_tokens();
        if n_tokens > 0
            && let Some(took) = self.step(counters)?
        {
            self.stretch.learn(0, n_tokens, took);
        }
        Ok(())
    }

    /// Computes what its slots lack of the sequences and of the guesses so far; none where there is no room for that.
    fn extend(&mut self, running: &[Running], counters: &Counters) -> Result<Option<Duration>, DraftError> {
        self.batch.clear();
        for &member in &self.asked {
            let Running { sequence, slot } = &running[member];
            let (held, n_known) = (self.slots.held(*slot), sequence.tokens().len());
            let known = self.slots.due(*slot, sequence.tokens());
            self.batch.push(*slot, held as u32, known, Want::Last);
            self.batch.extend_last(&sequence.guessed()[held.saturating_sub(n_known)..]);
        }
        self.step(counters)
    }

    /// Takes the most probable token of each row for a guess, while it is probable enough; whether all are.
    fn take(&self, running: &mut [Running]) -> bool {
        self.asked.iter().enumerate().all(|(row, &member)| {
            let guess = probable(&self.rows.row(row)[..self.vocabulary]);
            guess.inspect(|token| running[member].sequence.push_guess(*token)).is_some()
        })
    }

    /// Computes the batch; none where the cache is full, which is empty then.
    fn step(&mut self, counters: &Counters) -> Result<Option<Duration>, DraftError> {
        self.rows.clear();
        counters.begun(self.batch.n_tokens());
        let begun = Instant::now();
        let result = self.engine.step(&self.batch, &mut self.rows);
        let took = begun.elapsed();
        counters.drafted(took);
        self.took += took;
        match result {
            Ok(()) => {
                for chunk in self.batch.chunks() {
                    self.slots.extend(chunk.slot, self.batch.tokens(chunk));
                }
                Ok(Some(took))
            }
            Err(StepError::KvFull) => {
                self.slots.clear(&mut *self.engine);
                self.worth.hold_off();
                Ok(None)
            }
            Err(error) => Err(DraftError::Step(error)),
        }
    }
}

/// The most probable token, if it is probable enough.
fn probable(logits: &[f32]) -> Option<TokenId> {
    let highest = softmax::largest(logits);
    let total = softmax::total(logits, highest);
    // Not so where no logit is a number.
    let is_probable = highest.is_finite() && total * LEAST_PROBABILITY <= 1.0;
    let token = logits.iter().position(|&logit| logit >= highest).filter(|_| is_probable)?;
    Some(TokenId(token as u32))
}
