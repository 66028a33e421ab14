//! The last lines of each process, within bounds.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use super::Line;

/// Lines kept of one source.
const MAX_LINES: usize = 1000;
/// Bytes kept of one source.
const MAX_BYTES: usize = 128 << 10;
/// Sources kept; the one that was silent for longest goes first.
const MAX_SOURCES: usize = 32;

/// The last lines of all sources.
#[derive(Debug, Default)]
pub(super) struct Rings {
    next: u64,
    rings: HashMap<Arc<str>, Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<Line>,
    n_bytes: usize,
}

impl Rings {
    /// Adds a line to the ring of `source` and numbers it.
    pub(super) fn push(&mut self, source: &Arc<str>, text: &str) -> Line {
        if !self.rings.contains_key(source) {
            self.make_room();
        }
        let line = Line { number: self.next, source: source.clone(), text: text.into() };
        self.next += 1;
        self.rings.entry(source.clone()).or_default().push(line.clone());
        line
    }

    /// The last `n` lines of `source` (or of all), oldest first.
    pub(super) fn tail(&self, source: Option<&str>, n: usize) -> Vec<Line> {
        let wanted = |name: &str| source.is_none_or(|source| source == name);
        let mut lines: Vec<Line> = self
            .rings
            .iter()
            .filter(|(name, _)| wanted(name))
            .flat_map(|(_, ring)| ring.lines.iter().rev().take(n).cloned())
            .collect();
        lines.sort_unstable_by_key(|line| line.number);
        lines.split_off(lines.len().saturating_sub(n))
    }

    /// The number that the next line gets.
    pub(super) fn next_number(&self) -> u64 {
        self.next
    }

    pub(super) fn knows(&self, source: &str) -> bool {
        self.rings.contains_key(source)
    }

    fn make_room(&mut self) {
        while self.rings.len() >= MAX_SOURCES {
            let last_line = |ring: &Ring| ring.lines.back().map(|line| line.number);
            let Some(silent) = self.rings.iter().min_by_key(|(_, ring)| last_line(ring)) else { return };
            let silent = silent.0.clone();
            self.rings.remove(&silent);
        }
    }
}

impl Ring {
    fn push(&mut self, line: Line) {
        self.n_bytes += line.text.len();
        self.lines.push_back(line);
        while self.lines.len() > MAX_LINES || (self.n_bytes > MAX_BYTES && self.lines.len() > 1) {
            let Some(old) = self.lines.pop_front() else { return };
            self.n_bytes -= old.text.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(lines: &[Line]) -> Vec<&str> {
        lines.iter().map(|line| &*line.text).collect()
    }

    #[test]
    fn tails_merge_in_order() {
        let mut rings = Rings::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        for (source, text) in [(&a, "1"), (&b, "2"), (&a, "3"), (&b, "4")] {
            rings.push(source, text);
        }
        assert_eq!(texts(&rings.tail(None, 3)), ["2", "3", "4"]);
        assert_eq!(texts(&rings.tail(Some("a"), 9)), ["1", "3"]);
        assert_eq!(texts(&rings.tail(Some("c"), 9)), [""; 0]);
    }

    #[test]
    fn bounds_hold() {
        let mut rings = Rings::default();
        let text = "x".repeat(1000);
        for source in 0..100 {
            let source: Arc<str> = format!("s{source}").into();
            for _ in 0..200 {
                rings.push(&source, &text);
            }
        }
        assert_eq!(rings.rings.len(), MAX_SOURCES);
        assert!(rings.knows("s99") && !rings.knows("s0"));
        assert!(rings.rings.values().all(|ring| ring.n_bytes <= MAX_BYTES && ring.lines.len() <= MAX_LINES));
        assert_eq!(rings.tail(Some("s99"), 1000).len(), MAX_BYTES / 1000);
    }
}
