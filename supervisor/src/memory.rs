//! How much memory a process holds.

/// The resident bytes of the process `pid`, where the system tells (Linux: field 2 of `/proc/<pid>/statm`, in
/// pages).
pub fn rss_bytes(pid: u32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    let page_bytes = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
    Some(pages * u64::try_from(page_bytes).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_holds_something() {
        let rss = rss_bytes(std::process::id());
        assert_eq!(rss.is_some_and(|bytes| bytes > 100_000), cfg!(target_os = "linux"), "{rss:?}");
        assert_eq!(rss_bytes(u32::MAX), None);
    }
}
