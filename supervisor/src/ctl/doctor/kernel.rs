//! What the system offers to confine workers with.

use super::{Finding, Patient};

/// Landlock and seccomp, as the workers that run have them, or as the kernel has them.
pub(super) fn sandbox(patient: Option<&Patient>) -> Vec<Finding> {
    const NAME: &str = "sandbox";
    if patient.is_some_and(|patient| patient.config.workers.values().all(|worker| !worker.sandbox)) {
        return vec![Finding::none(NAME, "it is off (sandbox = false of [workers])")];
    }
    if cfg!(target_os = "macos") {
        return vec![Finding::ok(NAME, "Seatbelt")];
    }
    let mut findings = vec![landlock(system::landlock()), seccomp(system::has_seccomp())];
    let workers = patient.and_then(|patient| patient.status.as_ref()).map(|status| status.workers.as_slice());
    let weak = workers.unwrap_or_default().iter().find(|worker| worker.sandbox.starts_with("none"));
    if let Some(worker) = weak {
        let seen = format!("{} runs with {}", worker.id, worker.sandbox);
        findings.push(Finding::warning(NAME, seen, "give the server a kernel with landlock and seccomp"));
    }
    findings
}

/// By the version of its interface; 0: it is there but not in use.
fn landlock(version: Option<u32>) -> Finding {
    const NAME: &str = "landlock";
    match version {
        Some(0) => Finding::warning(
            NAME,
            "the kernel has it and does not use it",
            "add landlock to the list lsm= of the kernel's command line",
        ),
        Some(version) => Finding::ok(NAME, format!("version {version}")),
        None => Finding::warning(
            NAME,
            "the kernel has none, so workers can read other files of this user",
            "use Linux 5.13 or newer, in a container that allows it",
        ),
    }
}

fn seccomp(is_there: bool) -> Finding {
    const NAME: &str = "seccomp";
    if is_there {
        return Finding::ok(NAME, "the kernel has it");
    }
    Finding::warning(
        NAME,
        "the kernel has none, so workers keep all system calls",
        "use a kernel with CONFIG_SECCOMP_FILTER",
    )
}

#[cfg(target_os = "linux")]
mod system {
    use nix::{errno::Errno, libc};

    /// `LANDLOCK_CREATE_RULESET_VERSION` of landlock_create_ruleset(2).
    const ASK_VERSION: libc::c_uint = 1;

    pub(super) fn landlock() -> Option<u32> {
        // SAFETY: with this flag, no attributes and no size the call makes nothing and reads nothing of ours.
        let answer = unsafe {
            libc::syscall(libc::SYS_landlock_create_ruleset, std::ptr::null::<u8>(), 0_usize, ASK_VERSION)
        };
        match u32::try_from(answer) {
            Ok(version) => Some(version),
            Err(_) if Errno::last() == Errno::EOPNOTSUPP => Some(0),
            Err(_) => None,
        }
    }

    pub(super) fn has_seccomp() -> bool {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        status.lines().any(|line| line.starts_with("Seccomp:"))
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    pub(super) fn landlock() -> Option<u32> {
        None
    }

    pub(super) fn has_seccomp() -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_told() {
        let check = |finding: &Finding, verdict: &str, seen: &str| {
            let text = super::super::text(std::slice::from_ref(finding));
            let told = text.lines().nth(1).unwrap_or_default();
            assert!(told.starts_with(verdict) && told.contains(seen), "{told}");
        };
        check(&landlock(Some(7)), "ok", "version 7");
        check(&landlock(Some(0)), "warning", "lsm=");
        check(&landlock(None), "warning", "5.13");
        check(&seccomp(true), "ok", "the kernel has it");
        check(&seccomp(false), "warning", "CONFIG_SECCOMP_FILTER");
    }
}
