//! How the server goes: asked once, it lets requests finish; asked again, it is gone.

use std::{io, sync::Arc};

use impetus_config::Config;
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
    time::Instant,
};

use crate::settings;

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

/// Follows the signals that this process gets, in a task of its own, for ever: those that ask it to stop, which `config`
/// says how long may take, and SIGHUP, which asks it to read its configuration again.
pub fn on_signals(
    config: watch::Receiver<Arc<Config>>,
) -> io::Result<(watch::Receiver<Phase>, mpsc::Receiver<()>)> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let (phase, watched) = watch::channel(Phase::Running);
    // One that waits stands for all that come before it is heard.
    let (hangups, heard) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = hangup.recv() => {
                    let _ = hangups.try_send(());
                    continue;
                }
            }
            let drain = settings::drain(&config.borrow());
            let next = match *phase.borrow() {
                Phase::Running => Phase::Draining { deadline: Instant::now() + drain },
                Phase::Draining { .. } | Phase::Hurried => Phase::Hurried,
            };
            let is_hurried = next == Phase::Hurried;
            tracing::info!(is_hurried, drain_s = drain.as_secs(), "asked to stop");
            phase.send_replace(next);
        }
    });
    Ok((watched, heard))
}
