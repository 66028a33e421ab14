//! What a worker counts. Written by the engine's thread, read by anybody; each number is exact by itself, two of
//! them together may be of different moments.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use impetus_proto::worker::Stats;

/// Counters since the worker's start, and gauges of now.
#[derive(Default)]
pub struct Counters {
    ticks: AtomicU64,
    steps: AtomicU64,
    step_us: AtomicU64,
    prompt_tokens: AtomicU64,
    cached_tokens: AtomicU64,
    completion_tokens: AtomicU64,
    preemptions: AtomicU64,
    finished: AtomicU64,
    cancelled: AtomicU64,
    slots_total: AtomicU32,
    slots_busy: AtomicU32,
    waiting: AtomicU32,
    blocked: AtomicU32,
    on_busy_change: Mutex<Option<Box<dyn Fn() + Send>>>,
}

impl Counters {
    /// Calls `notify` whenever the worker turns from idle to busy or back.
    pub fn on_busy_change(&self, notify: impl Fn() + Send + 'static) {
        *self.on_busy_change.lock().expect("no panic happens under this lock") = Some(Box::new(notify));
    }

    /// Engine steps that ended, and sequences that wait for one (those that wait for their reader or for a slot
    /// do not): while the second is not zero, the first must grow.
    pub fn progress(&self) -> (u64, u32) {
        let pending = self.slots_busy.load(Relaxed).saturating_sub(self.blocked.load(Relaxed));
        (self.ticks.load(Relaxed), pending)
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
        }
    }

    /// Sequences in slots or waiting for one.
    pub fn n_sequences(&self) -> u32 {
        self.slots_busy.load(Relaxed) + self.waiting.load(Relaxed)
    }

    pub(crate) fn slots_total(&self, n: u32) {
        self.slots_total.store(n, Relaxed);
    }

    pub(crate) fn ticked(&self, engine_time: Duration) {
        self.ticks.fetch_add(1, Relaxed);
        self.step_us.fetch_add(engine_time.as_micros() as u64, Relaxed);
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
