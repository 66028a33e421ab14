//! Limits of the resources of one process: no core dumps, because a worker's memory holds prompts; no large files from
//! a process that has none to write; and enough descriptors for as many connections as are allowed.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that a child may have open, unless less are allowed to the supervisor. Shells and service managers leave
/// 1,024, for the sake of programs that use `select`; macOS refuses more than `OPEN_MAX`.
const MAX_OPEN_FILES: u64 = if cfg!(target_os = "macos") { 10_240 } else { 65_536 };

/// Sets the soft and the hard limit on core files to zero.
pub fn forbid_core_dumps() -> nix::Result<()> {
    setrlimit(Resource::RLIMIT_CORE, 0, 0)
}

/// The size in bytes of the largest core file that this process may leave.
pub fn core_bytes() -> nix::Result<u64> {
    getrlimit(Resource::RLIMIT_CORE).map(|(soft, _)| soft)
}

/// Sets the soft and the hard limit on the size of files that are written, in bytes; 0 sets none.
pub fn limit_file_size(bytes: u64) -> nix::Result<()> {
    if bytes == 0 { Ok(()) } else { setrlimit(Resource::RLIMIT_FSIZE, bytes, bytes) }
}

/// Sets the soft limit on open descriptors to what the hard one allows, within reason.
pub fn raise_open_files() -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard.min(MAX_OPEN_FILES), hard)
}
