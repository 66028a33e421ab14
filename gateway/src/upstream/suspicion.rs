//! Whether a request is what crashes its workers: decided by the crashes that it was in alone. Those that were near a
//! request that is found out are suspects no more.

use std::collections::VecDeque;

/// Crashes without a new token in between after which a request is served alone.
const MAX_STANDSTILL: u32 = 2;

/// Crashes in all after which a request is served alone.
const MAX_TOGETHER: u32 = 3;

/// Crashes of workers that a request had to itself, when each got it further.
const MAX_ALONE: u32 = 5;

/// Workers whose crash is explained that are kept in mind.
const MAX_EXPLAINED: usize = 64;

/// The part that one request had in crashes. Ends that no request can bring about are not told to it.
#[derive(Debug, Clone, Default)]
pub(super) struct Suspicion {
    n_crashes: u32,
    /// Crashes in a row that found the request where the one before had.
    standstill: u32,
    /// How far the request had come at the last crash.
    n_done: usize,
    n_alone: u32,
    alone: bool,
    /// The workers that crashed.
    workers: Vec<String>,
}

/// Workers of which it is known which request crashed them, the latest ones.
#[derive(Debug, Default)]
pub(super) struct Explained(VecDeque<String>);

/// What follows from a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may have been any of those that the worker served: go on.
    Continue,
    /// It was this request.
    Poison,
}

impl Suspicion {
    /// Whether the request must have its next worker to itself.
    pub(super) fn is_alone(&self) -> bool {
        self.alone
    }

    /// The workers that crashed with the request in them.
    pub(super) fn workers(&self) -> &[String] {
        &self.workers
    }

    /// Whether it was another request each time.
    pub(super) fn is_explained_by(&self, explained: &Explained) -> bool {
        self.n_crashes > 0 && self.workers.iter().all(|worker| explained.0.contains(worker))
    }

    /// `worker` crashed with this request in it, which has come as far as `n_done` in all, `n_here` of that with this
    /// worker.
    pub(super) fn crashed(&mut self, worker: &str, n_done: usize, n_here: usize) -> Verdict {
        self.workers.push(worker.to_owned());
        let stands_still = self.n_crashes > 0 && n_done == self.n_done;
        self.standstill = if stands_still { self.standstill + 1 } else { 1 };
        self.n_crashes += 1;
        self.n_done = n_done;
        if self.alone {
            self.n_alone += 1;
            if n_here == 0 || self.n_alone >= MAX_ALONE {
                return Verdict::Poison;
            }
        }
        self.alone |= self.standstill >= MAX_STANDSTILL || self.n_crashes >= MAX_TOGETHER;
        Verdict::Continue
    }
}

impl Explained {
    /// Takes in the workers that one request crashed.
    pub(super) fn by(&mut self, workers: &[String]) {
        self.0.extend(workers.iter().cloned());
        let n_over = self.0.len().saturating_sub(MAX_EXPLAINED);
        self.0.drain(..n_over);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Tokens received from each crashing worker, and what is decided after the last: served together, alone, or
    /// poison.
    fn check(progress: &[usize], expected: &str) {
        let mut suspicion = Suspicion::default();
        let (mut n_done, mut verdict) = (0, Verdict::Continue);
        for &n_here in progress {
            assert_eq!(verdict, Verdict::Continue, "{progress:?} goes on after a verdict");
            n_done += n_here;
            verdict = suspicion.crashed("gguf-1", n_done, n_here);
        }
        let outcome = match verdict {
            Verdict::Poison => "poison",
            Verdict::Continue if suspicion.is_alone() => "alone",
            Verdict::Continue => "together",
        };
        assert_eq!(outcome, expected, "{progress:?}");
    }

    #[test]
    fn two_crashes_in_one_place_or_three_in_all_are_suspicious() {
        check(&[], "together");
        check(&[0], "together");
        check(&[5], "together");
        check(&[0, 0], "alone");
        check(&[5, 0], "alone");
        check(&[0, 5], "together");
        check(&[1, 1], "together");
        check(&[1, 1, 1], "alone");
        check(&[0, 0, 0], "poison");
        check(&[5, 0, 0], "poison");
        check(&[0, 0, 1], "alone");
        check(&[0, 0, 1, 0], "poison");
        check(&[0, 0, 1, 1, 1, 1], "alone");
        check(&[0, 0, 1, 1, 1, 1, 1], "poison");
    }

    #[test]
    fn another_ones_guilt_clears_who_was_in_no_other_crash() {
        let mut explained = Explained::default();
        let mut suspicion = Suspicion::default();
        assert!(!suspicion.is_explained_by(&explained), "there is nothing to explain");
        suspicion.crashed("gguf-1", 0, 0);
        suspicion.crashed("gguf-2", 0, 0);
        explained.by(&["gguf-1".into(), "onnx-1".into()]);
        assert!(!suspicion.is_explained_by(&explained));
        explained.by(&["gguf-2".into()]);
        assert!(suspicion.is_explained_by(&explained));
        explained.by(&vec!["gguf-3".to_owned(); MAX_EXPLAINED]);
        assert!(!suspicion.is_explained_by(&explained), "that is long ago");
        assert_eq!(explained.0.len(), MAX_EXPLAINED);
    }

    proptest! {
        /// Nobody is condemned for a crash that others were in, everybody who crashes for ever is, and soon; and
        /// who is served alone stays so.
        #[test]
        fn a_verdict_needs_a_crash_alone_and_comes(progress in prop::collection::vec(0..3_usize, 12)) {
            let mut suspicion = Suspicion::default();
            let (mut n_done, mut n_alone, mut condemned) = (0, 0, false);
            for n_here in progress {
                let was_alone = suspicion.is_alone();
                n_alone += u32::from(was_alone);
                n_done += n_here;
                if suspicion.crashed("gguf-1", n_done, n_here) == Verdict::Poison {
                    prop_assert!(was_alone);
                    prop_assert!(n_here == 0 || n_alone == MAX_ALONE);
                    condemned = true;
                    break;
                }
                prop_assert!(suspicion.is_alone() || !was_alone);
                prop_assert!(!was_alone || n_here > 0);
            }
            prop_assert!(condemned);
            prop_assert!(suspicion.workers().len() <= (MAX_TOGETHER + MAX_ALONE) as usize);
        }
    }
}
