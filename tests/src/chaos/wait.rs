//! Waiting for a condition, never for a time.

use std::{future::Future, time::Duration};

use anyhow::Context;
use tokio::time::{interval, timeout};

/// How long anything that will happen may take on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_mins(2);

/// How often a condition is looked at.
const PERIOD: Duration = Duration::from_millis(5);

/// What `look` finds, as soon as it finds something.
pub(super) async fn eventually<T, F>(what: &str, mut look: impl FnMut() -> F) -> anyhow::Result<T>
where
    F: Future<Output = Option<T>>,
{
    let mut turns = interval(PERIOD);
    let found = async {
        loop {
            turns.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    };
    timeout(PATIENCE, found).await.with_context(|| format!("not within {} s: {what}", PATIENCE.as_secs()))
}
