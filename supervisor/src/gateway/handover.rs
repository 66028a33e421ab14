//! From one gateway to the next: the new one serves before the former one stops.

use std::time::Duration;

use impetus_proto::{
    Code, Error,
    launch::{Report, report},
};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{Listener, NAME, Order, Renewal, addresses, driver::Driver};
use crate::{
    adoption::Claimed,
    attribution::Intent,
    events::{Kind, Note},
    process::{Happening, Process},
    shutdown::Phase,
};

/// Gateways that may be finishing their requests; it takes as long as the longest of those.
const MAX_RETIRED: usize = 32;

impl Driver {
    /// Carries out `order` while `process` serves, which goes on if that fails. Whether there is another one then.
    pub(super) async fn hand_over(
        &mut self,
        order: Order,
        process: &mut Process,
        sockets: &mut Option<Vec<Listener>>,
    ) -> bool {
        let done = self.succeed(order.renewal, process, sockets).await;
        let is_done = done.is_ok();
        if let Err(error) = &done {
            tracing::warn!(%error, "gateway not replaced");
        }
        // Whoever asked may have gone.
        let _ = order.reply.send(done);
        is_done
    }

    async fn succeed(
        &mut self,
        renewal: Option<Renewal>,
        process: &mut Process,
        sockets: &mut Option<Vec<Listener>>,
    ) -> Result<(), Error> {
        while self.retired.try_join_next().is_some() {}
        if self.retired.len() >= MAX_RETIRED {
            let message = format!(
                "{MAX_RETIRED} former gateways still finish their requests; try again when one is done"
            );
            return Err(Error::new(Code::Conflict, message));
        }
        let former = renewal.map(|renewal| self.renew(renewal, sockets));
        match self.start_beside(sockets.as_deref()).await {
            Ok(successor) => {
                let former = std::mem::replace(process, successor);
                self.retired.spawn(retire(former, self.phase.clone()));
                self.state.send_modify(|state| {
                    state.pid = Some(process.pid());
                    state.restarts += 1;
                });
                tracing::info!(pid = process.pid(), "gateway replaced");
                let note = Note::new(Kind::GatewayReplaced, NAME, "was replaced by another one");
                self.witness.events.note(note.with("pid", process.pid()));
                Ok(())
            }
            Err(error) => {
                if let Some(former) = former {
                    self.renew(former, sockets);
                }
                Err(error)
            }
        }
    }

    /// Lets the gateway of a former supervisor finish its requests.
    pub(super) fn retire(&mut self, claimed: Claimed) {
        if let Some(process) = self.adopt(claimed) {
            self.retired.spawn(retire(process, self.phase.clone()));
        }
    }

    /// Takes over settings and sockets, and gives back what takes them back.
    pub(super) fn renew(&mut self, renewal: Renewal, sockets: &mut Option<Vec<Listener>>) -> Renewal {
        let settings = std::mem::replace(&mut self.settings, renewal.settings);
        // Without any the server goes, and there is no next gateway.
        let moves = sockets.as_mut().map(|listeners| {
            let back = renewal.moves.apply(listeners);
            self.state.send_modify(|state| state.entrances = addresses(listeners));
            back
        });
        Renewal { settings, moves: moves.unwrap_or_default() }
    }

    /// A gateway that serves.
    async fn start_beside(&mut self, listeners: Option<&[Listener]>) -> Result<Process, Error> {
        let failed = |what: String| {
            Error::new(Code::Unavailable, format!("the new gateway {what}; the former one goes on"))
        };
        let Some(listeners) = listeners else { return Err(failed("has no socket".into())) };
        let mut process =
            self.launch(listeners).map_err(|error| failed(format!("does not start: {error}")))?;
        self.introduce(&mut process).await;
        let give_up = Instant::now() + self.settings.start;
        let intent = loop {
            tokio::select! {
                biased;
                _ = self.phase.wait_for(|phase| *phase != Phase::Running) => break Intent::Stop,
                happening = process.next() => match happening {
                    Happening::Report(Report { message: Some(report::Message::Serving(_)) }) => return Ok(process),
                    Happening::Report(_) | Happening::OverLimit(_) => {}
                    Happening::Closed => break Intent::None,
                    Happening::Garbage(error) => break Intent::Garbled(error.to_string()),
                },
                () = sleep_until(give_up) => break Intent::Stalled(self.settings.start),
            }
        };
        Err(failed(process.finish(intent, None, Duration::ZERO).await.to_string()))
    }
}

/// Lets a gateway that was replaced finish its requests. They are cut short only when the server goes.
async fn retire(mut process: Process, mut phase: watch::Receiver<Phase>) {
    process.retire();
    tokio::select! {
        _ = process.ended() => {}
        () = async { drop(phase.wait_for(|phase| *phase != Phase::Running).await) } => {
            process.terminate();
            tokio::select! {
                _ = process.ended() => {}
                () = deadline(&mut phase) => {}
            }
        }
    }
    let pid = process.pid();
    let cause = process.finish(Intent::Stop, None, Duration::ZERO).await;
    tracing::info!(pid, %cause, "former gateway ended");
}

/// Resolves when what drains is to be ended.
async fn deadline(phase: &mut watch::Receiver<Phase>) {
    loop {
        let now = *phase.borrow_and_update();
        let until = match now {
            Phase::Running => None,
            Phase::Draining { deadline } => Some(deadline),
            Phase::Hurried => return,
        };
        tokio::select! {
            changed = phase.changed() => if changed.is_err() { return },
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => return,
        }
    }
}
