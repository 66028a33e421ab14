//! Requests with nothing to answer: the model is loaded, or unloaded.

use std::time::Duration;

use impetus_proto::Error;
use tokio::time::Instant;

use super::answer::Asking;
use crate::upstream::{self, Caller};

/// A model that is to go as soon as nobody uses it.
const AT_ONCE: i64 = 0;

/// Loads the model, or lets it go where it is not to stay; the word for what was done.
pub(super) async fn load(asking: &Asking, keep_alive: Option<i64>) -> Result<&'static str, Error> {
    let goes = keep_alive == Some(AT_ONCE);
    // A model that goes need not come for it.
    if !goes || matches!(asking.named.status.state.as_str(), "ready" | "loading") {
        let (id, model) = (asking.record.id().clone(), asking.named.model.clone());
        upstream::describe(&asking.gateway.upstream, Caller { id, model, keep_alive }).await?;
    }
    Ok(if goes { "unload" } else { "load" })
}

/// Waits until a worker has the model, where none is known to have it; answers for how long.
pub(super) async fn wait(asking: &Asking) -> Result<Duration, Error> {
    if asking.named.is_loaded() {
        return Ok(Duration::ZERO);
    }
    let begun = Instant::now();
    let (id, model) = (asking.record.id().clone(), asking.named.model.clone());
    upstream::describe(&asking.gateway.upstream, Caller { id, model, keep_alive: None }).await?;
    Ok(begun.elapsed())
}
