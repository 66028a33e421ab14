//! Which tokens each slot's KV cache holds, and which free slot serves a new sequence best.

use std::sync::Arc;

use crate::engine::{SlotId, TokenId};

/// The least common prefix that is worth copying from another slot, in tokens. Below it computing is no slower
/// than moving the cache.
const MIN_COPY_TOKENS: usize = 128;

/// All slots of an engine.
pub(super) struct Slots {
    slots: Vec<Slot>,
    clock: u64,
}

#[derive(Default)]
struct Slot {
    /// Whose sequence computed it.
    owner: Arc<str>,
    /// What the engine's cache holds for this slot: never more than has been computed.
    tokens: Vec<TokenId>,
    busy: bool,
    last_used: u64,
}

/// A slot taken for a sequence, and the prefix of its tokens that need not be computed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) slot: SlotId,
    /// Tokens of the prefix.
    pub(super) length: u32,
    /// The slot that holds the prefix, when it is another one.
    pub(super) copy_from: Option<SlotId>,
}

impl Slots {
    pub(super) fn new(n_slots: u32) -> Self {
        Self { slots: (0..n_slots).map(|_| Slot::default()).collect(), clock: 0 }
    }

    /// Number of tokens that `slot` holds.
    pub(super) fn held(&self, slot: SlotId) -> usize {
        self.slots[slot.0 as usize].tokens.len()
    }

    /// Takes a free slot for `tokens` of `owner`, who shares nothing with others. Those from `first_row` on are never part of the prefix, since their logits are
    /// needed.
    ///
    /// The longest prefix wins. Where using it would cut off more than half of what its slot holds, another
    /// free slot is taken, the least recently used, and gets a copy when that pays.
    pub(super) fn claim(&mut self, owner: &Arc<str>, tokens: &[TokenId], first_row: usize) -> Option<Claim> {
        let usable = &tokens[..first_row];
        let oldest = self.free().min_by_key(|&idx| self.slots[idx].last_used)?;
        let prefix = |idx: usize| match &self.slots[idx] {
            slot if slot.owner == *owner => common_prefix(&slot.tokens, usable),
            _ => 0,
        };
        let best_free = self
            .free()
            .max_by_key(|&idx| (prefix(idx), std::cmp::Reverse(self.slots[idx].last_used)))
            .expect("a free slot was found above");
        let keeps_most = prefix(best_free) * 2 >= self.slots[best_free].tokens.len();
        let source =
            (0..self.slots.len()).max_by_key(|&idx| prefix(idx)).expect("a free slot was found above");

        let (idx, length, copy_from) = if keeps_most && prefix(best_free) == prefix(source) {
            (best_free, prefix(best_free), None)
        } else if prefix(source) >= MIN_COPY_TOKENS && source != oldest {
            (oldest, prefix(source), Some(SlotId(source as u32)))
        } else {
            (oldest, prefix(oldest), None)
        };
        self.clock += 1;
        self.slots[idx].busy = true;
        self.slots[idx].owner = owner.clone();
        self.slots[idx].last_used = self.clock;
        Some(Claim { slot: SlotId(idx as u32), length: length as u32, copy_from })
    }

    /// The engine did what `claim` asks: its slot holds the prefix and nothing else.
    pub(super) fn hold_prefix(&mut self, claim: &Claim) {
        let length = claim.length as usize;
        if let Some(from) = claim.copy_from {
            let prefix = self.slots[from.0 as usize].tokens[..length].to_vec();
            self.slots[claim.slot.0 as usize].tokens = prefix;
        } else {
            self.slots[claim.slot.0 as usize].tokens.truncate(length);
        }
    }

    /// The engine computed `tokens` in `slot`.
    pub(super) fn extend(&mut self, slot: SlotId, tokens: &[TokenId]) {
        self.slots[slot.0 as usize].tokens.extend_from_slice(tokens);
    }

    /// The engine cleared `slot`.
    pub(super) fn forget(&mut self, slot: SlotId) {
        self.slots[slot.0 as usize].tokens.clear();
    }

