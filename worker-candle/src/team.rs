//! The compute threads: a team whose members share the tasks of one product at a time. The caller is one of them.
//!
//! A step is a hundred short products with hardly anything in between, so that how threads wait decides how fast it
//! is. A member waits for a few microseconds by pauses, for a millisecond by offering its processor to others, and
//! then sleeps. Nobody waits for a member that has not come yet: who is late finds the tasks done.

mod shared;

use std::{
    num::NonZero,
    sync::{Arc, Mutex, OnceLock, TryLockError},
};

use self::shared::Shared;

/// Threads that compute, of which the one that calls [`Team::run`] is one.
pub(crate) struct Team {
    shared: Arc<Shared>,
    /// Held by who has its tasks computed.
    leading: Mutex<()>,
}

static TEAM: OnceLock<Team> = OnceLock::new();

/// Starts the process's team with `threads`; false if there is one already.
pub(crate) fn start(threads: usize) -> bool {
    TEAM.set(Team::new(threads)).is_ok()
}

/// Computes tasks `0..n_tasks` by the process's team. Without one, as tests are, it has a thread for each processor.
pub(crate) fn run(n_tasks: usize, task: impl Fn(usize) + Sync) {
    team().run(n_tasks, &task);
}

/// Threads of the process's team.
pub(crate) fn threads() -> usize {
    team().threads()
}

/// Computes what lies in `pieces`, each of which is given to one call with its place. Tasks are single pieces, so
/// these should be worth it.
pub(crate) fn each<T: Send>(pieces: impl IntoIterator<Item = T>, task: impl Fn(usize, T) + Sync) {
    let pieces: Vec<Mutex<Option<T>>> = pieces.into_iter().map(|piece| Mutex::new(Some(piece))).collect();
    run(pieces.len(), |idx| {
        let piece = pieces[idx].lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(piece) = piece {
            task(idx, piece);
        }
    });
}

fn team() -> &'static Team {
    TEAM.get_or_init(|| Team::new(std::thread::available_parallelism().map_or(1, NonZero::get)))
}

impl Team {
    fn new(threads: usize) -> Self {
        let shared = Arc::new(Shared::default());
        for idx in 1..threads {
            let member = Arc::clone(&shared);
            let name = format!("compute-{idx}");
            // With fewer threads than asked for the tasks are done all the same.
            match std::thread::Builder::new().name(name).spawn(move || member.serve()) {
                Ok(thread) => shared.enlist(thread.thread().clone()),
                Err(error) => tracing::warn!(%error, "a compute thread does not start"),
            }
        }
        Self { shared, leading: Mutex::new(()) }
    }

    fn threads(&self) -> usize {
        self.shared.members() + 1
    }

    fn run(&self, n_tasks: usize, task: &(dyn Fn(usize) + Sync)) {
        // Whoever comes while the team is busy, as tests and tasks of tasks may, computes alone.
        let leading = match self.leading.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        if leading.is_none() || n_tasks < 2 || self.threads() == 1 {
            (0..n_tasks).for_each(task);
            return;
        }
        self.shared.lead(n_tasks, task);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn every_task_is_done_once() {
        let check = |threads: usize, n_tasks: usize| {
            let team = Team::new(threads);
            let counts: Vec<AtomicUsize> = (0..n_tasks).map(|_| AtomicUsize::new(0)).collect();
            for round in 1..=200 {
                team.run(n_tasks, &|idx| {
                    counts[idx].fetch_add(1, Ordering::Relaxed);
                });
                let done = counts.iter().all(|count| count.load(Ordering::Relaxed) == round);
                assert!(done, "{threads} threads, {n_tasks} tasks");
            }
        };
        for threads in 1..5 {
            for n_tasks in [0, 1, 2, 3, 40] {
                check(threads, n_tasks);
            }
        }
    }

    #[test]
    fn members_that_sleep_are_woken() {
        let team = Team::new(3);
        for _ in 0..5 {
            while team.shared.awake() > 0 {
                std::thread::yield_now();
            }
            // Each task waits for the others, so that one thread alone cannot do them.
            let met = std::sync::Barrier::new(3);
            team.run(3, &|_| {
                met.wait();
            });
        }
    }

    #[test]
    fn tasks_of_tasks_and_strangers_are_done_as_well() {
        let (team, done) = (Team::new(2), AtomicUsize::new(0));
        let count = |_: usize| {
            done.fetch_add(1, Ordering::Relaxed);
        };
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| team.run(5, &|_| team.run(3, &count)));
            }
        });
        assert_eq!(done.load(Ordering::Relaxed), 60);
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_team_goes_on() {
        let team = Team::new(3);
        for bad in 0..8 {
            let run = || team.run(8, &|idx| assert_ne!(idx, bad, "a task fails"));
            assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err());
        }
        let done = AtomicUsize::new(0);
        team.run(8, &|_| {
            done.fetch_add(1, Ordering::Relaxed);
        });
        assert_eq!(done.load(Ordering::Relaxed), 8);
    }

    #[test]
    fn pieces_are_given_to_one_each() {
        let mut values = vec![0; 1000];
        each(values.chunks_mut(7), |idx, piece| piece.fill(idx));
        assert!(values.iter().enumerate().all(|(at, &value)| value == at / 7));
    }
}
