//! How a child process comes to be: the supervisor re-executes itself as a single-threaded shim, which applies
//! one limit after another to itself (a file each) and then becomes the program. So nothing of ours ever runs
//! between `fork` and `exec` of a threaded process.

pub mod cgroup;
pub mod descriptors;
pub mod environment;
pub mod no_new_privs;
pub mod oom_score;
pub mod rlimit;
pub mod session;
pub mod shim;
mod spawn;

pub use spawn::{Launch, LaunchError, Launched, Launcher};

/// The hidden first argument that turns a supervisor into the shim.
pub const SHIM_ARGUMENT: &str = "__launch";
