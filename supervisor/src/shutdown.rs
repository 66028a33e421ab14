//! How the server goes: asked once, it lets requests finish; asked again, it is gone.

use std::{io, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::Instant,
};

/// Where the server is between start and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It serves.
    Running,
    /// What runs may finish until then; nothing new begins.
    Draining {
        /// When what still runs is ended.
        deadline: Instant,
    },
    /// Everything ends now.
    Hurried,
}

/// Follows the signals that this process gets, in a task of its own, for ever.
pub fn on_signals(drain: Duration) -> io::Result<watch::Receiver<Phase>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (phase, watched) = watch::channel(Phase::Running);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {
                    tracing::info!("SIGHUP ignored; restart the server for a new configuration");
                    continue;
                }
            }
            let next = match *phase.borrow() {
                Phase::Running => Phase::Draining { deadline: Instant::now() + drain },
                Phase::Draining { .. } | Phase::Hurried => Phase::Hurried,
            };
            let is_hurried = next == Phase::Hurried;
            tracing::info!(is_hurried, drain_s = drain.as_secs(), "asked to stop");
            phase.send_replace(next);
        }
    });
    Ok(watched)
}
