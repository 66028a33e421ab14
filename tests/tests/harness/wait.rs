//! Waiting for a condition, never for a time.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, interval, timeout_at};

/// How long anything that will happen may take on a busy machine; only a failing test waits this long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How often a condition is looked at.
const PERIOD: Duration = Duration::from_millis(10);

/// What `look` finds, as soon as it finds something.
pub(crate) async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + PATIENCE;
    let mut turns = interval(PERIOD);
    let found = timeout_at(deadline, async {
        loop {
            turns.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    });
    found.await.unwrap_or_else(|_| panic!("not within {} s: {what}", PATIENCE.as_secs()))
}
