//! A cause as a sentence without its subject.

use std::fmt;

use nix::sys::signal::Signal;

use super::{ExitCause, Hang, Killer};
use crate::budget::Bytes;

impl fmt::Display for ExitCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped on request"),
            Self::LoadFailed(error) => write!(f, "could not load its model: {error}"),
            Self::NotStarted(why) => write!(f, "could not be started: {why}"),
            Self::Hung { what, after } => {
                let what = match what {
                    Hang::Step => "it had work and made no step",
                    Hang::Report => "it gave no sign of life",
                    Hang::Load => "it made no progress while loading",
                };
                write!(f, "hung: {what} for {} s", after.as_secs())
            }
            Self::Garbled(how) => write!(f, "broke the protocol: {how}"),
            Self::Exited { code, last_words } => {
                write!(f, "exited with code {code}{}", Said(last_words))
            }
            Self::OutOfMemory { by, used_bytes, limit_bytes } => {
                write_memory(f, *by, *used_bytes, *limit_bytes)
            }
            Self::Signalled { signal, memory_ran_out, last_words } => {
                write!(f, "killed by {}", signal_name(*signal))?;
                if *memory_ran_out {
                    f.write_str(", probably by the kernel because memory ran out")?;
                }
                write!(f, "{}", Said(last_words))
            }
            Self::Unseen { last_words } => write!(
                f,
                "ended; its exit status is unknown, since an earlier supervisor had started it{}",
                Said(last_words)
            ),
            Self::Unknown => f.write_str("ended for an unknown reason"),
        }
    }
}

fn write_memory(
    f: &mut fmt::Formatter<'_>,
    by: Killer,
    used_bytes: Option<u64>,
    limit_bytes: Option<u64>,
) -> fmt::Result {
    f.write_str(match by {
        Killer::Kernel => "killed by the kernel",
        Killer::Watcher => "killed by the watcher",
    })?;
    if let Some(used) = used_bytes.or(limit_bytes) {
        write!(f, " at {}", Bytes(used))?;
    }
    if let Some(limit) = limit_bytes {
        write!(f, " (limit {})", Bytes(limit))?;
    }
    // The kernel counts in batches, so that a group at its limit may be a little below it.
    let is_below = used_bytes.is_some_and(|used| limit_bytes.is_none_or(|limit| used < limit - limit / 16));
    if by == Killer::Kernel && is_below {
        f.write_str(" because the machine's memory ran out")
    } else {
        Ok(())
    }
}

/// The last words as the end of a sentence.
struct Said<'a>(&'a [String]);

impl fmt::Display for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "; it last said: {}", self.0.join(" | ")) }
    }
}

fn signal_name(number: i32) -> String {
    Signal::try_from(number).map_or_else(|_| format!("signal {number}"), |signal| signal.as_str().to_owned())
}
