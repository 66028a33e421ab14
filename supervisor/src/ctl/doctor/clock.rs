//! The clock, by which keys expire and certificates hold.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Finding;

const NAME: &str = "clock";

/// The first of January 2026: no program of this version is older.
const THIS_IS_OLDER: Duration = Duration::from_hours(490_896);

pub(super) fn finding() -> Finding {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    judged(now, is_kept())
}

fn judged(now: Duration, is_kept: Option<bool>) -> Finding {
    let advice = "have the system keep it by the network (systemd-timesyncd, chrony)";
    match is_kept {
        _ if now < THIS_IS_OLDER => Finding::error(NAME, "it stands before this program was made", advice),
        Some(false) => Finding::warning(NAME, "nothing keeps it", advice),
        Some(true) => Finding::ok(NAME, "kept by the network"),
        None => Finding::ok(NAME, "plausible"),
    }
}

/// Whether the kernel is told by somebody what time it is (adjtimex(2)).
#[cfg(target_os = "linux")]
fn is_kept() -> Option<bool> {
    use nix::libc;

    // SAFETY: all of it are numbers, for which zero is a value; without modes the call only reads.
    let state = unsafe {
        let mut time: libc::timex = std::mem::zeroed();
        libc::adjtimex(&raw mut time)
    };
    (state >= 0).then_some(state != libc::TIME_ERROR)
}

#[cfg(not(target_os = "linux"))]
fn is_kept() -> Option<bool> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_kept_or_not() {
        let check = |now: Duration, is_kept, verdict: &str| {
            let text = super::super::text(&[judged(now, is_kept)]);
            assert!(text.lines().nth(1).unwrap_or_default().starts_with(verdict), "{text}");
        };
        check(THIS_IS_OLDER, Some(true), "ok");
        check(THIS_IS_OLDER, None, "ok");
        check(THIS_IS_OLDER, Some(false), "warning");
        check(Duration::ZERO, Some(true), "error");
    }
}
