//! What a worker counts. Written by the engine's thread, read by anybody; each number is exact by itself, two of
//! them together may be of different moments.

mod stages;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use impetus_proto::worker::Stats;

pub(crate) use stages::Stage;

use stages::Stages;

/// Counters since the worker's start, and gauges of now.
#[derive(Default)]
pub struct Counters {
    ticks: AtomicU64,
    steps: AtomicU64,
    step_us: AtomicU64,
    longest_step_us: AtomicU64,
    step_tokens: AtomicU32,
    largest_step_tokens: AtomicU32,
    prompt_tokens: AtomicU64,
    cached_tokens: AtomicU64,
    completion_tokens: AtomicU64,
    guessed_tokens: AtomicU64,
    accepted_tokens: AtomicU64,
    drafted_tokens: AtomicU64,
    accepted_draft_tokens: AtomicU64,
    draft_steps: AtomicU64,
    draft_us: AtomicU64,
    restored_tokens: AtomicU64,
    prefix_ram_bytes: AtomicU64,
    prefix_ram_peak_bytes: AtomicU64,
    prefix_room_bytes: AtomicU64,
    prefix_file_bytes: AtomicU64,
    preemptions: AtomicU64,
    finished: AtomicU64,
    cancelled: AtomicU64,
    slots_total: AtomicU32,
    slots_busy: AtomicU32,
    waiting: AtomicU32,
    blocked: AtomicU32,
    stages: Stages,
    /// The engine's thread saves or restores a slot.
    copies: AtomicBool,
    copies_ended: AtomicU64,
    on_busy_change: Mutex<Option<Box<dyn Fn() + Send>>>,
}

/// How far a worker is, and what its steps are like, as a `Tick` says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// Steps that ended, those of a draft model as well, and saves and restores of a slot.
    pub steps: u64,
    /// Sequences that wait for a step; those that wait for their reader or for a slot do not. At least one while a slot is
    /// saved or restored. While this is not zero, `steps` must grow.
    pub pending: u32,
    /// Tokens of the step that runs, or of the slot that is saved or restored, which takes less than computing them; 0
    /// when nothing runs.
    pub step_tokens: u32,
    /// Tokens of the largest step that ended.
    pub largest_step_tokens: u32,
    /// How long the longest step took, in microseconds.
    pub longest_step_us: u64,
}

impl Counters {
    /// Calls `notify` whenever the worker turns from idle to busy or back.
    pub fn on_busy_change(&self, notify: impl Fn() + Send + 'static) {
        *self.on_busy_change.lock().expect("no panic happens under this lock") = Some(Box::new(notify));
    }

    /// How far the worker is. A step that runs is known before it ends, so that a long one can be told from a hang.
    pub fn pace(&self) -> Pace {
        let due = self.slots_busy.load(Relaxed).saturating_sub(self.blocked.load(Relaxed));
        Pace {
            steps: [&self.ticks, &self.draft_steps, &self.copies_ended].map(|n| n.load(Relaxed)).iter().sum(),
            pending: if self.copies.load(Relaxed) { due.max(1) } else { due },
            step_tokens: self.step_tokens.load(Relaxed),
            largest_step_tokens: self.largest_step_tokens.load(Relaxed),
            longest_step_us: self.longest_step_us.load(Relaxed),
        }
    }

    /// All of it, as the protocol says it.
    pub fn stats(&self, model: &str) -> Stats {
        Stats {
            model: model.to_owned(),
            ticks: self.ticks.load(Relaxed),
            steps: self.steps.load(Relaxed),
            prompt_tokens: self.prompt_tokens.load(Relaxed),
            cached_tokens: self.cached_tokens.load(Relaxed),
            completion_tokens: self.completion_tokens.load(Relaxed),
            preemptions: self.preemptions.load(Relaxed),
            slots_busy: self.slots_busy.load(Relaxed),
            slots_total: self.slots_total.load(Relaxed),
            waiting: self.waiting.load(Relaxed),
            finished: self.finished.load(Relaxed),
            cancelled: self.cancelled.load(Relaxed),
            step_us: self.step_us.load(Relaxed),
            guessed_tokens: self.guessed_tokens.load(Relaxed),
            accepted_tokens: self.accepted_tokens.load(Relaxed),
            restored_tokens: self.restored_tokens.load(Relaxed),
            prefix_ram_bytes: self.prefix_ram_bytes.load(Relaxed),
            prefix_ram_peak_bytes: self.prefix_ram_peak_bytes.load(Relaxed),
            prefix_room_bytes: self.prefix_room_bytes.load(Relaxed),
            prefix_file_bytes: self.prefix_file_bytes.load(Relaxed),
            stages: Some(self.stages.times()),
            drafted_tokens: self.drafted_tokens.load(Relaxed),
            accepted_draft_tokens: self.accepted_draft_tokens.load(Relaxed),
            draft_steps: self.draft_steps.load(Relaxed),
            draft_us: self.draft_us.load(Relaxed),
        }
    }

    /// A stage took so much longer.
    pub(crate) fn spent(&self, stage: Stage, time: Duration) {
        self.stages.add(stage, time);
    }

    /// Sequences in slots or waiting for one.
    pub fn n_sequences(&self) -> u32 {
        self.slots_busy.load(Relaxed) + self.waiting.load(Relaxed)
    }

    pub(crate) fn slots_total(&self, n: u32) {
        self.slots_total.store(n, Relaxed);
    }

    /// A step of this many tokens begins.
    pub(crate) fn begun(&self, n_tokens: usize) {
        self.step_tokens.store(n_tokens as u32, Relaxed);
    }

