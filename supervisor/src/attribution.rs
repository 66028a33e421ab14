//! Why a child process ended, in a sentence for people.

mod last_words;
mod sentence;
#[cfg(test)]
mod tests;

use std::{os::unix::process::ExitStatusExt, process::ExitStatus, time::Duration};

use impetus_proto::{Code, Error};
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
    /// It was killed for holding this many bytes, which is more than it may.
    OverLimit(u64),
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
    /// Bytes at which it is killed, if it is held to any.
    pub limit_bytes: Option<u64>,
    /// What its control group says of a kill for lack of memory.
    pub kernel_kill: Option<KernelKill>,
    /// Whether the kernel ended some process of this machine for lack of memory during its life; a hint for one that
    /// has no control group of its own.
    pub memory_ran_out: bool,
    /// Whether a former supervisor had started it, so that nobody is told its status.
    pub is_adopted: bool,
}

/// The kernel ended a process of a control group for lack of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelKill {
    /// The most that the group has held, in bytes, where the kernel counts that.
    pub peak_bytes: Option<u64>,
}

/// Who ended a process for lack of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Killer {
    /// The kernel, as the process' control group counted.
    Kernel,
    /// The supervisor, which saw it hold more than it may.
    Watcher,
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
    /// It was ended for the memory that it held.
    OutOfMemory {
        /// By whom.
        by: Killer,
        /// What it held, in bytes, where that is known.
        used_bytes: Option<u64>,
        /// What it might hold, in bytes. The kernel ends a process below that, too, when the machine's memory runs out.
        limit_bytes: Option<u64>,
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
    /// It ended by itself or from outside. Its status went to nobody, since a former supervisor had started it.
    Unseen {
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
            Self::Exited { .. } | Self::Garbled(_) | Self::OutOfMemory { .. } => true,
            Self::Signalled { signal, memory_ran_out, .. } => *memory_ran_out || is_crash(*signal),
            Self::Stopped
            | Self::LoadFailed(_)
            | Self::NotStarted(_)
            | Self::Unseen { .. }
            | Self::Unknown => false,
        }
    }

    /// The cause in a word, for metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::LoadFailed(_) => "load_failed",
            Self::NotStarted(_) => "not_started",
            Self::Hung { .. } => "hang",
            Self::Garbled(_) => "protocol",
            Self::OutOfMemory { .. } | Self::Signalled { memory_ran_out: true, .. } => "memory",
            Self::Exited { .. } => "crash",
            Self::Signalled { signal, .. } => {
                if is_crash(*signal) {
                    "crash"
                } else {
                    "outside"
                }
            }
            Self::Unseen { .. } | Self::Unknown => "unknown",
        }
    }

    /// Whether somebody other than the worker and the supervisor ended it, which is nothing to hold against it. A
    /// process that falls silent as a whole was stopped by somebody, or starved.
    pub fn is_from_outside(&self) -> bool {
        match self {
            Self::Signalled { signal, memory_ran_out, .. } => !memory_ran_out && !is_crash(*signal),
            Self::Hung { what, .. } => *what == Hang::Report,
            _ => false,
        }
    }

    /// Whether it ended for lack of memory, so that it needs more of it, or a smaller task.
    pub fn is_memory(&self) -> bool {
        match self {
            Self::OutOfMemory { .. } | Self::Signalled { memory_ran_out: true, .. } => true,
            Self::LoadFailed(error) => error.code() == Code::NoCapacity,
            _ => false,
        }
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

/// Finds the cause: a stop on order explains itself; else what the kernel counted outranks what the supervisor did,
/// which outranks what the child said, which outranks the bare status.
pub fn attribute(facts: Facts) -> ExitCause {
    let last_words = last_words::telling(&facts.last_words);
    let limit_bytes = facts.limit_bytes;
    if let Some(KernelKill { peak_bytes }) = facts.kernel_kill
        && facts.intent != Intent::Stop
    {
        return ExitCause::OutOfMemory { by: Killer::Kernel, used_bytes: peak_bytes, limit_bytes };
    }
    match facts.intent {
        Intent::Stop => return ExitCause::Stopped,
        Intent::OverLimit(used) => {
            return ExitCause::OutOfMemory { by: Killer::Watcher, used_bytes: Some(used), limit_bytes };
        }
        Intent::Stuck(after) => return ExitCause::Hung { what: Hang::Step, after },
        Intent::Silent(after) => return ExitCause::Hung { what: Hang::Report, after },
        Intent::Stalled(after) => return ExitCause::Hung { what: Hang::Load, after },
        Intent::Garbled(how) => return ExitCause::Garbled(how),
        Intent::None => {}
    }
    if let Some(error) = facts.failed {
        return ExitCause::LoadFailed(error);
    }
    let Some(status) = facts.status else {
        return if facts.is_adopted { ExitCause::Unseen { last_words } } else { ExitCause::Unknown };
    };
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
