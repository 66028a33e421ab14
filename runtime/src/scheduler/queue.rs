//! Who is admitted next: the highest priority first; among equals the owner with the fewest sequences in slots, and
//! of these the one whose last turn is longest ago. What one owner sends goes in the order in which it came.

use std::{cmp::Reverse, collections::VecDeque, sync::Arc};

/// What waits for a slot.
pub(super) struct Queue<T> {
    /// Had a slot already and lost it: goes before all others.
    returned: VecDeque<T>,
    /// None is empty.
    lines: Vec<Line<T>>,
    /// Turns given so far.
    turns: u64,
}

/// What one owner sent with one priority.
struct Line<T> {
    owner: Arc<str>,
    priority: i32,
    waiting: VecDeque<T>,
    /// When it had its last turn, or came.
    turn: u64,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { returned: VecDeque::new(), lines: Vec::new(), turns: 0 }
    }
}

impl<T> Queue<T> {
    /// Takes `item` in behind what its owner sent before with the same priority.
    pub(super) fn push(&mut self, owner: &Arc<str>, priority: i32, item: T) {
        let is_its = |line: &&mut Line<T>| line.owner == *owner && line.priority == priority;
        if let Some(line) = self.lines.iter_mut().find(is_its) {
            line.waiting.push_back(item);
            return;
        }
        self.turns += 1;
        let line =
            Line { owner: Arc::clone(owner), priority, waiting: VecDeque::from([item]), turn: self.turns };
        self.lines.push(line);
    }

    /// Takes back what had its turn and goes before all others.
    pub(super) fn give_back(&mut self, item: T) {
        self.returned.push_front(item);
    }

    /// Who is next, where `running` says how many sequences of an owner have slots.
    pub(super) fn next(&self, running: impl Fn(&str) -> usize) -> Option<&T> {
        self.returned.front().or_else(|| self.lines[self.first(running)?].waiting.front())
    }

    /// Takes out whom [`next`](Self::next) shows.
    pub(super) fn take(&mut self, running: impl Fn(&str) -> usize) -> Option<T> {
        if let Some(item) = self.returned.pop_front() {
            return Some(item);
        }
        let idx = self.first(running)?;
        self.turns += 1;
        let line = &mut self.lines[idx];
        line.turn = self.turns;
        let item = line.waiting.pop_front();
        if line.waiting.is_empty() {
            self.lines.swap_remove(idx);
        }
        item
    }

    /// Drops what `keep` does not want.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&T) -> bool) {
        self.returned.retain(&mut keep);
        for line in &mut self.lines {
            line.waiting.retain(&mut keep);
        }
        self.lines.retain(|line| !line.waiting.is_empty());
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.returned.len() + self.lines.iter().map(|line| line.waiting.len()).sum::<usize>()
    }

    fn first(&self, running: impl Fn(&str) -> usize) -> Option<usize> {
        let order = |line: &Line<T>| (Reverse(line.priority), running(&line.owner), line.turn);
        (0..self.lines.len()).min_by_key(|&idx| order(&self.lines[idx]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Admits all of `sent`, `(owner, priority, item)`, one after the other; each keeps its slot.
    fn order(sent: &[(&str, i32, u32)], mut running: Vec<String>) -> Vec<u32> {
        let mut queue = Queue::default();
        for (owner, priority, item) in sent {
            queue.push(&Arc::from(*owner), *priority, (*owner, *item));
        }
        let mut admitted = Vec::new();
        while queue.len() > 0 {
            let count = |owner: &str| running.iter().filter(|running| *running == owner).count();
            let shown = *queue.next(count).unwrap();
            let (owner, item) = queue.take(count).unwrap();
            assert_eq!(shown, (owner, item));
            running.push(owner.into());
            admitted.push(item);
        }
        admitted
    }

    #[test]
    fn owners_take_turns() {
        let check = |sent: &[(&str, i32, u32)], running: &[&str], expected: &[u32]| {
            assert_eq!(order(sent, running.iter().map(|owner| (*owner).into()).collect()), expected);
        };
        check(&[("a", 0, 1), ("a", 0, 2), ("a", 0, 3)], &[], &[1, 2, 3]);
        check(&[("a", 0, 1), ("a", 0, 2), ("a", 0, 3), ("b", 0, 4), ("c", 0, 5)], &[], &[1, 4, 5, 2, 3]);
        // Who has slots already waits for those that have none.
        check(&[("a", 0, 1), ("b", 0, 2), ("b", 0, 3)], &["a", "a"], &[2, 3, 1]);
        // Priority goes before turns.
        check(&[("a", 0, 1), ("b", 5, 2), ("b", 5, 3), ("a", -1, 4)], &["b"], &[2, 3, 1, 4]);
    }

    #[test]
    fn who_lost_a_slot_goes_first() {
        let mut queue = Queue::default();
        queue.push(&Arc::from("a"), 9, 1);
        queue.give_back(2);
        queue.give_back(3);
        assert_eq!(queue.len(), 3);
        let taken: Vec<_> = std::iter::from_fn(|| queue.take(|_| 0)).collect();
        assert_eq!(taken, [3, 2, 1]);
    }

    #[test]
    fn what_is_dropped_leaves_no_line() {
        let mut queue = Queue::default();
        queue.push(&Arc::from("a"), 0, 1);
        queue.push(&Arc::from("b"), 0, 2);
        queue.give_back(3);
        queue.retain(|item| *item == 2);
        assert_eq!((queue.len(), queue.lines.len()), (1, 1));
        assert_eq!(queue.next(|_| 0), Some(&2));
    }
}
