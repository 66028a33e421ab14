//! Continuous batching: which sequences live in which slots, and what each engine step computes.
//!
//! One synchronous [`Scheduler::tick`] on the engine's thread, which owns everything here; no lock, no clock, no
//! channel but those the sequences bring. A tick looks after cancelled sequences, admits waiting ones, composes
//! a batch, steps the engine, samples, and sends what came of it.

mod admission;
mod composition;
mod counters;
mod echo;
mod event;
mod guess;
mod keeper;
mod prefixes;
mod queue;
mod saving;
mod sequence;
mod slots;
mod stretch;
#[cfg(test)]
mod tests;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub use counters::{Counters, Pace};
pub use event::{Ending, Event, FinishReason, Said, Timings, Usage};
pub use prefixes::Prefixes;
pub use saving::Keeping;
pub use sequence::{Sequence, SequenceParams};

use crate::{
    engine::{Batch, Limits, Rows, SlotId, StepError, TextEngine, Want},
    scheduler::{
        composition::{Member, Room},
        guess::Share,
        keeper::Keeper,
        queue::Queue,
        slots::Slots,
        stretch::Stretch,
    },
};

/// The engine failed for good; the process has to end.
#[derive(Debug, thiserror::Error)]
#[error("the engine failed: {reason}")]
pub struct Fatal {
    reason: String,
}

/// What a tick did, and so what the engine's thread does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// The engine computed something: tick again.
    Stepped,
    /// All sequences wait for their readers: look again soon.
    Blocked,
    /// There is nothing to do until a sequence is submitted.
    Idle,
}

/// What a scheduler is told of how to go about it; the default is the plainest way.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SchedulerSettings {
    /// Tokens that are guessed for a sequence at most in one step; 0: none.
    pub lookup_tokens: u32,
    /// How much longer prompts may make a step in which sequences decode, times the step without them; 0: as much as the
    /// engine takes at once.
    pub step_stretch: f64,
}

/// All sequences of a worker.
pub struct Scheduler {
    limits: Limits,
    slots: Slots,
    keeper: Keeper,
    running: Vec<Running>,
    waiting: Queue<Sequence>,
    batch: Batch,
    /// The sequences of the batch, a chunk each.
    members: Vec<Member>,
    rows: Rows,
    guesses: Share,
    stretch: Stretch,
    /// A sequence was preempted: nobody is admitted until another one has left its slot, or the same would happen
    /// again at once.
    crowded: bool,
    /// Where the next batch begins among `running`, so that none is left out for good.
    next: usize,
    counters: Arc<Counters>,
}

/// A sequence that has a slot.
struct Running {
    sequence: Sequence,
    slot: SlotId,
}

impl Scheduler {
    /// A scheduler for an engine with these limits.
    pub fn new(limits: Limits, settings: SchedulerSettings, counters: Arc<Counters>) -> Self {
        counters.slots_total(limits.slots);
        let guesses = Share::new(settings.lookup_tokens);
        let (mut batch, mut rows) = (Batch::default(), Rows::new(limits.vocabulary));
        batch.reserve(limits.tokens_per_step as usize);
        rows.reserve(limits.chunks_per_step.min(limits.slots) as usize + guesses.step_tokens());
        Self {
            limits,
            slots: Slots::new(limits.slots),
            keeper: Keeper::default(),
            running: Vec::new(),
            waiting: Queue::default(),
            batch,
            members: Vec::new(),
            rows,
            // The known token is one of a chunk's.
            guesses: Share::new(settings.lookup_tokens.min(limits.chunk_rows.saturating_sub(1))),
            stretch: Stretch::new(settings.step_stretch),
            crowded: false,
            next: 0,
            counters,
        }
    }

    /// Keeps in `prefixes` what slots lose, and takes from there what they lack.
    #[must_use]
    pub fn keeping(mut self, prefixes: Arc<Prefixes>) -> Self {
        self.slots.show_on(prefixes.board());
        self.keeper = Keeper::new(prefixes);
        self
    }

