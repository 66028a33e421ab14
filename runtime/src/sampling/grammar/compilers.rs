//! The threads on which grammars are compiled: with large stacks, few at a time, and not for ever.

use std::{
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        mpsc::{RecvTimeoutError, sync_channel},
    },
    time::{Duration, Instant},
};

use super::{GrammarError, Source};

/// Bytes of stack: llguidance recurses over schemas and rules. What is not used costs nothing.
const STACK_BYTES: usize = 64 << 20;

/// Grammars that are compiled at a time. One that takes too long keeps its place until it is done, since nothing can
/// end a thread; the limits of the compiler end its work.
const AT_A_TIME: usize = 8;

/// How long one grammar may wait and compile. Real ones take milliseconds.
const DEADLINE: Duration = Duration::from_secs(10);

/// The threads of one model.
pub(super) struct Compilers {
    places: Arc<Places>,
    deadline: Duration,
}

struct Places {
    free: Mutex<usize>,
    freed: Condvar,
}

/// A place that is taken.
struct Taken(Arc<Places>);

impl Default for Compilers {
    fn default() -> Self {
        Self::new(AT_A_TIME, DEADLINE)
    }
}

impl Compilers {
    fn new(at_a_time: usize, deadline: Duration) -> Self {
        let places = Places { free: Mutex::new(at_a_time), freed: Condvar::new() };
        Self { places: Arc::new(places), deadline }
    }

    /// Does `work` on a thread of its own. Blocks, until the deadline at most.
    pub(super) fn run<T: Send + 'static>(
        &self,
        source_of: Source,
        work: impl FnOnce() -> Result<T, GrammarError> + Send + 'static,
    ) -> Result<T, GrammarError> {
        let until = Instant::now() + self.deadline;
        let place = self.take(until).ok_or(GrammarError::Busy)?;
        let (answer, answers) = sync_channel(1);
        let thread = std::thread::Builder::new().name("grammar".to_owned()).stack_size(STACK_BYTES);
        let job = move || {
            let _place = place;
            // Whoever asked may have given up.
            drop(answer.try_send(work()));
        };
        thread.spawn(job).map_err(|error| GrammarError::Thread { reason: error.to_string() })?;
        match answers.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => {
                Err(GrammarError::Slow { source_of, seconds: self.deadline.as_secs() })
            }
            Err(RecvTimeoutError::Disconnected) => {
                Err(GrammarError::refused(source_of, "the compiler failed on it"))
            }
        }
    }

    fn take(&self, until: Instant) -> Option<Taken> {
        let free = self.places.free.lock().unwrap_or_else(PoisonError::into_inner);
        let patience = until.saturating_duration_since(Instant::now());
        let waited = self.places.freed.wait_timeout_while(free, patience, |free| *free == 0);
        let (mut free, _) = waited.unwrap_or_else(PoisonError::into_inner);
        *free = free.checked_sub(1)?;
        Some(Taken(Arc::clone(&self.places)))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_long_fails_and_holds_nobody_for_ever() {
        let compilers = Compilers::new(1, Duration::from_millis(20));
        let (go_on, waits) = sync_channel::<()>(0);
        let slow = compilers.run(Source::Grammar, move || {
            let _ = waits.recv();
            Ok(())
        });
        assert_eq!(slow, Err(GrammarError::Slow { source_of: Source::Grammar, seconds: 0 }));
        // It still keeps the only place.
        assert_eq!(compilers.run(Source::Grammar, || Ok(1)), Err(GrammarError::Busy));
        drop(go_on);
        let patient = Compilers { deadline: Duration::from_mins(10), ..compilers };
        assert_eq!(patient.run(Source::Grammar, || Ok(2)), Ok(2));
        let failed = patient.run::<()>(Source::Grammar, || panic!("as a compiler may"));
        assert!(failed.unwrap_err().to_string().contains("the compiler failed on it"));
        assert_eq!(patient.run(Source::Grammar, || Ok(3)), Ok(3));
    }
}
