//! Between slots and what is kept of computed prefixes: saves what a slot is about to lose, and gives a slot what was
//! saved.

use std::{sync::Arc, time::Instant};

use crate::{
    engine::{SlotId, TextEngine, TokenId, Unsupported},
    scheduler::prefixes::{self, Filing, Found, Gain, MIN_TOKENS, Prefixes},
};

/// Keeps nothing where there is no place for it.
#[derive(Default)]
pub(super) struct Keeper {
    prefixes: Option<Arc<Prefixes>>,
}

impl Keeper {
    pub(super) fn new(prefixes: Arc<Prefixes>) -> Self {
        Self { prefixes: Some(prefixes) }
    }

    /// Keeps what `slot` holds, `tokens` of `owner`, unless nearly all of it is kept already; answers whether it did.
    pub(super) fn keep(
        &self,
        engine: &dyn TextEngine,
        slot: SlotId,
        owner: &Arc<str>,
        tokens: &[TokenId],
    ) -> bool {
        let Some(prefixes) = self.prefixes.as_ref().filter(|_| tokens.len() >= MIN_TOKENS) else {
            return false;
        };
        if prefixes.has(owner, tokens) {
            return false;
        }
        let Some(bytes) = engine.kv_bytes(slot) else { return false };
        let Some(share) = prefixes.reserve(owner, tokens, bytes) else { return false };
        let Some(mut state) = prefixes::buffer(bytes) else { return false };
        if engine.kv_save(slot, &mut state).is_err() || state.len() as u64 != bytes {
            return false;
        }
        prefixes.put(owner, tokens, state, share);
        true
    }

    /// The same, if the file lacks it.
    pub(super) fn file(
        &self,
        engine: &dyn TextEngine,
        slot: SlotId,
        owner: &Arc<str>,
        tokens: &[TokenId],
    ) -> bool {
        let is_unfiled = self.prefixes.as_ref().is_some_and(|prefixes| prefixes.is_unfiled(owner, tokens));
        is_unfiled && self.keep(engine, slot, owner, tokens)
    }

    /// What was kept that serves `tokens` of `owner` better than the `elsewhere` tokens that a slot has of them.
    pub(super) fn find(&self, owner: &Arc<str>, tokens: &[TokenId], elsewhere: usize) -> Option<Found> {
        let prefixes = self.prefixes.as_ref().filter(|_| tokens.len() >= MIN_TOKENS)?;
        prefixes.find(owner, tokens, Gain { elsewhere, whole: prefixes.are_whole() })
    }

    /// Makes `slot` hold what was found. After an error it is to be cleared. What the engine refuses to load when nothing
    /// but the slot is in its cache (`alone`), or twice, nobody will find again: the first time it may lack room.
    pub(super) fn restore(
        &self,
        engine: &mut dyn TextEngine,
        slot: SlotId,
        found: &Found,
        alone: bool,
    ) -> Result<(), Unsupported> {
        let prefixes = self.prefixes.as_ref().ok_or(Unsupported)?;
        let n_tokens = found.prefix.tokens.len();
        if engine.kv_load(slot, &found.prefix.state, n_tokens as u32).is_err() {
            prefixes.refused(found, alone);
            return Err(Unsupported);
        }
        if found.length == n_tokens {
            return Ok(());
        }
        let cut = engine.kv_truncate(slot, found.length as u32);
        prefixes.cut(found, cut.is_ok());
        cut
    }

    pub(super) fn filing(&self) -> Filing {
        self.prefixes.as_ref().map_or(Filing::Absent, |prefixes| prefixes.filing())
    }

    pub(super) fn flush(&self, deadline: Instant) {
        if let Some(prefixes) = &self.prefixes {
            prefixes.flush(deadline);
        }
    }
}