    /// Gives up what the least recently used idle slot holds, and says which slot the engine has to clear.
    pub(super) fn forget_idle(&mut self) -> Option<SlotId> {
        let holding = self.free().filter(|&idx| !self.slots[idx].tokens.is_empty());
        let idx = holding.min_by_key(|&idx| self.slots[idx].last_used)?;
        self.slots[idx].tokens.clear();
        Some(SlotId(idx as u32))
    }

    /// The sequence in `slot` is gone; what the slot holds stays for reuse.
    pub(super) fn release(&mut self, slot: SlotId) {
        self.clock += 1;
        let slot = &mut self.slots[slot.0 as usize];
        slot.busy = false;
        slot.last_used = self.clock;
    }

    fn free(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.slots.len()).filter(|&idx| !self.slots[idx].busy)
    }
}

fn common_prefix(a: &[TokenId], b: &[TokenId]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(ids: std::ops::Range<u32>) -> Vec<TokenId> {
        ids.map(TokenId).collect()
    }

    /// Runs `prompt` through `slots` as a sequence that ends at once, and returns the claim.
    fn pass(slots: &mut Slots, prompt: &[TokenId]) -> Claim {
        pass_of("", slots, prompt)
    }

    fn pass_of(owner: &str, slots: &mut Slots, prompt: &[TokenId]) -> Claim {
        let claim = slots.claim(&owner.into(), prompt, prompt.len() - 1).expect("a slot is free");
        slots.hold_prefix(&claim);
        slots.extend(claim.slot, &prompt[claim.length as usize..]);
        slots.release(claim.slot);
        claim
    }

    #[test]
    fn a_conversation_finds_its_own_slot_again() {
        let mut slots = Slots::new(3);
        let first = pass(&mut slots, &tokens(0..50));
        let other = pass(&mut slots, &tokens(100..150));
        assert_ne!(first.slot, other.slot);
        let again = pass(&mut slots, &tokens(0..80));
        assert_eq!(again, Claim { slot: first.slot, length: 50, copy_from: None });
    }

    #[test]
    fn the_last_token_is_always_computed() {
        let mut slots = Slots::new(1);
        pass(&mut slots, &tokens(0..10));
        assert_eq!(pass(&mut slots, &tokens(0..10)).length, 9);
    }

    #[test]
    fn nobody_finds_what_another_owner_has_computed() {
        let mut slots = Slots::new(2);
        let of_a = pass_of("a", &mut slots, &tokens(0..300));
        let of_b = pass_of("b", &mut slots, &tokens(0..300));
        assert_eq!((of_b.length, of_b.copy_from), (0, None));
        assert_ne!(of_a.slot, of_b.slot);
        assert_eq!(pass_of("a", &mut slots, &tokens(0..300)).length, 299);
        // A slot that changes its owner keeps nothing.
        assert_eq!(pass_of("c", &mut slots, &tokens(0..300)).length, 0);
        assert_eq!(pass_of("c", &mut slots, &tokens(0..300)).length, 299);
    }

    #[test]
    fn what_needs_all_its_logits_finds_nothing() {
        let mut slots = Slots::new(1);
        pass(&mut slots, &tokens(0..10));
        let claim = slots.claim(&"".into(), &tokens(0..10), 0).expect("the slot is free");
        assert_eq!((claim.length, claim.copy_from), (0, None));
    }

    #[test]
    fn a_long_conversation_is_not_cut_for_a_shared_beginning() {
        let mut slots = Slots::new(2);
        let long = pass(&mut slots, &tokens(0..1000));
        let mut branch = tokens(0..200);
        branch.extend(tokens(5000..5100));
        let claim = pass(&mut slots, &branch);
        assert_eq!(claim.copy_from, Some(long.slot));
        assert_eq!(claim.length, 200);
        assert_eq!(pass(&mut slots, &tokens(0..1001)).length, 1000);
    }

    #[test]
    fn without_a_free_slot_there_is_no_claim() {
        let mut slots = Slots::new(1);
        assert!(slots.claim(&"".into(), &tokens(0..5), 4).is_some());
        assert!(slots.claim(&"".into(), &tokens(0..5), 4).is_none());
    }
}
