//! Tables and figures for people.

use std::{fmt, time::Duration};

use impetus_config::Moment;

/// Rows under headings, each column as wide as its widest cell.
#[derive(Debug)]
pub(super) struct Table<const N: usize> {
    headings: [&'static str; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(headings: &[&'static str; N]) -> Self {
        Self { headings: *headings, rows: Vec::new() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(super) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells);
    }
}

impl<const N: usize> fmt::Display for Table<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headings = self.headings.map(str::to_owned);
        let lines = || std::iter::once(&headings).chain(&self.rows);
        let width = |column: usize| {
            lines().filter_map(|cells| cells.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..N).map(width).collect();
        for cells in lines() {
            let padded: Vec<String> =
                cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            writeln!(f, "{}", padded.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// Bytes in binary units, "-" when unknown.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    if bytes == 0 {
        return "-".into();
    }
    let mut value = bytes as f64;
    let mut units = UNITS.iter();
    let mut unit = units.next().unwrap_or(&"B");
    while value >= 1024.0
        && let Some(next) = units.next()
    {
        (value, unit) = (value / 1024.0, next);
    }
    if *unit == "B" { format!("{bytes} B") } else { format!("{value:.1} {unit}") }
}

/// Bytes in binary units, also where there are none.
pub(super) fn amount(bytes: u64) -> String {
    if bytes == 0 { "0 B".into() } else { size(bytes) }
}

/// A count in thousands, millions, ...; "-" when unknown.
pub(super) fn count(n: u64) -> String {
    match n {
        0 => "-".into(),
        1..=99_999 => n.to_string(),
        100_000..=999_999_999 => format!("{:.1} M", n as f64 / 1e6),
        _ => format!("{:.1} B", n as f64 / 1e9),
    }
}

/// A time in its two largest units.
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds % 86_400 / 3_600),
    }
}

/// A moment, to the millisecond.
pub(super) fn stamp(unix_ms: u64) -> String {
    let second = Moment(unix_ms / 1000).to_string();
    // Midnight is written as a date alone.
    let (date, time) = second.trim_end_matches('Z').split_once('T').unwrap_or((&second, "00:00:00"));
    format!("{date}T{time}.{:03}Z", unix_ms % 1000)
}

/// The text, or "-" when there is none.
pub(super) fn dash(text: &str) -> String {
    if text.is_empty() { "-".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures() {
        let check = |got: String, expected: &str| assert_eq!(got, expected);
        check(size(0), "-");
        check(size(1023), "1023 B");
        check(size(1536), "1.5 KiB");
        check(size(5 << 30), "5.0 GiB");
        check(size(u64::MAX), "16777216.0 TiB");
        check(amount(0), "0 B");
        check(amount(1 << 20), "1.0 MiB");
        check(count(0), "-");
        check(count(32_768), "32768");
        check(count(2_600_000), "2.6 M");
        check(count(7_240_000_000), "7.2 B");
        check(duration(Duration::from_secs(59)), "59 s");
        check(duration(Duration::from_secs(61)), "1 min 1 s");
        check(duration(Duration::from_secs(7_300)), "2 h 1 min");
        check(duration(Duration::from_secs(200_000)), "2 d 7 h");
        check(stamp(1_700_000_000_007), "2023-11-14T22:13:20.007Z");
        check(stamp(86_400_000), "1970-01-02T00:00:00.000Z");
    }

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let mut table = Table::new(&["A", "LONG", "C"]);
        table.row(["ünïcödé".into(), "x".into(), String::new()]);
        assert_eq!(table.to_string(), "A        LONG  C\nünïcödé  x\n");
    }
}
