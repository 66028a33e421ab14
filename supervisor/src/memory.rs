//! How much memory a process holds.

#[cfg(target_os = "macos")]
mod rusage;

/// The resident bytes of the process `pid`, where the system tells (Linux: field 2 of `/proc/<pid>/statm`, in pages;
/// macOS: `ri_resident_size`).
pub fn rss_bytes(pid: u32) -> Option<u64> {
    #[cfg(target_os = "macos")]
    return rusage::of(pid).map(|usage| usage.ri_resident_size);
    #[cfg(not(target_os = "macos"))]
    {
        let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
        let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
        let page_bytes = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
        Some(pages * u64::try_from(page_bytes).ok()?)
    }
}

/// The bytes of the process `pid` that are in no file, and so would be free without it, where the system tells (Linux:
/// `RssAnon` and `RssShmem` of proc_pid_status(5)).
pub fn unshared_bytes(pid: u32) -> Option<u64> {
    status_bytes(pid, &["RssAnon:", "RssShmem:"])
}

/// The bytes that count against a limit of the process `pid`: those in no file, whether in RAM or swapped out.
///
/// Weights that are mapped from a file are part of what a worker is given, but the kernel can take their pages away
/// at any time, and does so before it ends a process at the limit of its control group. Who looks from outside must
/// therefore leave them out, or it would end workers that the kernel would let live.
///
/// Linux: `RssAnon`, `RssShmem` and `VmSwap` of proc_pid_status(5); macOS: `ri_phys_footprint`.
pub fn held_bytes(pid: u32) -> Option<u64> {
    #[cfg(target_os = "macos")]
    return rusage::of(pid).map(|usage| usage.ri_phys_footprint);
    #[cfg(not(target_os = "macos"))]
    status_bytes(pid, &["RssAnon:", "RssShmem:", "VmSwap:"])
}

/// The sum of these fields of `/proc/<pid>/status`; only the first has to be there.
fn status_bytes(pid: u32, names: &[&str]) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kibibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    let (first, others) = names.split_first()?;
    let others = others.iter().filter_map(|name| kibibytes(name));
    others.fold(kibibytes(first)?, u64::saturating_add).checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_holds_something() {
        let rss = rss_bytes(std::process::id());
        let is_known = cfg!(any(target_os = "linux", target_os = "macos"));
        assert_eq!(rss.is_some_and(|bytes| bytes > 100_000), is_known, "{rss:?}");
        assert_eq!(rss_bytes(u32::MAX), None);
        let unshared = unshared_bytes(std::process::id());
        assert_eq!(unshared.is_some_and(|bytes| bytes > 0 && Some(bytes) < rss), cfg!(target_os = "linux"));
        assert_eq!(unshared_bytes(u32::MAX), None);
        let held = held_bytes(std::process::id());
        assert_eq!(held.is_some_and(|bytes| bytes > 0), is_known);
        assert_eq!(held_bytes(u32::MAX), None);
    }
}
