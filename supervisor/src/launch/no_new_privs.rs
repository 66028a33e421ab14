//! No program that a child starts has more rights than the child, whatever its file says; also what lets a process
//! confine itself without being root. Linux alone knows it.

/// Gives up gaining rights by `exec`, for good.
#[cfg(target_os = "linux")]
pub fn apply() -> nix::Result<()> {
    nix::sys::prctl::set_no_new_privs()
}

/// Gives up nothing, because there is no such thing here.
#[cfg(not(target_os = "linux"))]
pub fn apply() -> nix::Result<()> {
    Ok(())
}
