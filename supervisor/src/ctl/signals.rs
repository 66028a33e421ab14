//! Signals that end a program in a terminal, which has to be put back first.

use std::{io, process::ExitCode};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Hears of them from now on.
pub(super) struct Ends([(Signal, i32); 2]);

impl Ends {
    pub(super) fn listen() -> io::Result<Self> {
        let listen = |kind: SignalKind| Ok::<_, io::Error>((signal(kind)?, kind.as_raw_value()));
        Ok(Self([listen(SignalKind::terminate())?, listen(SignalKind::hangup())?]))
    }

    /// Waits for one; its number.
    pub(super) async fn recv(&mut self) -> i32 {
        let [(terminate, number), (hangup, other)] = &mut self.0;
        tokio::select! {
            _ = terminate.recv() => *number,
            _ = hangup.recv() => *other,
        }
    }
}

/// The exit code of a program that Ctrl-C has ended.
pub(super) fn interrupted() -> ExitCode {
    exit_code(SignalKind::interrupt().as_raw_value())
}

/// The exit code of a program that a signal has ended, as shells have it.
pub(super) fn exit_code(signal: i32) -> ExitCode {
    ExitCode::from(u8::try_from(128 + signal).unwrap_or(u8::MAX))
}
