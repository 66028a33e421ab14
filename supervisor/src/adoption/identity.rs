//! Which process an id means. Ids are used again; an id together with the time at which its process started is not.

use std::{os::unix::process::ExitStatusExt, process::ExitStatus, sync::OnceLock, time::Duration};

use nix::{
    errno::Errno,
    sys::{
        signal::{Signal, kill, killpg},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};
use serde::{Deserialize, Serialize};
use tokio::time::{MissedTickBehavior, interval};

/// How often a process that is not a child of this one is looked at. Its channel tells of its end sooner.
const PERIOD: Duration = Duration::from_millis(20);

/// A process, told from every other one that had or will have its id since the machine started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its id.
    pub pid: u32,
    /// When it started, in units of the system's own: clock ticks since the machine's start on Linux (field 22 of
    /// `/proc/<pid>/stat`, proc_pid_stat(5)), microseconds since 1970 on macOS.
    pub started: u64,
}

/// Whether a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It does.
    Runs,
    /// It does not; how it ended, where that can be known.
    Ended(Option<ExitStatus>),
}

/// When a process started, and whether it has ended and waits for its parent.
struct Birth {
    started: u64,
    has_ended: bool,
}

impl Identity {
    /// The running process with this id; `None` when there is none, or when it has ended and waits for its parent.
    pub fn of(pid: u32) -> Option<Self> {
        birth(pid).filter(|birth| !birth.has_ended).map(|Birth { started, .. }| Self { pid, started })
    }

    /// The children of this process, also those that have ended and that nobody has waited for, where the system tells.
    pub fn children() -> Vec<Self> {
        let own = std::process::id();
        // Those of a thread; this is for a process that has but one, which has inherited those of all before.
        let list = std::fs::read_to_string(format!("/proc/self/task/{own}/children")).unwrap_or_default();
        let pids = list.split_ascii_whitespace().filter_map(|pid| pid.parse().ok());
        pids.filter_map(|pid| birth(pid).map(|Birth { started, .. }| Self { pid, started })).collect()
    }

    /// Whether it runs.
    pub fn is_alive(self) -> bool {
        Self::of(self.pid) == Some(self)
    }

    /// Sends it a signal if it runs.
    pub fn signal(self, signal: Signal) {
        if self.is_alive() {
            // The only failure left is that it ended meanwhile.
            let _ = kill(self.raw(), signal);
        }
    }

    /// Ends it if it runs, and whatever it started in its session.
    pub fn kill(self) {
        if self.is_alive() && killpg(self.raw(), Signal::SIGKILL).is_err() {
            let _ = kill(self.raw(), Signal::SIGKILL);
        }
    }

    /// Waits for its end, and says how it ended where this process is its parent, as it is when it has replaced the
    /// supervisor that started it. May be dropped and called again until it has answered.
    pub async fn ended(self) -> Option<ExitStatus> {
        let mut turns = interval(PERIOD);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if let Fate::Ended(status) = self.fate() {
                return status;
            }
            turns.tick().await;
        }
    }

    /// Whether it runs. A child of this process that has ended is waited for, so that nothing is left of it.
    pub fn fate(self) -> Fate {
        if birth(self.pid).is_none_or(|birth| birth.started != self.started) {
            return Fate::Ended(None);
        }
        match waitpid(self.raw(), Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(_, code)) => Fate::Ended(Some(ExitStatus::from_raw(code << 8))),
            Ok(WaitStatus::Signaled(_, signal, _)) => Fate::Ended(Some(ExitStatus::from_raw(signal as i32))),
            Err(Errno::ECHILD) if !self.is_alive() => Fate::Ended(None),
            _ => Fate::Runs,
        }
    }

    fn raw(self) -> Pid {
        Pid::from_raw(self.pid.cast_signed())
    }
}

/// What tells this run of the machine from others, between which ids and start times may repeat; empty where times of
/// start do not depend on it.
pub(super) fn this_boot() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        id.trim().to_owned()
    })
}

#[cfg(target_os = "linux")]
fn birth(pid: u32) -> Option<Birth> {
    birth_in(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// What a line of proc_pid_stat(5) says. The name, in parentheses, may hold anything; behind it come the state, field 3,
/// and the others.
#[cfg(target_os = "linux")]
fn birth_in(stat: &str) -> Option<Birth> {
    const STARTTIME: usize = 22 - 3;
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    let has_ended = fields.first().is_none_or(|state| ["Z", "X", "x"].contains(state));
    Some(Birth { started: fields.get(STARTTIME)?.parse().ok()?, has_ended })
}

#[cfg(target_os = "macos")]
fn birth(pid: u32) -> Option<Birth> {
    use nix::libc::{PROC_PIDTBSDINFO, SZOMB, c_int, proc_bsdinfo, proc_pidinfo};
    let mut info = std::mem::MaybeUninit::<proc_bsdinfo>::zeroed();
    let size = c_int::try_from(size_of::<proc_bsdinfo>()).ok()?;
    let pid = c_int::try_from(pid).ok()?;
    // SAFETY: the call writes at most `size` bytes, which is what `info` has.
    let n_written = unsafe { proc_pidinfo(pid, PROC_PIDTBSDINFO, 0, info.as_mut_ptr().cast(), size) };
    if n_written != size {
        return None;
    }
    // SAFETY: it has been written whole, and any bytes are a value of this struct of integers.
    let info = unsafe { info.assume_init() };
    let started = info.pbi_start_tvsec * 1_000_000 + info.pbi_start_tvusec;
    Some(Birth { started, has_ended: info.pbi_status == SZOMB })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_itself_and_no_other() {
        let this = Identity::of(std::process::id()).unwrap();
        assert!(this.is_alive());
        // As if its id had been given to a later process.
        let earlier = Identity { started: this.started - 1, ..this };
        assert!(!earlier.is_alive());
        earlier.kill();
        earlier.signal(Signal::SIGKILL);
        assert_eq!(Identity::of(u32::MAX), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_start_time_is_found_behind_any_name() {
        let rest = "1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 4711 1000 200";
        let check = |line: String, expected| {
            assert_eq!(birth_in(&line).map(|birth| (birth.started, birth.has_ended)), expected, "{line}");
        };
        check(format!("12 (sh) S {rest}"), Some((4711, false)));
        check(format!("12 (a) Z (b) R {rest}"), Some((4711, false)));
        check(format!("12 (sh) Z {rest}"), Some((4711, true)));
        check("12 (sh) S 1 2 3".into(), None);
        check(String::new(), None);
    }
}
