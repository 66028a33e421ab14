//! What is heard next: of the process, of the fleet, or of the clock.

use impetus_proto::{
    Error,
    launch::{Report, Tick, report},
};
use tokio::time::{Instant, sleep_until};

use super::Driver;
use crate::{
    attribution::Intent,
    process::{Happening, Process},
    worker::{Leave, What},
};

/// Why a stage did not go over into the next.
pub(super) enum Ending {
    /// The supervisor wants it to go.
    Asked,
    /// The process goes by itself.
    Gone(Option<Error>),
    /// It must be made to go.
    Condemned(Intent),
}

#[allow(clippy::large_enum_variant)] // there is one at a time, looked at and gone
pub(super) enum Heard {
    Report(report::Message),
    Orders,
    Deadline,
}

impl Driver {
    /// Waits for whatever comes first. Reports are looked at before deadlines, so that one which has arrived counts;
    /// but not before the end of a drain, which a worker must not be able to talk away.
    pub(super) async fn hear(
        &mut self,
        process: &mut Process,
        deadline: Option<Instant>,
    ) -> Result<Heard, Ending> {
        let leave = self.orders.borrow().leave;
        match leave {
            Leave::Now | Leave::Kill => return Err(Ending::Asked),
            Leave::Drain(until) if self.drain_until.is_none() => {
                self.drain_until = Some(until);
                self.tell(What::Draining(until)).await;
            }
            Leave::Drain(_) | Leave::No => {}
        }
        loop {
            self.tell_level(process).await?;
            let (drain_until, silent_at) = (self.drain_until, self.pulse.deadline());
            let heard = tokio::select! {
                biased;
                () = at(drain_until) => return Err(Ending::Asked),
                happening = process.next() => heard(happening)?,
                changed = self.orders.changed() => changed.map(|()| Heard::Orders).map_err(|_| Ending::Asked)?,
                Ok(()) = self.setup.levels.changed() => continue,
                () = at(deadline) => Heard::Deadline,
                () = at(silent_at) => match self.pulse.judge(Instant::now()) {
                    Some(intent) => return Err(Ending::Condemned(intent)),
                    None => continue,
                },
            };
            if let Heard::Report(report) = &heard {
                let (now, patience) = (Instant::now(), self.setup.timeouts.borrow().hang);
                self.pulse.hear(now).map_err(Ending::Condemned)?;
                if let report::Message::Tick(tick) = report {
                    self.pulse.tick(now, tick, patience);
                }
            }
            return Ok(heard);
        }
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn heard(happening: Happening) -> Result<Heard, Ending> {
    match happening {
        Happening::Report(Report { message: Some(report::Message::Failed(error)) }) => {
            Err(Ending::Gone(Some(error)))
        }
        Happening::Report(Report { message: Some(message) }) => Ok(Heard::Report(message)),
        Happening::Report(Report { message: None }) => {
            Ok(Heard::Report(report::Message::Tick(Tick::default())))
        }
        Happening::Garbage(error) => Err(Ending::Condemned(Intent::Garbled(error.to_string()))),
        Happening::OverLimit(held) => Err(Ending::Condemned(Intent::OverLimit(held))),
        Happening::Closed => Err(Ending::Gone(None)),
    }
}
