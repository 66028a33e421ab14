//! Continuous batching: which sequences live in which slots, and what each engine step computes.
//!
//! One synchronous [`Scheduler::tick`] on the engine's thread, which owns everything here; no lock, no clock, no
//! channel but those the sequences bring. A tick looks after cancelled sequences, admits waiting ones, composes
//! a batch, steps the engine, samples, and sends what came of it.

mod counters;
mod echo;
mod event;
mod guess;
mod keeper;
mod prefixes;
mod sequence;
mod slots;
#[cfg(test)]
mod tests;

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

pub use counters::{Counters, Pace};
pub use prefixes::Prefixes;
pub use event::{Ending, Event, FinishReason, Said, Timings, Usage};
pub use sequence::{Sequence, SequenceParams};

use crate::{
    engine::{Batch, Limits, Rows, SlotId, StepError, TextEngine, Want},
    scheduler::{
        guess::Share,
        keeper::Keeper,
        prefixes::{Filing, Found},
        slots::{Claim, Slots},
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

/// What came of a look for something to keep in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// A slot's content was saved: look again.
    Kept,
    /// The writer is behind: look again soon.
    Busy,
    /// Another process has the file: look again later.
    Locked,
    /// There is nothing to keep, or no place for it.
    Nothing,
}

/// What a scheduler is told of how to go about it; the default is the plainest way.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SchedulerSettings {
    /// Tokens that are guessed for a sequence at most in one step; 0: none.
    pub lookup_tokens: u32,
}

/// All sequences of a worker.
pub struct Scheduler {
    limits: Limits,
    slots: Slots,
    keeper: Keeper,
    running: Vec<Running>,
    waiting: VecDeque<Sequence>,
    batch: Batch,
    /// The sequences of the batch, a chunk each.
    members: Vec<Member>,
    rows: Rows,
    guesses: Share,
    /// A sequence was preempted: nobody is admitted until another one has left its slot, or the same would happen
    /// again at once.
    crowded: bool,
    /// Where the next batch begins among `running`, so that none is left out for good.
    next: usize,
    counters: Arc<Counters>,
}

/// A sequence's part in a batch.
#[derive(Clone, Copy)]
struct Member {
    /// Its place in `running`.
    running: usize,
    /// Tokens that are known.
    n_tokens: usize,
    want: Want,
    /// Tokens behind them that are guessed.
    n_guessed: usize,
}

