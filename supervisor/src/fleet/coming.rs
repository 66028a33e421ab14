//! Memory that becomes free without anybody else being asked for it.

use tokio::time::Instant;

use super::Fleet;
use crate::{
    budget::{Memory, RAM},
    worker::{Leave, Nursery},
};

/// What will be free.
#[derive(Debug, Default)]
pub(super) struct Coming {
    /// In a moment: what workers that go now hold, and what others give up of their prefixes.
    pub(super) soon: Memory,
    /// When those who hold workers that leave have done with them.
    pub(super) late: Memory,
    /// A seat waits for what is late, and all else waits for that: what is left then counts as coming soon.
    pub(super) is_awaited: bool,
}

impl Coming {
    /// All of it.
    pub(super) fn all(&self) -> Memory {
        self.soon.plus(&self.late)
    }

    /// What is there in a moment whatever requests do.
    pub(super) fn at_once(&self) -> Memory {
        if self.is_awaited { Memory::default() } else { self.soon.clone() }
    }

    /// Keeps `bytes` for a seat, of what comes first.
    pub(super) fn keep(&mut self, bytes: &Memory) {
        self.late = self.late.minus(&bytes.minus(&self.soon));
        self.soon = self.soon.minus(bytes);
    }

    /// Keeps `bytes` for a seat that waits for them, however late they are. Those who came later wait for the rest: what
    /// they would take from others until then, that seat would get first.
    pub(super) fn await_for(&mut self, bytes: &Memory) {
        // Others give up RAM alone.
        let is_awaited = self.is_awaited || bytes.of(RAM) > self.soon.of(RAM);
        *self = Self { soon: self.all().minus(bytes), late: Memory::default(), is_awaited };
    }
}

impl<N: Nursery> Fleet<N> {
    /// What becomes free of what all workers hold.
    pub(super) fn coming(&self, now: Instant) -> Coming {
        let mut coming = Coming::default();
        for entry in self.workers.values() {
            let Some(placed) = &entry.placed else { continue };
            let given_up = Memory::ram(placed.room.coming(now));
            match entry.orders.borrow().leave {
                Leave::Now | Leave::Kill => coming.soon = coming.soon.plus(&placed.counted()),
                Leave::No => coming.soon = coming.soon.plus(&given_up),
                Leave::Drain(_) => {
                    coming.soon = coming.soon.plus(&given_up);
                    coming.late = coming.late.plus(&placed.counted().minus(&given_up));
                }
            }
        }
        coming
    }
}
