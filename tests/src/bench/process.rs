//! What the kernel says of a process, where it says it (Linux).

use std::{fs, time::Duration};

/// Microseconds of a clock tick in `/proc`, which is 1/100 s on every Linux that matters.
const TICK_US: u64 = 10_000;

/// Memory of one process, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Memory {
    /// Resident pages.
    pub(super) rss: u64,
    /// Resident pages, those that are shared divided by who shares them.
    pub(super) pss: u64,
}

/// The memory of `pid` now.
pub(super) fn memory(pid: u32) -> Option<Memory> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    Some(Memory { rss: kilobytes(&rollup, "Rss:")?, pss: kilobytes(&rollup, "Pss:")? })
}

/// Processor time that all threads of `pid` have used so far.
pub(super) fn cpu(pid: u32) -> Option<Duration> {
    cpu_of_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The processor's name and how many of it there are.
pub(super) fn processor() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let name = name.map_or("an unknown processor", |(_, name)| name.trim());
    format!("{cores} cores of {name}")
}

/// Processes that run or want to, averaged over the last minute.
pub(super) fn load() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

fn kilobytes(rollup: &str, field: &str) -> Option<u64> {
    let rest = rollup.lines().find_map(|line| line.strip_prefix(field))?;
    Some(rest.split_whitespace().next()?.parse::<u64>().ok()? * 1024)
}

/// Fields 14 and 15 of proc_pid_stat(5), counted from behind the name, which may contain anything.
fn cpu_of_stat(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let ticks = fields.split_whitespace().skip(11).take(2).map(str::parse::<u64>);
    let ticks = ticks.sum::<Result<u64, _>>().ok()?;
    Some(Duration::from_micros(ticks * TICK_US))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "12 (a ) b) S 1 12 12 0 -1 4194304 80 0 0 0 250 50 3 4 20 0 1 0 100";
        assert_eq!(cpu_of_stat(stat), Some(Duration::from_secs(3)));
        assert_eq!(cpu_of_stat("12 (a"), None);
    }

    #[test]
    fn memory_is_in_bytes() {
        let rollup = "55d-7ff ---p 00000000 00:00 0 [rollup]\nRss:  12 kB\nPss:   3 kB\n";
        assert_eq!(kilobytes(rollup, "Rss:"), Some(12 * 1024));
        assert_eq!(kilobytes(rollup, "Swap:"), None);
    }
}
