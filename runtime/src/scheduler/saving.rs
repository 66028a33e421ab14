//! What slots hold is saved: before they lose it, when there is nothing else to do, and at times while a sequence runs
//! for long.

use std::time::Instant;

use super::{Running, Scheduler, prefixes::Filing};
use crate::engine::{SlotId, TextEngine};

/// A sequence that runs is saved when it has so many more tokens, and so large a part more, and has generated so many:
/// what is short is saved when it has ended, and saving holds the others up.
const LONG_TOKENS: usize = 1024;
const LONG_PART: usize = 4;
const LONG_COMPLETION_TOKENS: u32 = 256;

/// What came of a look for something to keep in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// A slot's content was saved: look again.
    Kept,
    /// The writer is behind: look again soon.
    Busy,
    /// Another process has the file: look again later.
    Locked,
    /// There is nothing to keep, or no place for it.
    Nothing,
}

impl Scheduler {
    /// Saves what `slot` holds, which it is about to lose; answers whether it did.
    pub(super) fn keep(&self, engine: &dyn TextEngine, slot: SlotId) -> bool {
        let (owner, tokens) = self.slots.content(slot);
        self.counters.copying(tokens.len(), || self.keeper.keep(engine, slot, owner, tokens))
    }

    /// Saves what one of the idle slots holds and the file does not; to be called when there is nothing else to do.
    pub fn keep_idle(&mut self, engine: &dyn TextEngine) -> Keeping {
        while let Some(slot) = self.slots.next_unoffered() {
            match self.keeper.filing() {
                Filing::Absent => return Keeping::Nothing,
                Filing::Locked => return Keeping::Locked,
                Filing::Busy => return Keeping::Busy,
                Filing::Done => {}
            }
            self.slots.offered(slot);
            let (owner, tokens) = self.slots.content(slot);
            if self.counters.copying(tokens.len(), || self.keeper.file(engine, slot, owner, tokens)) {
                return Keeping::Kept;
            }
        }
        Keeping::Nothing
    }

    /// Whether [`keep_idle`](Self::keep_idle) may have something to save.
    pub fn has_unsaved(&self) -> bool {
        self.slots.next_unoffered().is_some() && self.keeper.filing() != Filing::Absent
    }

    /// Waits until the file has all that was saved, or until `deadline`; to be called when the process is to end.
    pub fn flush(&self, deadline: Instant) {
        self.keeper.flush(deadline);
    }

    /// Saves what one sequence has computed that runs for long, so that little is lost with the process.
    pub(super) fn keep_long(&mut self, engine: &dyn TextEngine) {
        let long = self.running.iter().find(|Running { sequence, slot }| {
            let (held, grown) = (self.slots.held(*slot), self.slots.n_unoffered(*slot));
            let is_due = grown >= LONG_TOKENS.max(held / LONG_PART);
            is_due && sequence.completion_tokens() >= LONG_COMPLETION_TOKENS
        });
        let Some(slot) = long.map(|running| running.slot).filter(|_| self.keeper.filing() == Filing::Done)
        else {
            return;
        };
        self.slots.offered(slot);
        let (owner, tokens) = self.slots.content(slot);
        self.counters.copying(tokens.len(), || self.keeper.file(engine, slot, owner, tokens));
    }
}
