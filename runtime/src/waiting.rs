//! How a compute thread waits for others that are about to be ready: engines whose threads are ours wait alike.
//!
//! Threads of a step meet a few hundred times for each token. One that sleeps at once costs more than the work where
//! waking takes long; one that spins starves whatever else wants the core. `docs/adr/0017-threads-that-yield.md` has the
//! figures.

use std::{
    hint, thread,
    time::{Duration, Instant},
};

/// How often a waiting thread looks before it lends its core.
const LOOKS: u32 = 100;
/// How often it lends its core before it looks at the clock.
const YIELDS: u32 = 32;
/// How long it goes on. It covers what happens between two steps: sampling, and events on their way.
const AWAKE: Duration = Duration::from_millis(1);

/// Looks for something as long as a thread should stay awake for it: a few times at once, then by lending its core to
/// whoever else wants it, for a millisecond. `None`: it should sleep, having told whoever is to wake it.
pub fn awake<T>(found: impl Fn() -> Option<T>) -> Option<T> {
    for _ in 0..LOOKS {
        if let Some(found) = found() {
            return Some(found);
        }
        hint::spin_loop();
    }
    let begun = Instant::now();
    while begun.elapsed() < AWAKE {
        for _ in 0..YIELDS {
            thread::yield_now();
            if let Some(found) = found() {
                return Some(found);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, sync::atomic::AtomicBool, sync::atomic::Ordering};

    use super::*;

    #[test]
    fn what_is_there_is_found_at_the_first_look() {
        let looks = Cell::new(0);
        let look = || {
            looks.set(looks.get() + 1);
            Some(looks.get())
        };
        assert_eq!(awake(look), Some(1));
    }

    #[test]
    fn what_never_comes_is_given_up() {
        assert_eq!(awake(|| None::<()>), None);
    }

    #[test]
    fn what_another_thread_does_is_seen() {
        let (asked, done) = (AtomicBool::new(false), AtomicBool::new(false));
        thread::scope(|scope| {
            scope.spawn(|| {
                while !asked.load(Ordering::Acquire) {
                    thread::yield_now();
                }
                done.store(true, Ordering::Release);
            });
            asked.store(true, Ordering::Release);
            let found = || done.load(Ordering::Acquire).then_some(());
            // A core that is lent may be away for longer than a thread stays awake.
            while awake(found).is_none() {}
        });
    }
}
