//! Threads that choose tokens beside the engine's thread, while the engine rests between two steps.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

/// Logits of all rows together from which on it pays to wake other threads.
const LEAST_LOGITS: usize = 1 << 16;

/// Something to do, on any thread.
pub(super) trait Job: Send + 'static {
    fn run(&mut self);
}

/// The threads, started when they are first needed; they end when this is dropped.
pub(super) struct Pool<J: Job> {
    /// How many work at once, whoever brings the work among them.
    threads: usize,
    shared: Option<Arc<Shared<J>>>,
}

struct Shared<J> {
    state: Mutex<State<J>>,
    /// There is a job, or nothing more to come.
    work: Condvar,
    /// The last job is done.
    done: Condvar,
}

struct State<J> {
    waiting: Vec<J>,
    done: Vec<J>,
    /// Jobs that another thread is at.
    n_running: usize,
    /// What a job panicked with.
    panic: Option<Box<dyn Any + Send>>,
    is_over: bool,
}

impl<J: Job> Pool<J> {
    pub(super) fn new(threads: u32) -> Self {
        Self { threads: threads.max(1) as usize, shared: None }
    }

    /// Whether so many rows of `width` logits are better shared.
    pub(super) fn pays(&self, rows: usize, width: u32) -> bool {
        self.threads > 1 && rows > 1 && rows * width as usize >= LEAST_LOGITS
    }

    /// Does all `jobs`, whose order changes. A panic in one of them is the caller's, wherever it happened, once no other
    /// one runs; the jobs are gone then, and the threads are there for the next ones.
    pub(super) fn run(&mut self, jobs: &mut Vec<J>) {
        let n_helpers = (self.threads - 1).min(jobs.len().saturating_sub(1));
        if n_helpers == 0 {
            return jobs.iter_mut().for_each(J::run);
        }
        let shared = self.shared.get_or_insert_with(|| start(self.threads - 1));
        let mut state = shared.lock();
        state.waiting.append(jobs);
        for _ in 0..n_helpers {
            shared.work.notify_one();
        }
        while let Some(mut job) = state.waiting.pop() {
            drop(state);
            let outcome = run(&mut job);
            state = shared.lock();
            state.ended(job, outcome);
        }
        while state.n_running > 0 {
            state = shared.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if let Some(panic) = state.panic.take() {
            state.done.clear();
            drop(state);
            resume_unwind(panic);
        }
        jobs.append(&mut state.done);
    }
}

impl<J: Job> Drop for Pool<J> {
    fn drop(&mut self) {
        if let Some(shared) = &self.shared {
            shared.lock().is_over = true;
            shared.work.notify_all();
        }
    }
}

impl<J> State<J> {
    fn ended(&mut self, job: J, outcome: thread::Result<()>) {
        match outcome {
            Ok(()) => self.done.push(job),
            Err(panic) => self.panic = Some(panic),
        }
    }
}

impl<J: Job> Shared<J> {
    fn lock(&self) -> MutexGuard<'_, State<J>> {
        // Nothing panics under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread does as long as there may be work.
    fn help(&self) {
        let mut state = self.lock();
        while !state.is_over {
            let Some(mut job) = state.waiting.pop() else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            state.n_running += 1;
            drop(state);
            let outcome = run(&mut job);
            state = self.lock();
            state.n_running -= 1;
            state.ended(job, outcome);
            if state.n_running == 0 {
                self.done.notify_one();
            }
        }
    }
}

/// Runs a job, whose panic stays within it.
fn run(job: &mut impl Job) -> thread::Result<()> {
    catch_unwind(AssertUnwindSafe(|| job.run()))
}

/// Starts so many threads, or as many as the system has to spare: whoever brings work does what nobody else does.
fn start<J: Job>(threads: usize) -> Arc<Shared<J>> {
    let state = State { waiting: Vec::new(), done: Vec::new(), n_running: 0, panic: None, is_over: false };
    let shared = Shared { state: Mutex::new(state), work: Condvar::new(), done: Condvar::new() };
    let shared = Arc::new(shared);
    for _ in 0..threads {
        let helped = Arc::clone(&shared);
        let thread = thread::Builder::new().name("sample".to_owned());
        if thread.spawn(move || helped.help()).is_err() {
            break;
        }
    }
    shared
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Doubles a number; panics at zero.
    #[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Double(u64, Option<u64>);

    impl Job for Double {
        fn run(&mut self) {
            assert_ne!(self.0, 0, "on purpose");
            self.1 = Some(self.0 * 2);
        }
    }

    fn check(pool: &mut Pool<Double>, n: u64) {
        let mut jobs: Vec<Double> = (1..=n).map(|number| Double(number, None)).collect();
        pool.run(&mut jobs);
        jobs.sort_unstable();
        assert!(jobs.into_iter().eq((1..=n).map(|number| Double(number, Some(2 * number)))), "{n}");
    }

    #[test]
    fn every_job_comes_back_done() {
        for threads in [0, 1, 2, 5] {
            let mut pool = Pool::new(threads);
            for n in [0, 1, 2, 50, 3, 200] {
                check(&mut pool, n);
            }
        }
    }

    #[test]
    fn threads_are_woken_where_it_pays() {
        let check = |threads: u32, rows: usize, width: u32, expected: bool| {
            let pool = Pool::<Double>::new(threads);
            assert_eq!(pool.pays(rows, width), expected, "{threads} {rows} {width}");
        };
        check(2, 2, 128_000, true);
        check(0, 16, 128_000, false);
        check(1, 16, 128_000, false);
        check(2, 1, 128_000, false);
        check(2, 16, 257, false);
        check(2, 16, 4096, true);
    }

    #[test]
    fn a_panic_is_the_callers_wherever_it_happens() {
        for threads in [1, 4] {
            let mut pool = Pool::new(threads);
            let mut jobs = (0..64).map(|number| Double(number, None)).collect();
            assert!(catch_unwind(AssertUnwindSafe(|| pool.run(&mut jobs))).is_err(), "{threads}");
            // Nothing is left of it.
            check(&mut pool, 50);
        }
    }
}
