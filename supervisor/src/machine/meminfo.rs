//! `/proc/meminfo` (proc_meminfo(5)).

use super::Room;

/// The machine's RAM, and what a new program could have of it without swapping.
pub(super) fn room() -> Option<Room> {
    parse(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// What can be swapped out, and what is.
pub(super) fn swap() -> Option<(u64, u64)> {
    parse_swap(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn parse_swap(text: &str) -> Option<(u64, u64)> {
    let (total, free) = (field(text, "SwapTotal:")?, field(text, "SwapFree:")?);
    Some((total, total.saturating_sub(free)))
}

fn parse(text: &str) -> Option<Room> {
    Some(Room { total: field(text, "MemTotal:")?, available: field(text, "MemAvailable:")? })
}

/// A field in kibibytes, in bytes.
fn field(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name))?;
    rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn total_and_available_are_found_or_nothing() {
        let check = |text: &str, expected: Option<(u64, u64)>| {
            assert_eq!(parse(text).map(|room| (room.total, room.available)), expected, "{text}");
        };
        let real = "MemTotal:       24683960 kB\nMemFree:        21279284 kB\nMemAvailable:   24084324 kB\n";
        check(real, Some((24_683_960 << 10, 24_084_324 << 10)));
        check("MemTotal: 5 kB\n", None);
        check("MemTotal: 5 kB\nMemAvailable: -1 kB\n", None);
        check("MemTotal: 5 kB\nMemAvailable: 18446744073709551615 kB\n", None);
        check("", None);
    }

    #[test]
    fn swap_is_what_is_not_free() {
        assert_eq!(parse_swap("SwapTotal: 4 kB\nSwapFree: 1 kB\n"), Some((4096, 3072)));
        assert_eq!(parse_swap("SwapTotal: 0 kB\nSwapFree: 0 kB\n"), Some((0, 0)));
        assert_eq!(parse_swap("SwapTotal: 4 kB\n"), None);
    }
}
