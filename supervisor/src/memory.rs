//! How much memory a process holds.

/// The resident bytes of the process `pid`, where the system tells (Linux: field 2 of `/proc/<pid>/statm`, in
/// pages).
pub fn rss_bytes(pid: u32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    let page_bytes = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    Some(pages * u64::try_from(page_bytes).ok()?)
}

/// The bytes of the process `pid` that are in no file, and so would be free without it, where the system tells (Linux:
/// `RssAnon` and `RssShmem` of proc_pid_status(5)).
pub fn unshared_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kibibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    };
    kibibytes("RssAnon:")?.saturating_add(kibibytes("RssShmem:")?).checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_holds_something() {
        let rss = rss_bytes(std::process::id());
        assert_eq!(rss.is_some_and(|bytes| bytes > 100_000), cfg!(target_os = "linux"), "{rss:?}");
        assert_eq!(rss_bytes(u32::MAX), None);
        let unshared = unshared_bytes(std::process::id());
        assert_eq!(unshared.is_some_and(|bytes| bytes > 0 && Some(bytes) < rss), cfg!(target_os = "linux"));
        assert_eq!(unshared_bytes(u32::MAX), None);
    }
}
