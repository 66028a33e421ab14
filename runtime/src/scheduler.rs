//! Continuous batching: which sequences live in which slots, and what each engine step computes.
//!
//! One synchronous [`Scheduler::tick`] on the engine's thread, which owns everything here; no lock, no clock, no
//! channel but those the sequences bring. A tick looks after cancelled sequences, admits waiting ones, composes
//! a batch, steps the engine, samples, and sends what came of it.

mod acceptance;
mod admission;
mod chooser;
mod composition;
mod counters;
mod draft;
mod echo;
mod event;
mod guess;
mod keeper;
mod pool;
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

pub(crate) use counters::Stage;
pub use counters::{Counters, Pace};
pub use draft::Draft;
pub use event::{Ending, Event, FinishReason, Said, Timings, Usage};
pub use prefixes::Prefixes;
pub use saving::Keeping;
pub use sequence::{Sequence, SequenceParams};

use crate::{
    engine::{Batch, Limits, Rows, SlotId, StepError, TextEngine},
    scheduler::{
        acceptance::{Reading, Row},
        composition::{Member, Room},
        draft::Outcome,
        guess::Share,
        keeper::Keeper,
        pool::Pool,
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
    /// Tokens that are looked up for a sequence at most in one step; 0: none.
    pub lookup_tokens: u32,
    /// Tokens that a draft model guesses at most where nothing was looked up.
    pub draft_tokens: u32,
    /// How much longer prompts may make the wait for a next token, 99 times of 100, times the step without them; 0: as
    /// much as the engine takes at once.
    pub step_stretch: f64,
    /// Threads that choose tokens between two steps where there is much to do, the engine's own among them; 0: that one.
    pub sampling_threads: u32,
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
    /// Those of `running` whose prompts are not computed yet, while a batch is put together; and how often that was.
    order: Vec<usize>,
    turns: u32,
    /// How far their rows have been read.
    readings: Vec<Reading>,
    rows: Rows,
    pool: Pool<Row>,
    /// Rows that the pool is to choose from; kept for their capacity.
    lent: Vec<Row>,
    guesses: Share,
    draft: Option<Draft>,
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
        let guesses = Share::new(settings.lookup_tokens, settings.draft_tokens);
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
            order: Vec::new(),
            turns: 0,
            readings: Vec::new(),
            rows,
            pool: Pool::new(settings.sampling_threads),
            lent: Vec::new(),
            guesses: guesses.within(limits.chunk_rows),
            draft: None,
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

    /// Has `draft` guess what is not found in a sequence's own text.
    #[must_use]
    pub fn drafting(mut self, draft: Draft) -> Self {
        self.draft = Some(draft);
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
            self.counters.finished();
            sequence.finish(ending, sequence.submitted());
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
        let begun = Instant::now();
        self.compose();
        self.counters.spent(Stage::Compose, begun.elapsed());
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
                let stage = if n_prompts > 0 { Stage::Prefill } else { Stage::Decode };
                self.counters.spent(stage, took);
                let n_decoding = self.members.len() - n_prompts;
                self.stretch.learn(n_decoding, n_prefilled, took);
                let n_guessed = self.members.iter().map(|member| member.n_guessed).sum();
                let drafted = self.draft.as_ref().map_or(Duration::ZERO, Draft::took);
                let n_true = self.accept(engine, now + drafted + took);
                if let Some(draft) = &mut self.draft {
                    draft.learn(&Outcome { n_decoding, n_prefilled, n_guessed, n_true, took });
                }
            }
            Err(StepError::Fatal { reason }) => return Err(Fatal { reason }),
            // Perhaps it is the guesses that are too much: nobody is to suffer for them.
            Err(_) if self.members.iter().any(|member| member.n_guessed > 0) => self.guesses.hold_off(),
            Err(StepError::KvFull) => self.preempt(engine)?,
            Err(StepError::Rejected { slots, reason }) => self.reject(engine, &slots, &reason),
        }
        Ok(())
    }

    fn publish(&self) {
        let blocked = self.running.iter().filter(|running| !running.sequence.has_reader_room()).count();
        self.counters.load(self.running.len(), self.waiting.len(), blocked);
    }
}

/// How long the engine's thread waits before it looks whether readers have caught up.
pub const BLOCKED_PAUSE: Duration = Duration::from_millis(1);
