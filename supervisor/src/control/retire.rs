//! Models that are to go as soon as nobody uses them.

use std::time::Duration;

use tokio::time::sleep;

use super::Control;
use crate::{catalog::Library, fleet::Snapshot, worker::State};

/// The shortest time between two looks at whether a model is still used.
const PACE: Duration = Duration::from_millis(100);

/// How far a model is from going.
enum Use {
    Gone,
    Idle,
    Used,
}

impl Control {
    /// Stops a model once nobody uses it, unless it is to stay after all.
    pub(super) async fn retire(self, model: String, is_to_stay: fn(&Library, &str) -> bool) {
        let mut changes = self.fleet.changes();
        while !is_to_stay(&self.library, &model) {
            // An error means that the server is stopping.
            let Ok(snapshot) = self.fleet.snapshot().await else { return };
            match use_of(&model, &snapshot) {
                Use::Gone => return,
                Use::Idle => {
                    tracing::info!(model, "unloaded: not meant any more, and not used");
                    let _ = self.fleet.unload(model).await;
                    return;
                }
                Use::Used => {}
            }
            if changes.changed().await.is_err() {
                return;
            }
            sleep(PACE).await;
        }
    }
}

fn use_of(model: &str, snapshot: &Snapshot) -> Use {
    let mut usage = Use::Gone;
    for row in &snapshot.workers {
        if row.model.as_deref() != Some(model) || row.pid.is_none() {
            continue;
        }
        if row.leases > 0 || row.state != State::Ready {
            return Use::Used;
        }
        usage = Use::Idle;
    }
    usage
}
