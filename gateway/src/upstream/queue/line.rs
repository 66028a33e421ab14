//! The line of one model: first come, first served, and only so many at once.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::Notify;

/// Requests served at once by a model that no worker was lent of yet: those of a worker with the usual four slots.
const ASSUMED_AT_ONCE: usize = 8;

/// The requests for one model, by number; lower ones came earlier.
#[derive(Debug, Default)]
pub(super) struct Line {
    /// How many may be served at once, once a worker has said so.
    at_once: Option<usize>,
    served: BTreeSet<u64>,
    waiting: BTreeMap<u64, Waiting>,
}

#[derive(Debug)]
struct Waiting {
    /// It can begin; before, it waits for a worker and holds up nobody.
    is_ready: bool,
    turn: Arc<Notify>,
}

impl Line {
    /// Whether one more can enter, when `max_waiting` may wait beyond those that are served.
    pub(super) fn has_room(&self, max_waiting: usize) -> bool {
        self.served.len() + self.waiting.len() < self.at_once().saturating_add(max_waiting)
    }

    /// Takes a request in, which is told of its `turn` once it has asked for it.
    pub(super) fn enter(&mut self, number: u64, turn: Arc<Notify>) {
        self.waiting.insert(number, Waiting { is_ready: false, turn });
    }

    /// The worker serves `at_once` of them.
    pub(super) fn serve(&mut self, at_once: usize) {
        self.at_once = Some(at_once);
        self.advance();
    }

    /// The request can begin now, or go on after it has left; answers whether it is its turn.
    pub(super) fn ask(&mut self, number: u64, turn: &Arc<Notify>) -> bool {
        if !self.served.contains(&number) {
            self.waiting.insert(number, Waiting { is_ready: true, turn: turn.clone() });
            self.advance();
        }
        self.served.contains(&number)
    }

    /// The request is over, gave up, or needs no turn for a while.
    pub(super) fn leave(&mut self, number: u64) {
        self.served.remove(&number);
        self.waiting.remove(&number);
        self.advance();
    }

    /// How many are served at once.
    pub(super) fn at_once(&self) -> usize {
        self.at_once.unwrap_or(ASSUMED_AT_ONCE)
    }

    /// How many wait, for a worker or for their turn.
    pub(super) fn n_waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Whether a worker was ever lent for it.
    pub(super) fn is_served(&self) -> bool {
        self.at_once.is_some()
    }

    /// Whether nobody is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.served.is_empty() && self.waiting.is_empty()
    }

    /// Gives free turns to those that wait longest among those that can begin.
    fn advance(&mut self) {
        while self.served.len() < self.at_once()
            && let Some(number) = self.waiting.iter().find(|(_, waiting)| waiting.is_ready).map(|(n, _)| *n)
        {
            if let Some(waiting) = self.waiting.remove(&number) {
                waiting.turn.notify_one();
            }
            self.served.insert(number);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Act {
        Enter,
        /// The request of this place among those present asks for its turn.
        Ask(usize),
        /// It leaves, whether it was served or not.
        Leave(usize),
        /// One that has left asks again, as the one it was.
        Return(usize),
        Serve(usize),
    }

    fn acts() -> impl Strategy<Value = Vec<Act>> {
        let act = prop_oneof![
            4 => Just(Act::Enter),
            4 => (0..16_usize).prop_map(Act::Ask),
            3 => (0..16_usize).prop_map(Act::Leave),
            1 => (0..16_usize).prop_map(Act::Return),
            1 => (1..6_usize).prop_map(Act::Serve),
        ];
        prop::collection::vec(act, 0..120)
    }

    proptest! {
        /// Whatever happens: no more are served than may be, nobody who can begin waits beside a free turn, nobody
        /// overtakes, a turn once given is kept, and the line is never longer than it may be.
        #[test]
        fn the_line_is_fair(acts in acts(), max_waiting in 0..6_usize) {
            let mut line = Line::default();
            let turn = Arc::new(Notify::new());
            let mut next = 0;
            let mut gone: Vec<u64> = Vec::new();
            for act in acts {
                let present: Vec<u64> = line.served.iter().chain(line.waiting.keys()).copied().collect();
                let pick = |idx: usize| present.get(idx % present.len().max(1)).copied();
                let before = line.served.clone();
                let mut left = None;
                match act {
                    Act::Enter => {
                        if line.has_room(max_waiting) {
                            line.enter(next, turn.clone());
                            next += 1;
                            prop_assert!(present.len() < line.at_once() + max_waiting);
                        } else {
                            prop_assert!(present.len() >= line.at_once() + max_waiting);
                        }
                    }
                    Act::Ask(idx) => {
                        if let Some(number) = pick(idx) {
                            prop_assert_eq!(line.ask(number, &turn), line.served.contains(&number));
                        }
                    }
                    Act::Return(idx) => {
                        if !gone.is_empty() {
                            line.ask(gone.swap_remove(idx % gone.len()), &turn);
                        }
                    }
                    Act::Leave(idx) => {
                        left = pick(idx);
                        if let Some(number) = left {
                            line.leave(number);
                            gone.push(number);
                        }
                        prop_assert!(left.is_none_or(|number| !line.served.contains(&number)));
                    }
                    Act::Serve(at_once) => line.serve(at_once),
                }
                let ready: Vec<u64> =
                    line.waiting.iter().filter(|(_, waiting)| waiting.is_ready).map(|(n, _)| *n).collect();
                let begun: Vec<u64> = line.served.difference(&before).copied().collect();
                prop_assert!(begun.is_empty() || line.served.len() <= line.at_once());
                prop_assert!(ready.is_empty() || line.served.len() >= line.at_once());
                if let (Some(last), Some(first)) = (begun.last(), ready.first()) {
                    prop_assert!(last < first, "{} overtook {}", last, first);
                }
                for kept in before.iter().filter(|number| Some(**number) != left) {
                    prop_assert!(line.served.contains(kept));
                }
            }
        }
    }
}
