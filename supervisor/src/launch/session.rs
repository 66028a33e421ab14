//! A session, and with it a process group, of its own: Ctrl-C in the supervisor's terminal reaches the
//! supervisor alone, and a child can be ended together with whatever it started.

use nix::{
    sys::signal::{SigSet, SigmaskHow, sigprocmask},
    unistd::{getpgrp, getpid, setsid},
};

/// Begins a new session with this process as its leader, and clears the inherited signal mask.
pub fn begin() -> nix::Result<()> {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
    setsid().map(drop)
}

/// Whether this process leads its own process group.
pub fn is_leader() -> bool {
    getpgrp() == getpid()
}
