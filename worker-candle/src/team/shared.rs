//! What a team's threads share, and how they meet.

use std::{
    cell::UnsafeCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    thread::Thread,
};

use impetus_runtime::waiting::awake;

/// Of `state`: members may enter.
const OPEN: u64 = 1 << 63;
/// Of `state`: one more member is in.
const ENTERED: u64 = 1;
/// Of `state`: the number of members that are in.
const INSIDE: u64 = (1 << 16) - 1;
/// Of `state`: one more round of tasks; the number fills the bits in between.
const ROUND: u64 = 1 << 16;

/// The tasks of a round, and who computes them.
#[derive(Default)]
pub(super) struct Shared {
    /// Whether a round is open, its number, and how many members are in it.
    state: AtomicU64,
    round: UnsafeCell<Option<Round>>,
    /// The next task that nobody has taken.
    next: AtomicUsize,
    /// A member's task has panicked.
    failed: AtomicBool,
    /// Where the leader sleeps, if it does.
    leader: Mutex<Option<Thread>>,
    members: Mutex<Vec<Thread>>,
    n_members: AtomicUsize,
    asleep: AtomicUsize,
}

/// The tasks of one call; the pointer is valid while a member may be inside.
#[derive(Clone, Copy)]
struct Round {
    n_tasks: usize,
    task: *const (dyn Fn(usize) + Sync),
}

/// Ends a round, also when the leader's own task panics: what the tasks borrow must not go before they end.
struct Closing<'a>(&'a Shared);

// SAFETY: `round` is written by the leader alone, and only while nobody is inside; a member reads it after it has
// entered, which the leader's opening of the round happens before. What the pointer leads to is `Sync`.
unsafe impl Sync for Shared {}
// SAFETY: as above; the pointer is not used but inside a round.
unsafe impl Send for Shared {}

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Shared {
    /// Counts a member whose thread has begun to serve.
    pub(super) fn enlist(&self, thread: Thread) {
        self.members.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        self.n_members.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn members(&self) -> usize {
        self.n_members.load(Ordering::Relaxed)
    }

    /// Members that do not sleep.
    #[cfg(test)]
    pub(super) fn awake(&self) -> usize {
        self.members() - self.asleep.load(Ordering::SeqCst)
    }

    /// Has `n_tasks` computed, some of them by the caller. There must be one leader at a time.
    pub(super) fn lead(&self, n_tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        let task: *const (dyn Fn(usize) + Sync + '_) = task;
        #[allow(clippy::transmute_ptr_to_ptr)] // a cast does not change a trait object's lifetime
        // SAFETY: only the lifetime changes. The pointer is used inside the round alone, which `Closing` ends before
        // this function returns or unwinds.
        let task = unsafe {
            std::mem::transmute::<*const (dyn Fn(usize) + Sync + '_), *const (dyn Fn(usize) + Sync + 'static)>(
                task,
            )
        };
        let round = Round { n_tasks, task };
        // SAFETY: no round is open, so that nobody reads it.
        unsafe { *self.round.get() = Some(round) };
        self.next.store(0, Ordering::Relaxed);
        self.failed.store(false, Ordering::Relaxed);
        let before = self.state.load(Ordering::Relaxed);
        self.state.store(((before + ROUND) & !INSIDE) | OPEN, Ordering::SeqCst);
        let closing = Closing(self);
        // A member counts itself asleep before it looks for a round for the last time.
        if self.asleep.load(Ordering::SeqCst) > 0 {
            self.members.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(Thread::unpark);
        }
        self.work(round);
        drop(closing);
        assert!(!self.failed.load(Ordering::Relaxed), "a compute thread's task has panicked");
    }

    /// A member's life.
    pub(super) fn serve(&self) {
        let mut done = 0;
        loop {
            let state = self.await_round(done);
            let entered =
                self.state.compare_exchange(state, state + ENTERED, Ordering::AcqRel, Ordering::Relaxed);
            if entered.is_err() {
                continue;
            }
            done = number(state);
            // SAFETY: this thread is inside an open round, so that the leader does not write.
            if let Some(round) = unsafe { *self.round.get() } {
                let worked = catch_unwind(AssertUnwindSafe(|| self.work(round)));
                if worked.is_err() {
                    self.failed.store(true, Ordering::Relaxed);
                }
            }
            let left = self.state.fetch_sub(ENTERED, Ordering::SeqCst) - ENTERED;
            if left & (OPEN | INSIDE) == 0 {
                let leader = self.leader.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(leader) = &*leader {
                    leader.unpark();
                }
            }
        }
    }

    fn work(&self, round: Round) {
        loop {
            let idx = self.next.fetch_add(1, Ordering::Relaxed);
            if idx >= round.n_tasks {
                return;
            }
            // SAFETY: whoever works is the leader or inside the round, which ends before what the tasks borrow does.
            unsafe { (*round.task)(idx) };
        }
    }

    /// Waits for an open round with another number than `done`.
    fn await_round(&self, done: u64) -> u64 {
        let found = || {
            let state = self.state.load(Ordering::Acquire);
            (state & OPEN != 0 && number(state) != done).then_some(state)
        };
        if let Some(state) = awake(found) {
            return state;
        }
        self.asleep.fetch_add(1, Ordering::SeqCst);
        let state = loop {
            let state = self.state.load(Ordering::SeqCst);
            if state & OPEN != 0 && number(state) != done {
                break state;
            }
            std::thread::park();
        };
        self.asleep.fetch_sub(1, Ordering::SeqCst);
        state
    }

    /// Lets nobody in any more, and waits until nobody is inside.
    fn close(&self) {
        self.state.fetch_and(!OPEN, Ordering::SeqCst);
        let empty = || (self.state.load(Ordering::Acquire) & INSIDE == 0).then_some(());
        if awake(empty).is_some() {
            return;
        }
        *self.leader.lock().unwrap_or_else(PoisonError::into_inner) = Some(std::thread::current());
        while self.state.load(Ordering::SeqCst) & INSIDE != 0 {
            std::thread::park();
        }
        *self.leader.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn number(state: u64) -> u64 {
    (state & !OPEN) / ROUND
}
