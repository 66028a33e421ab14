//! `Watch`: a status at once and after each change, at most ten a second.

use std::time::Duration;

use futures::{StreamExt, stream};
use impetus_proto::supervisor::StatusReply;
use tokio::time::sleep;
use tonic::Status;

use super::{Answers, Control};

/// The shortest time between two answers.
const PACE: Duration = Duration::from_millis(100);

impl Control {
    pub(super) fn answer_watch(&self) -> Answers<StatusReply> {
        let (mut fleet, gateway) = (self.fleet.changes(), self.gateway.changes());
        fleet.mark_changed();
        let answers =
            stream::unfold((self.clone(), fleet, gateway), |(control, mut fleet, mut gateway)| async {
                let changed = tokio::select! {
                    changed = fleet.changed() => changed,
                    changed = gateway.changed() => changed,
                };
                // Without a fleet or a gateway the server is about to end.
                changed.ok()?;
                let answer = control.answer_status().await.map_err(Status::from);
                sleep(PACE).await;
                Some((answer, (control, fleet, gateway)))
            });
        answers.boxed()
    }
}
