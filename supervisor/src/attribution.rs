//! Why a child process ended, in a sentence for people.

mod last_words;

use std::{fmt, os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use impetus_proto::Error;
use nix::sys::signal::Signal;

use crate::launch::shim::CANNOT_EXECUTE;

/// What the supervisor itself did or saw before the end.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Intent {
    /// Nothing: the end came by itself.
    #[default]
    None,
    /// It was asked to stop.
    Stop,
    /// It was killed for making no step, for this long, while work was pending.
    Stuck(Duration),
    /// It was killed for saying nothing for this long.
    Silent(Duration),
    /// It was killed for making no progress while starting or loading for this long.
    Stalled(Duration),
    /// It was killed for what it sent on its channel.
    Garbled(String),
}

/// Everything known about an end.
#[derive(Debug, Default)]
pub struct Facts {
    /// How the process ended; absent when it could not be started or waited for.
    pub status: Option<ExitStatus>,
    /// The supervisor's part in it.
    pub intent: Intent,
    /// What the child itself reported as the reason.
    pub failed: Option<Error>,
    /// The last lines it wrote, escaped.
    pub last_words: Vec<String>,
    /// Whether the kernel ended some process of this machine for lack of memory during its life.
    pub memory_ran_out: bool,
}

/// Why a child ended.
#[derive(Debug, Clone, PartialEq)]
pub enum ExitCause {
    /// On the supervisor's own order.
    Stopped,
    /// Its model could not be loaded, says the worker.
    LoadFailed(Error),
    /// It could not be started.
    NotStarted(String),
    /// It was replaced because it hung.
    Hung {
        /// What it did not do.
        what: Hang,
        /// For how long, or how it misbehaved instead.
        after: Duration,
    },
    /// It broke the protocol of the channel.
    Garbled(String),
    /// It ended with an exit code.
    Exited {
        /// The code.
        code: i32,
        /// The last lines it wrote.
        last_words: Vec<String>,
    },
    /// It was ended by a signal that the supervisor did not send.
    Signalled {
        /// The signal's number.
        signal: i32,
        /// Whether lack of memory is the likely reason.
        memory_ran_out: bool,
        /// The last lines it wrote.
        last_words: Vec<String>,
    },
    /// Nobody knows.
    Unknown,
}

impl ExitCause {
    /// Whether a request that was being computed can have brought this about: a crash, a step without end, a lack
    /// of memory. An end from outside, by whoever sent SIGKILL or stopped the process, says nothing of requests.
    pub fn may_be_request(&self) -> bool {
        match self {
            Self::Hung { what, .. } => *what == Hang::Step,
            Self::Exited { .. } | Self::Garbled(_) => true,
            Self::Signalled { signal, memory_ran_out, .. } => *memory_ran_out || is_crash(*signal),
            Self::Stopped | Self::LoadFailed(_) | Self::NotStarted(_) | Self::Unknown => false,
        }
    }

    /// Whether somebody other than the worker and the supervisor ended it, which is nothing to hold against it.
    pub fn is_from_outside(&self) -> bool {
        matches!(self, Self::Signalled { signal, memory_ran_out: false, .. } if !is_crash(*signal))
    }

    /// Whether it ended for lack of memory.
    pub fn is_memory(&self) -> bool {
        matches!(self, Self::Signalled { memory_ran_out: true, .. })
    }
}

/// Whether a process brings this signal upon itself.
fn is_crash(signal: i32) -> bool {
    use Signal::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP, SIGXFSZ};
    [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP, SIGXFSZ]
        .iter()
        .any(|own| *own as i32 == signal)
}

/// What a hanging worker failed to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hang {
    /// No step while work was pending.
    Step,
    /// No report at all.
    Report,
    /// No progress of start or load.
    Load,
}

