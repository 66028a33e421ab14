//! `/proc/meminfo` (proc_meminfo(5)).

use super::Room;

/// The machine's RAM, and what a new program could have of it without swapping.
pub(super) fn room() -> Option<Room> {
    parse(&std::fs::read_to_string("/proc/meminfo").ok()?)
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
}