/// What a step can still take.
#[derive(Clone, Copy)]
struct Room {
    tokens: usize,
    /// Rows of tokens that are known already.
    rows: usize,
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
        Self {
            limits,
            slots: Slots::new(limits.slots),
            keeper: Keeper::default(),
            running: Vec::new(),
            waiting: VecDeque::new(),
            batch: Batch::default(),
            members: Vec::new(),
            rows: Rows::new(limits.vocabulary),
            guesses: Share::new(settings.lookup_tokens),
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
        self.waiting.push_back(sequence);
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

    /// A sequence whose stream was dropped ends here, wherever it stands; its slot keeps its tokens for reuse.
    fn drop_cancelled(&mut self) {
        let before = self.waiting.len() + self.running.len();
        self.waiting.retain(|sequence| !sequence.is_cancelled());
        self.running.retain(|running| {
            let keep = !running.sequence.is_cancelled();
            if !keep {
                self.slots.release(running.slot);
            }
            keep
        });
        let n_cancelled = before - self.waiting.len() - self.running.len();
        self.crowded &= n_cancelled == 0;
        self.counters.cancelled(n_cancelled as u64);
    }

    /// Gives free slots to those that wait longest, each the slot whose tokens serve it best.
    fn admit(&mut self, engine: &mut dyn TextEngine, now: Instant) {
        if self.crowded && !self.running.is_empty() {
            return;
        }
        while let Some(sequence) = self.waiting.front() {
            let (owner, tokens, first_row) = (sequence.owner(), sequence.tokens(), sequence.first_row());
            let Some(claim) = self.slots.claim(owner, tokens, first_row) else { return };
            let found = self.keeper.find(owner, &tokens[..first_row], claim.length as usize);
            let kept = found.as_ref().and_then(|found| self.slots.claim_oldest(found.length));
            let claim = kept.unwrap_or(claim);
            let mut sequence = self.waiting.pop_front().expect("the front was looked at just now");
            let held = self.prepare(engine, &claim, found.as_ref());
            self.slots.hold(claim.slot, sequence.owner(), sequence.tokens(), held);
            self.counters.cached(u64::from(held));
            let longest = sequence.reserve(self.limits.context_tokens);
            self.slots.reserve(claim.slot, longest);
            sequence.admitted(now, held);
            self.running.push(Running { sequence, slot: claim.slot });
        }
    }

    /// Makes the engine's slot hold what the claim says, of what was `found` if anything was, or nothing where the
    /// engine cannot; returns the tokens that need not be computed. What the slot loses is kept.
    fn prepare(&mut self, engine: &mut dyn TextEngine, claim: &Claim, found: Option<&Found>) -> u32 {
        let is_cut = found.is_none() && claim.copy_from.is_none();
        if self.slots.is_loss(claim.slot, if is_cut { claim.length } else { 0 }) {
            self.keep(engine, claim.slot);
        }
        let held = match (found, claim.copy_from) {
            (Some(found), _) => self.keeper.restore(engine, claim.slot, found),
            (None, Some(from)) => engine.kv_copy(from, claim.slot, claim.length),
            (None, None) if claim.length == 0 => {
                engine.kv_clear(claim.slot);
                Ok(())
            }
            (None, None) => engine.kv_truncate(claim.slot, claim.length),
        };
        if held.is_err() {
            engine.kv_clear(claim.slot);
            return 0;
        }
        if found.is_some() {
            self.counters.restored(claim.length.into());
        }
        claim.length
    }

    /// Saves what `slot` holds, which it is about to lose.
    fn keep(&self, engine: &dyn TextEngine, slot: SlotId) {
        let (owner, tokens) = self.slots.content(slot);
        self.keeper.keep(engine, slot, owner, tokens);
    }

    /// Saves what one of the idle slots holds and the file does not; to be called when there is nothing else to do.
    pub fn keep_idle(&mut self, engine: &dyn TextEngine) -> Keeping {
        while let Some(slot) = self.slots.next_unoffered() {
            match self.keeper.filing() {
                Filing::Absent => return Keeping::Nothing,
                Filing::Locked => return Keeping::Locked,
                Filing::Busy => return Keeping::Busy,
                Filing::Done => {}
            }
            self.slots.offered(slot);
            let (owner, tokens) = self.slots.content(slot);
            if self.keeper.file(engine, slot, owner, tokens) {
                return Keeping::Kept;
            }
        }
        Keeping::Nothing
    }

    /// Whether [`keep_idle`](Self::keep_idle) may have something to save.
    pub fn has_unsaved(&self) -> bool {
        self.slots.next_unoffered().is_some() && self.keeper.filing() != Filing::Absent
    }

    /// Waits until the file has all that was saved, or until `deadline`; to be called when the process is to end.
    pub fn flush(&self, deadline: Instant) {
        self.keeper.flush(deadline);
    }

    /// Saves what one sequence has computed that runs for long, so that little is lost with the process.
    fn keep_long(&mut self, engine: &dyn TextEngine) {
        let long = self.running.iter().find(|Running { sequence, slot }| {
            let (held, grown) = (self.slots.held(*slot), self.slots.n_unoffered(*slot));
            let is_due = grown >= LONG_TOKENS.max(held / LONG_PART);
            is_due && sequence.completion_tokens() >= LONG_COMPLETION_TOKENS
        });
        let Some(slot) = long.map(|running| running.slot).filter(|_| self.keeper.filing() == Filing::Done) else {
            return;
        };
        self.slots.offered(slot);
        let (owner, tokens) = self.slots.content(slot);
        self.keeper.file(engine, slot, owner, tokens);
    }

    /// Fills the batch: first a token for every sequence that decodes, so that prompts do not hold them up, then
    /// chunks of prompts while there is room. A sequence whose reader is behind is left out. The chunks go in
    /// ascending order of their slots, since engines compute neighbours together (llama.cpp those alone).
    fn compose(&mut self) {
        self.batch.clear();
        self.members.clear();
        let n = self.running.len();
        if n == 0 {
            return;
        }
        let mut room = Room::of(self.limits);
        for prefill in [false, true] {
            for step in 0..n {
                let member = (self.next + step) % n;
                let Running { sequence, slot } = &self.running[member];
                let held = self.slots.held(*slot);
                let is_prefill = sequence.tokens().len() - held > 1;
                let full = self.members.len() >= self.limits.chunks_per_step as usize;
                if full || is_prefill != prefill || !sequence.has_reader_room() {
                    continue;
                }
                let (n_tokens, want) = room.take(sequence.tokens().len(), held, sequence.first_row());
                if n_tokens > 0 {
                    self.members.push(Member { running: member, n_tokens, want, n_guessed: 0 });
                }
            }
        }
        self.next = (self.next + 1) % n;
        self.fill(room);
    }

    /// Puts the members' tokens into the batch, and guesses where one token of a sequence is due and there is `room`.
    fn fill(&mut self, room: Room) {
        let Self { members, running, .. } = self;
        members.sort_unstable_by_key(|member| running[member.running].slot);
        let decodes = |member: &Member| member.n_tokens == 1 && member.want == Want::Last;
        let share = self.guesses.next(members.iter().filter(|member| decodes(member)).count(), room);
        for member in members {
            let Running { sequence, slot } = &mut running[member.running];
            let held = self.slots.held(*slot);
            if share > 0 && decodes(member) {
                member.n_guessed = sequence.guess(share, self.guesses.most(), self.limits.context_tokens);
            }
            let tokens = &sequence.tokens()[held..held + member.n_tokens];
            if member.n_guessed == 0 {
                self.batch.push(*slot, held as u32, tokens, member.want);
            } else {
                self.batch.push(*slot, held as u32, tokens, Want::All);
                self.batch.extend_last(sequence.guessed());
            }
        }
    }

    fn step(&mut self, engine: &mut dyn TextEngine, now: Instant) -> Result<(), Fatal> {
        self.rows.clear();
        self.counters.begun(self.batch.n_tokens());
        let begun = Instant::now();
        let result = engine.step(&self.batch, &mut self.rows);
        self.counters.ticked(begun.elapsed());
        match result {
            Ok(()) => self.accept(engine, now + begun.elapsed()),
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
                self.guesses.stop();
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

    /// Makes room in the KV cache: what an idle slot holds goes first. Then the sequence that was admitted last
    /// loses its slot; it waits again at the front, and what it has generated is computed anew.
    fn preempt(&mut self, engine: &mut dyn TextEngine) -> Result<(), Fatal> {
        if let Some(slot) = self.slots.oldest_idle() {
            self.keep(engine, slot);
            engine.kv_clear(slot);
            self.slots.forget(slot);
            return Ok(());
        }
        let Some(Running { mut sequence, slot }) = self.running.pop() else {
            return Err(Fatal { reason: "its KV cache is full without a sequence in it".into() });
        };
        self.keep(engine, slot);
        engine.kv_clear(slot);
        self.slots.forget(slot);
        self.slots.release(slot);
        if self.running.is_empty() {
            sequence.fail("the KV cache is too small for this request alone");
        } else {
            self.counters.preempted();
            self.crowded = true;
            self.waiting.push_front(sequence);
        }
        Ok(())
    }

    fn reject(&mut self, engine: &mut dyn TextEngine, rejected: &[SlotId], reason: &str) {
        self.running.retain_mut(|running| {
            let keep = !rejected.contains(&running.slot);
            if !keep {
                engine.kv_clear(running.slot);
                self.slots.forget(running.slot);
                self.slots.release(running.slot);
                running.sequence.fail(reason);
                self.counters.finished();
            }
            keep
        });
    }

    fn publish(&self) {
        let blocked = self.running.iter().filter(|running| !running.sequence.has_reader_room()).count();
        self.counters.load(self.running.len(), self.waiting.len(), blocked);
    }
}

impl Room {
    fn of(limits: Limits) -> Self {
        let row_bytes = limits.vocabulary as usize * size_of::<f32>();
        let rows = (KNOWN_ROWS_BYTES / row_bytes.max(1)).max(1);
        Self { tokens: limits.tokens_per_step as usize, rows }
    }

    /// How many of a sequence's `n_tokens` tokens, of which its slot holds `held`, the step takes, and which of their
    /// rows it gives, where those from `first_row` on are needed.
    fn take(&mut self, n_tokens: usize, held: usize, first_row: usize) -> (usize, Want) {
        let n_due = n_tokens - held;
        let (n_taken, want) = if first_row + 1 == n_tokens {
            let n_taken = n_due.min(self.tokens);
            (n_taken, if n_taken == n_due { Want::Last } else { Want::Nothing })
        } else if held < first_row {
            ((first_row - held).min(self.tokens), Want::Nothing)
        } else {
            let n_taken = n_due.min(self.tokens).min(self.rows);
            self.rows -= n_taken;
            (n_taken, Want::All)
        };
        self.tokens -= n_taken;
        (n_taken, want)
    }
}

/// Bytes of the rows of tokens that are known already, which one step may give: a row of 128,000 logits has 512 KB.
const KNOWN_ROWS_BYTES: usize = 16 << 20;

/// A sequence that runs is saved when it has so many more tokens, and so large a part more, and has generated so many:
/// what is short is saved when it has ended, and saving holds the others up.
const LONG_TOKENS: usize = 1024;
const LONG_PART: usize = 4;
const LONG_COMPLETION_TOKENS: u32 = 256;

/// How long the engine's thread waits before it looks whether readers have caught up.
pub const BLOCKED_PAUSE: Duration = Duration::from_millis(1);
