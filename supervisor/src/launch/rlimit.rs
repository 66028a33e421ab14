//! No core dumps: a worker's memory holds prompts.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Sets the soft and the hard limit on core files to zero.
pub fn forbid_core_dumps() -> nix::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)
}

/// The size in bytes of the largest core file that this process may leave.
pub fn core_bytes() -> nix::Result<u64> {
    getrlimit(Resource::RLIMIT_CORE).map(|(soft, _)| soft)
}