/// Finds the cause: what the supervisor did outranks what the child said, which outranks the bare status.
pub fn attribute(facts: Facts) -> ExitCause {
    let last_words = last_words::telling(&facts.last_words);
    match facts.intent {
        Intent::Stop => return ExitCause::Stopped,
        Intent::Stuck(after) => return ExitCause::Hung { what: Hang::Step, after },
        Intent::Silent(after) => return ExitCause::Hung { what: Hang::Report, after },
        Intent::Stalled(after) => return ExitCause::Hung { what: Hang::Load, after },
        Intent::Garbled(how) => return ExitCause::Garbled(how),
        Intent::None => {}
    }
    if let Some(error) = facts.failed {
        return ExitCause::LoadFailed(error);
    }
    let Some(status) = facts.status else { return ExitCause::Unknown };
    match (status.code(), status.signal()) {
        (Some(code), _) if code == i32::from(CANNOT_EXECUTE) => ExitCause::NotStarted(last_words.join("; ")),
        (Some(code), _) => ExitCause::Exited { code, last_words },
        (None, Some(signal)) => {
            let memory_ran_out = facts.memory_ran_out && signal == Signal::SIGKILL as i32;
            ExitCause::Signalled { signal, memory_ran_out, last_words }
        }
        (None, None) => ExitCause::Unknown,
    }
}

/// Processes that the kernel ended for lack of memory since the machine started, where it says so.
pub fn memory_kills() -> Option<u64> {
    let counters = std::fs::read_to_string("/proc/vmstat").ok()?;
    counters.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

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
            Self::Signalled { signal, memory_ran_out, last_words } => {
                write!(f, "killed by {}", signal_name(*signal))?;
                if *memory_ran_out {
                    f.write_str(", probably by the kernel because memory ran out")?;
                }
                write!(f, "{}", Said(last_words))
            }
            Self::Unknown => f.write_str("ended for an unknown reason"),
        }
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

#[cfg(test)]
mod tests {
    use impetus_proto::Code;

    use super::*;

    fn check(status: i32, facts: Facts, expected: &str) {
        let facts = Facts { status: Some(ExitStatus::from_raw(status)), ..facts };
        assert_eq!(attribute(facts).to_string(), expected);
    }

    fn said(words: &[&str]) -> Facts {
        Facts { last_words: words.iter().map(ToString::to_string).collect(), ..Facts::default() }
    }

    fn meant(intent: Intent) -> Facts {
        Facts { intent, ..Facts::default() }
    }

    #[test]
    fn every_end_has_a_sentence() {
        const SIGKILL: i32 = 9;
        const SIGSEGV: i32 = 11;
        check(0, Facts::default(), "exited with code 0");
        check(4 << 8, said(&["a", "b", "c", "d"]), "exited with code 4; it last said: b | c | d");
        check(SIGSEGV, Facts::default(), "killed by SIGSEGV");
        check(SIGSEGV | 0x80, said(&["boom"]), "killed by SIGSEGV; it last said: boom");
        check(SIGKILL, Facts::default(), "killed by SIGKILL");
        let no_memory = || Facts { memory_ran_out: true, ..Facts::default() };
        check(SIGKILL, no_memory(), "killed by SIGKILL, probably by the kernel because memory ran out");
        check(SIGSEGV, no_memory(), "killed by SIGSEGV");
        check(64, Facts::default(), "killed by signal 64");
        check(
            127 << 8,
            said(&["launch: cannot execute x"]),
            "could not be started: launch: cannot execute x",
        );
        check(SIGKILL, meant(Intent::Stop), "stopped on request");
        let patience = Duration::from_secs(30);
        check(SIGKILL, meant(Intent::Stuck(patience)), "hung: it had work and made no step for 30 s");
        check(SIGKILL, meant(Intent::Silent(patience)), "hung: it gave no sign of life for 30 s");
        check(SIGKILL, meant(Intent::Stalled(patience)), "hung: it made no progress while loading for 30 s");
        let failed = Facts { failed: Some(Error::new(Code::ModelLoadFailed, "bad magic")), ..said(&["x"]) };
        check(3 << 8, failed, "could not load its model: bad magic");
        assert_eq!(attribute(Facts::default()).to_string(), "ended for an unknown reason");
    }
}
