//! Who keeps how much.

use std::collections::HashMap;

/// What is kept, and by whom.
#[derive(Debug, Clone, Default)]
pub(super) struct Held {
    all: Total,
    callers: HashMap<String, Total>,
}

/// A number of responses, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Total {
    pub(super) responses: u64,
    pub(super) bytes: u64,
}

impl Held {
    /// Everybody's.
    pub(super) fn all(&self) -> Total {
        self.all
    }

    /// This caller keeps these as well.
    pub(super) fn add(&mut self, caller: &str, total: Total) {
        for held in [&mut self.all, self.callers.entry(caller.to_owned()).or_default()] {
            held.responses += total.responses;
            held.bytes += total.bytes;
        }
    }

    /// This caller keeps one more, of so many bytes.
    pub(super) fn came(&mut self, caller: &str, bytes: u64) {
        self.add(caller, Total { responses: 1, bytes });
    }

    /// One of this caller's has so many bytes more.
    pub(super) fn grew(&mut self, caller: &str, bytes: u64) {
        self.add(caller, Total { responses: 0, bytes });
    }

    /// This caller keeps one less, of so many bytes.
    pub(super) fn gone(&mut self, caller: &str, bytes: u64) {
        for held in [Some(&mut self.all), self.callers.get_mut(caller)].into_iter().flatten() {
            held.responses = held.responses.saturating_sub(1);
            held.bytes = held.bytes.saturating_sub(bytes);
        }
        self.callers.retain(|_, held| held.responses > 0);
    }

    /// Who keeps most, as `measure` has it, of those who are not `spared`.
    pub(super) fn most(&self, measure: fn(&Total) -> u64, spared: &[String]) -> Option<String> {
        let callers = self.callers.iter().filter(|(caller, _)| !spared.contains(caller));
        // Of equals always the same one.
        callers.max_by_key(|(caller, held)| (measure(held), *caller)).map(|(caller, _)| caller.clone())
    }
}