    /// The step that began has ended.
    pub(crate) fn ticked(&self, engine_time: Duration) {
        let us = engine_time.as_micros() as u64;
        self.largest_step_tokens.fetch_max(self.step_tokens.swap(0, Relaxed), Relaxed);
        self.longest_step_us.fetch_max(us, Relaxed);
        self.step_us.fetch_add(us, Relaxed);
        self.ticks.fetch_add(1, Relaxed);
    }

    /// The step that began was a draft model's, and has ended. Of its size nothing follows for those of the model itself.
    pub(super) fn drafted(&self, engine_time: Duration) {
        let us = engine_time.as_micros() as u64;
        self.step_tokens.store(0, Relaxed);
        self.longest_step_us.fetch_max(us, Relaxed);
        self.draft_us.fetch_add(us, Relaxed);
        self.draft_steps.fetch_add(1, Relaxed);
    }

    /// Runs what saves or restores so many tokens of a slot. It may take as long as a step of so many, and hang like one.
    pub(super) fn copying<T>(&self, n_tokens: usize, copy: impl FnOnce() -> T) -> T {
        self.begun(n_tokens);
        self.copies.store(true, Relaxed);
        let begun = Instant::now();
        let copied = copy();
        self.spent(Stage::Keep, begun.elapsed());
        self.copies.store(false, Relaxed);
        self.step_tokens.store(0, Relaxed);
        self.copies_ended.fetch_add(1, Relaxed);
        copied
    }

    pub(crate) fn stepped(&self) {
        self.steps.fetch_add(1, Relaxed);
    }

    pub(crate) fn prefilled(&self, tokens: u64) {
        self.prompt_tokens.fetch_add(tokens, Relaxed);
    }

    pub(super) fn cached(&self, tokens: u64) {
        self.cached_tokens.fetch_add(tokens, Relaxed);
    }

    pub(super) fn sampled(&self) {
        self.completion_tokens.fetch_add(1, Relaxed);
    }

    /// Of so many guessed tokens that were computed, these came true; a draft model guessed them, or they were found.
    pub(super) fn guessed(&self, n_guessed: usize, n_true: usize, is_drafted: bool) {
        let (n_guessed, n_true) = (n_guessed as u64, n_true as u64);
        self.guessed_tokens.fetch_add(n_guessed, Relaxed);
        self.accepted_tokens.fetch_add(n_true, Relaxed);
        if is_drafted {
            self.drafted_tokens.fetch_add(n_guessed, Relaxed);
            self.accepted_draft_tokens.fetch_add(n_true, Relaxed);
        }
    }

    /// Of the tokens that were cached, so many came from a kept prefix.
    pub(super) fn restored(&self, tokens: u64) {
        self.restored_tokens.fetch_add(tokens, Relaxed);
    }

    /// Prefixes in RAM take so many bytes more.
    pub(super) fn prefix_ram_taken(&self, bytes: u64) {
        let used = self.prefix_ram_bytes.fetch_add(bytes, Relaxed) + bytes;
        self.prefix_ram_peak_bytes.fetch_max(used, Relaxed);
    }

    /// Prefixes in RAM take so many bytes fewer.
    pub(super) fn prefix_ram_freed(&self, bytes: u64) {
        self.prefix_ram_bytes.fetch_sub(bytes, Relaxed);
    }

    /// Bytes that prefixes in RAM take now.
    pub(super) fn prefix_ram_bytes(&self) -> u64 {
        self.prefix_ram_bytes.load(Relaxed)
    }

    /// Prefixes in RAM may take so many bytes from now on.
    pub(super) fn prefix_room(&self, bytes: u64) {
        self.prefix_room_bytes.store(bytes, Relaxed);
    }

    /// Prefixes in the file take so many bytes now.
    pub(super) fn prefix_file(&self, bytes: u64) {
        self.prefix_file_bytes.store(bytes, Relaxed);
    }

    pub(super) fn preempted(&self) {
        self.preemptions.fetch_add(1, Relaxed);
    }

    pub(crate) fn finished(&self) {
        self.finished.fetch_add(1, Relaxed);
    }

    pub(crate) fn cancelled(&self, n: u64) {
        self.cancelled.fetch_add(n, Relaxed);
    }

    pub(crate) fn load(&self, running: usize, waiting: usize, blocked: usize) {
        let was_busy = self.n_sequences() > 0;
        self.waiting.store(waiting as u32, Relaxed);
        self.slots_busy.store(running as u32, Relaxed);
        self.blocked.store(blocked as u32, Relaxed);
        if was_busy != (running + waiting > 0)
            && let Some(notify) = &*self.on_busy_change.lock().expect("no panic happens under this lock")
        {
            notify();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_and_the_largest_step_are_kept() {
        let counters = Counters::default();
        let check = |n_tokens: usize, ms: u64, steps: u64, largest: u32, longest_ms: u64| {
            counters.begun(n_tokens);
            assert_eq!(counters.pace().step_tokens, n_tokens as u32);
            counters.ticked(Duration::from_millis(ms));
            let expected = Pace {
                steps,
                largest_step_tokens: largest,
                longest_step_us: longest_ms * 1000,
                ..Pace::default()
            };
            assert_eq!(counters.pace(), expected);
        };
        check(3, 20, 1, 3, 20);
        check(512, 10, 2, 512, 20);
        check(1, 30, 3, 512, 30);
    }

    #[test]
    fn a_save_is_work_that_has_to_end() {
        let counters = Counters::default();
        counters.begun(8);
        counters.ticked(Duration::from_millis(5));
        for (running, pending) in [(0, 1), (3, 3)] {
            counters.load(running, 0, 0);
            let before = counters.pace();
            let during = counters.copying(100, || counters.pace());
            assert_eq!(during, Pace { pending, step_tokens: 100, ..before });
            let after = counters.pace();
            assert_eq!(after, Pace { steps: before.steps + 1, ..before }, "it says nothing of steps");
        }
    }
}
