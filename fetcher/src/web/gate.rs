//! What holds all requests up together: a server that asks to be left alone, and a bound on bytes per second.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

use crate::progress::Progress;

/// Closed for a while when a server asks for it.
#[derive(Debug, Default)]
pub(super) struct Gate(Mutex<Option<Instant>>);

/// Lets so many bytes through in a second.
#[derive(Debug)]
pub(super) struct Throttle {
    bytes_per_s: u64,
    /// When the next byte may come.
    next: Mutex<Option<Instant>>,
}

impl Gate {
    pub(super) fn close(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut closed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *closed = Some(closed.map_or(until, |before| before.max(until)));
    }

    pub(super) async fn passed(&self, progress: &Progress) {
        loop {
            let until = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(until) = until.filter(|until| *until > Instant::now()) else { break };
            let seconds = (until - Instant::now()).as_secs() + 1;
            progress.wait(&format!("the server asks to wait for {seconds} s"));
            sleep_until(until).await;
            progress.wait("");
        }
    }
}

impl Throttle {
    /// 0: without bound.
    pub(super) fn new(bytes_per_s: u64) -> Self {
        Self { bytes_per_s, next: Mutex::new(None) }
    }

    pub(super) async fn passed(&self, bytes: usize) {
        if self.bytes_per_s == 0 {
            return;
        }
        let at = {
            let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let at = next.map_or(now, |next| next.max(now));
            *next = Some(at + Duration::from_secs_f64(bytes as f64 / self.bytes_per_s as f64));
            at
        };
        sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_bytes_come_in_a_second() {
        let throttle = Throttle::new(1000);
        let begun = Instant::now();
        for _ in 0..5 {
            throttle.passed(500).await;
        }
        assert_eq!(begun.elapsed().as_secs(), 2);
        Throttle::new(0).passed(usize::MAX).await;
        assert_eq!(begun.elapsed().as_secs(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_passes_a_closed_gate() {
        let (gate, progress) = (Gate::default(), Progress::default());
        let begun = Instant::now();
        gate.passed(&progress).await;
        assert!(begun.elapsed().is_zero());
        gate.close(Duration::from_secs(9));
        gate.close(Duration::from_secs(3));
        gate.passed(&progress).await;
        assert_eq!(begun.elapsed().as_secs(), 9);
        assert_eq!(progress.message().waiting, "");
    }
}
