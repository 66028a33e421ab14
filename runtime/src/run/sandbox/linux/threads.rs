//! Landlock confines one thread. This applies a ruleset to all threads of the process, those of engine libraries
//! among them, as the C library does with user ids: each is sent a signal whose handler makes the call. Without it, an
//! attacker in one thread could have another read for it.

use std::{
    collections::BTreeSet,
    fs, io,
    os::fd::{AsRawFd, BorrowedFd},
    sync::atomic::{AtomicI32, AtomicUsize, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use nix::{
    errno::Errno,
    libc::{SYS_landlock_restrict_self, SYS_tgkill, c_int, syscall},
    sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
    unistd::getpid,
};

/// The signal: one that nobody uses, and that does no harm when it comes too late.
const SIGNAL: Signal = Signal::SIGURG;
/// How long the threads may take to notice, together.
const PATIENCE: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_micros(50);

/// The ruleset for the handler.
static RULESET: AtomicI32 = AtomicI32::new(-1);
/// How many threads have made the call, and the error of the last that was refused.
static N_CALLS: AtomicUsize = AtomicUsize::new(0);
static REFUSAL: AtomicI32 = AtomicI32::new(0);

/// Why not every thread is confined.
#[derive(Debug, thiserror::Error)]
pub(super) enum ThreadsError {
    #[error("the threads of this process cannot be listed: {0}")]
    List(io::Error),
    #[error("threads cannot be told: {0}")]
    Signal(Errno),
    #[error("the kernel refuses: {0}")]
    Refused(Errno),
    #[error("{n} threads do not listen")]
    Deaf { n: usize },
}

/// Applies `ruleset` to every thread. Called once in a process, by one thread.
pub(super) fn restrict_all(ruleset: BorrowedFd<'_>) -> Result<(), ThreadsError> {
    RULESET.store(ruleset.as_raw_fd(), Ordering::Release);
    let handler = SigAction::new(SigHandler::Handler(restrict), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler makes one system call and touches nothing but atomics and `errno`, which it restores.
    let former = unsafe { sigaction(SIGNAL, &handler) }.map_err(ThreadsError::Signal)?;
    let told = tell_all();
    // SAFETY: this is what was installed before.
    unsafe { sigaction(SIGNAL, &former) }.map_err(ThreadsError::Signal)?;
    match (told?, REFUSAL.load(Ordering::Acquire)) {
        (_, refusal) if refusal != 0 => Err(ThreadsError::Refused(Errno::from_raw(refusal))),
        (0, _) => Ok(()),
        (n, _) => Err(ThreadsError::Deaf { n }),
    }
}

/// Tells one thread after the other, until no new one turns up: one that was not told yet may start others. Answers how
/// many did not listen.
fn tell_all() -> Result<usize, ThreadsError> {
    let deadline = Instant::now() + PATIENCE;
    let (mut told, mut n_deaf) = (BTreeSet::new(), 0);
    loop {
        let threads = list().map_err(ThreadsError::List)?;
        let news: Vec<c_int> = threads.difference(&told).copied().collect();
        if news.is_empty() {
            return Ok(n_deaf);
        }
        for thread in news {
            told.insert(thread);
            n_deaf += usize::from(!tell(thread, deadline)?);
        }
    }
}

/// Whether the thread has made the call, or is gone.
fn tell(thread: c_int, deadline: Instant) -> Result<bool, ThreadsError> {
    let n_calls = N_CALLS.load(Ordering::Acquire);
    // SAFETY: the call takes numbers and has no effect on memory.
    let sent = unsafe { syscall(SYS_tgkill, getpid().as_raw(), thread, SIGNAL as c_int) };
    match Errno::result(sent) {
        Ok(_) => {}
        Err(Errno::ESRCH) => return Ok(true),
        Err(error) => return Err(ThreadsError::Signal(error)),
    }
    while N_CALLS.load(Ordering::Acquire) == n_calls {
        if !fs::exists(format!("/proc/self/task/{thread}")).unwrap_or(true) {
            return Ok(true);
        }
        if Instant::now() > deadline {
            return Ok(false);
        }
        sleep(PAUSE);
    }
    Ok(true)
}

fn list() -> io::Result<BTreeSet<c_int>> {
    let entries = fs::read_dir("/proc/self/task")?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

extern "C" fn restrict(_signal: c_int) {
    let interrupted = Errno::last_raw();
    // SAFETY: the call takes numbers and has no effect on memory.
    let outcome = unsafe { syscall(SYS_landlock_restrict_self, RULESET.load(Ordering::Acquire), 0) };
    if outcome != 0 {
        REFUSAL.store(Errno::last_raw(), Ordering::Release);
    }
    N_CALLS.fetch_add(1, Ordering::AcqRel);
    Errno::set_raw(interrupted);
}
