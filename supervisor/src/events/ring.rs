//! The last events.

use std::collections::VecDeque;

use super::{Batch, Event};

/// Events that are remembered.
const MAX_EVENTS: usize = 1000;

/// The last events, in order.
#[derive(Debug, Default)]
pub(super) struct Ring {
    events: VecDeque<Event>,
    /// The number of the last one that there was.
    last: u64,
}

impl Ring {
    pub(super) fn next(&self) -> u64 {
        self.last + 1
    }

    pub(super) fn push(&mut self, event: Event) {
        self.last = event.number;
        self.events.push_back(event);
        if self.events.len() > MAX_EVENTS {
            self.events.pop_front();
        }
    }

    pub(super) fn from(&self, first: u64, max: usize) -> Batch {
        let oldest = self.events.front().map_or(self.next(), |event| event.number);
        let later = self.events.iter().skip_while(|event| event.number < first);
        // Who asks for all that there is has missed nothing.
        let missed = if first == 0 { 0 } else { oldest.saturating_sub(first) };
        Batch { missed, events: later.take(max).cloned().collect() }
    }

    pub(super) fn since(&self, unix_ms: u64) -> u64 {
        let first = self.events.iter().find(|event| event.unix_ms >= unix_ms);
        first.map_or(self.next(), |event| event.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::Kind;

    fn filled(n: u64) -> Ring {
        let mut ring = Ring::default();
        for number in 1..=n {
            ring.push(Event {
                number,
                unix_ms: number * 10,
                kind: Kind::ModelReady,
                subject: "tiny".into(),
                message: String::new(),
                fields: [].into(),
            });
        }
        ring
    }

    fn numbers(ring: &Ring, first: u64, max: usize) -> (u64, Vec<u64>) {
        let batch = ring.from(first, max);
        (batch.missed, batch.events.iter().map(|event| event.number).collect())
    }

    #[test]
    fn who_comes_late_is_told_of_the_gap() {
        let ring = filled(5);
        assert_eq!(numbers(&ring, 4, 9), (0, vec![4, 5]));
        assert_eq!(numbers(&ring, 0, 2), (0, vec![1, 2]));
        assert_eq!(numbers(&ring, 6, 2), (0, vec![]));
        let n = MAX_EVENTS as u64;
        let ring = filled(n + 10);
        assert_eq!(numbers(&ring, 3, 1), (8, vec![11]));
        assert_eq!(numbers(&ring, 0, 1), (0, vec![11]));
        assert_eq!(ring.events.len(), MAX_EVENTS);
    }

    #[test]
    fn times_are_found() {
        let ring = filled(5);
        let check = |unix_ms, expected| assert_eq!(ring.since(unix_ms), expected, "{unix_ms}");
        check(0, 1);
        check(30, 3);
        check(31, 4);
        check(99, 6);
        assert_eq!(Ring::default().since(0), 1);
    }
}
