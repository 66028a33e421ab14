//! Whom the kernel ends first when memory runs out: workers before the gateway, the gateway before the
//! supervisor. Linux alone has a say here; elsewhere this does nothing.

use std::io;

#[cfg(target_os = "linux")]
const FILE: &str = "/proc/self/oom_score_adj";

/// Raises the adjustment of this process' badness to `adjust` (-1000 to 1000). One that is higher already stays:
/// lowering it needs a privilege.
#[cfg(target_os = "linux")]
pub fn apply(adjust: i32) -> io::Result<()> {
    let adjust = adjust.max(current().unwrap_or(adjust));
    std::fs::write(FILE, adjust.to_string())
}

/// Adds nothing, because there is no such score here.
#[cfg(not(target_os = "linux"))]
pub fn apply(_adjust: i32) -> io::Result<()> {
    Ok(())
}

/// The adjustment in force, where there is one.
#[cfg(target_os = "linux")]
pub fn current() -> Option<i32> {
    std::fs::read_to_string(FILE).ok()?.trim().parse().ok()
}

/// The adjustment in force, where there is one.
#[cfg(not(target_os = "linux"))]
pub fn current() -> Option<i32> {
    None
}
