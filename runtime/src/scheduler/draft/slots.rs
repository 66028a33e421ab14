//! What the slots of a draft model hold.

use std::sync::Arc;

use crate::{
    engine::{Limits, SlotId, TextEngine, TokenId},
    scheduler::prefixes::common_prefix,
};

/// The least that is copied from another slot, in tokens.
const MIN_COPY_TOKENS: usize = 128;

/// All slots of a draft model's engine.
pub(super) struct Slots {
    limits: Limits,
    slots: Vec<Slot>,
}

#[derive(Default)]
struct Slot {
    /// Whose tokens they are: nobody is to be answered sooner for what another one has said.
    owner: Arc<str>,
    tokens: Vec<TokenId>,
}

impl Slots {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, slots: (0..limits.slots).map(|_| Slot::default()).collect() }
    }

    /// Whether `slot` is there and has room for so many tokens.
    pub(super) fn can_hold(&self, slot: SlotId, tokens: usize) -> bool {
        slot.0 < self.limits.slots && tokens <= self.limits.context_tokens as usize
    }

    /// Number of tokens that `slot` holds.
    pub(super) fn held(&self, slot: SlotId) -> usize {
        self.slots[slot.0 as usize].tokens.len()
    }

    /// Those of the sequence's `tokens` that `slot`, which follows it, does not hold yet.
    pub(super) fn due<'a>(&self, slot: SlotId, tokens: &'a [TokenId]) -> &'a [TokenId] {
        &tokens[self.held(slot).min(tokens.len())..]
    }

    /// Makes `slot` hold nothing but the beginning of `tokens`, as much of that as it or another slot of the same owner
    /// does, but for the last one. Answers false where the engine could not copy that or forget the rest, and so forgot
    /// all.
    pub(super) fn follow(
        &mut self,
        engine: &mut dyn TextEngine,
        slot: SlotId,
        owner: &Arc<str>,
        tokens: &[TokenId],
    ) -> bool {
        let usable = &tokens[..tokens.len().saturating_sub(1)];
        let prefix = |slot: &Slot| if slot.owner == *owner { common_prefix(&slot.tokens, usable) } else { 0 };
        let own = prefix(&self.slots[slot.0 as usize]);
        if usable.len() >= own + MIN_COPY_TOKENS
            && let Some((from, length)) =
                self.slots.iter().map(prefix).enumerate().max_by_key(|(_, length)| *length)
            && length >= own + MIN_COPY_TOKENS
        {
            let has_copied = engine.kv_copy(SlotId(from as u32), slot, length as u32).is_ok();
            if !has_copied {
                // Some of the copy may be there.
                engine.kv_clear(slot);
            }
            self.hold(slot, owner, if has_copied { &tokens[..length] } else { &[] });
            return has_copied;
        }
        let Slot { owner: whose, tokens: held } = &mut self.slots[slot.0 as usize];
        if own == held.len() && whose == owner {
            return true;
        }
        if own > 0 && engine.kv_truncate(slot, own as u32).is_ok() {
            held.truncate(own);
            return true;
        }
        engine.kv_clear(slot);
        self.hold(slot, owner, &[]);
        own == 0
    }

    /// The engine computed `tokens` in `slot`.
    pub(super) fn extend(&mut self, slot: SlotId, tokens: &[TokenId]) {
        let held = &mut self.slots[slot.0 as usize].tokens;
        // Address space, which takes memory as tokens come.
        held.reserve((self.limits.context_tokens as usize).saturating_sub(held.len()));
        held.extend_from_slice(tokens);
    }

    /// Empties all slots.
    pub(super) fn clear(&mut self, engine: &mut dyn TextEngine) {
        for (idx, slot) in self.slots.iter_mut().enumerate() {
            engine.kv_clear(SlotId(idx as u32));
            slot.tokens.clear();
        }
    }

    fn hold(&mut self, slot: SlotId, owner: &Arc<str>, tokens: &[TokenId]) {
        let held = &mut self.slots[slot.0 as usize];
        held.owner.clone_from(owner);
        held.tokens.clear();
        held.tokens.extend_from_slice(tokens);
    }
}