    /// Sequences that have no slot yet.
    pub fn n_waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Takes a sequence in, behind those that wait. One that is over already (a replay of tokens that ended it,
    /// or fill a slot) is finished here.
    pub fn submit(&mut self, mut sequence: Sequence) {
        if let Some(ending) = sequence.ended(self.limits.context_tokens) {
            sequence.finish(ending, sequence.submitted());
            self.counters.finished();
            return;
        }
        let owner = Arc::clone(sequence.owner());
        self.waiting.push(&owner, sequence.priority(), sequence);
        self.publish();
    }

    /// One turn. `now` stamps the timings of what happens in it.
    pub fn tick(&mut self, engine: &mut dyn TextEngine, now: Instant) -> Result<Turn, Fatal> {
        self.drop_cancelled();
        self.keep_long(engine);
        self.admit(engine, now);
        self.compose();
        self.publish();
        let turn = if !self.batch.is_empty() {
            self.step(engine, now)?;
            Turn::Stepped
        } else if self.running.is_empty() {
            Turn::Idle
        } else {
            Turn::Blocked
        };
        self.publish();
        Ok(turn)
    }

    fn step(&mut self, engine: &mut dyn TextEngine, now: Instant) -> Result<(), Fatal> {
        self.rows.clear();
        self.counters.begun(self.batch.n_tokens());
        let begun = Instant::now();
        let result = engine.step(&self.batch, &mut self.rows);
        let took = begun.elapsed();
        self.counters.ticked(took);
        match result {
            Ok(()) => {
                let prefill =
                    self.members.iter().map(|member| member.n_tokens).filter(|n_tokens| *n_tokens > 1);
                let (n_prefilled, n_prompts) =
                    prefill.fold((0, 0), |(sum, n), n_tokens| (sum + n_tokens, n + 1));
                self.stretch.learn(self.members.len() - n_prompts, n_prefilled, took);
                self.accept(engine, now + took);
            }
            Err(StepError::Fatal { reason }) => return Err(Fatal { reason }),
            // Perhaps it is the guesses that are too much: nobody is to suffer for them.
            Err(_) if self.members.iter().any(|member| member.n_guessed > 0) => self.guesses.hold_off(),
            Err(StepError::KvFull) => self.preempt(engine)?,
            Err(StepError::Rejected { slots, reason }) => self.reject(engine, &slots, &reason),
        }
        Ok(())
    }

    /// Hands the rows of the step to their sequences, books what was computed, and ends the sequences that are over.
    fn accept(&mut self, engine: &mut dyn TextEngine, now: Instant) {
        let mut first_row = 0;
        let mut over = Vec::new();
        for (chunk, member) in self.batch.chunks().iter().zip(&self.members) {
            let tokens = self.batch.tokens(chunk);
            let Running { sequence, slot } = &mut self.running[member.running];
            if member.n_tokens > 1 || sequence.completion_tokens() == 0 {
                self.counters.prefilled(member.n_tokens as u64);
            }
            let n_rows = match chunk.want {
                Want::Nothing => 0,
                Want::Last => 1,
                Want::All => tokens.len(),
            };
            let mut n_kept = tokens.len() - n_rows;
            let mut is_over = false;
            for row in first_row..first_row + n_rows {
                let place = chunk.position as usize + n_kept;
                // A guess that did not come true has another token in its place, or none.
                if is_over || sequence.tokens()[place] != tokens[n_kept] {
                    break;
                }
                n_kept += 1;
                let logits = self.rows.row_mut(row);
                if place + 1 < sequence.tokens().len() {
                    sequence.take_known(logits, place);
                    continue;
                }
                self.counters.sampled();
                is_over = sequence.sample(logits, self.limits.context_tokens, now);
            }
            first_row += n_rows;
            sequence.tell();
            if is_over {
                over.push(member.running);
            }
            self.slots.extend(*slot, &tokens[..n_kept]);
            if member.n_guessed > 0 {
                let n_true = n_kept - member.n_tokens;
                sequence.learn(n_true);
                self.counters.guessed(member.n_guessed, n_true);
            }
            if n_kept < tokens.len() && engine.kv_truncate(*slot, self.slots.held(*slot) as u32).is_err() {
                engine.kv_clear(*slot);
                self.slots.forget(*slot);
                self.guesses.not_forgotten();
            }
        }
        self.counters.stepped();
        over.sort_unstable();
        for &member in over.iter().rev() {
            let Running { slot, .. } = self.running.remove(member);
            self.slots.release(slot);
            self.crowded = false;
            self.counters.finished();
        }
    }

    fn publish(&self) {
        let blocked = self.running.iter().filter(|running| !running.sequence.has_reader_room()).count();
        self.counters.load(self.running.len(), self.waiting.len(), blocked);
    }
}

/// How long the engine's thread waits before it looks whether readers have caught up.
pub const BLOCKED_PAUSE: Duration = Duration::from_millis(1);
