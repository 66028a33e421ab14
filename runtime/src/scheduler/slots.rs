//! Which tokens each slot's KV cache holds, and which free slot serves a new sequence best.

use std::sync::Arc;

use crate::{
    engine::{SlotId, TokenId},
    scheduler::prefixes::{Board, MIN_TOKENS, common_prefix},
};

/// The least common prefix that is worth copying from another slot, in tokens. Below it computing is no slower
/// than moving the cache.
const MIN_COPY_TOKENS: usize = 128;

/// All slots of an engine.
pub(super) struct Slots {
    slots: Vec<Slot>,
    clock: u64,
    /// Where others see what slots hold.
    board: Option<Arc<Board>>,
}

#[derive(Default)]
struct Slot {
    /// Whose sequence computed it.
    owner: Arc<str>,
    /// What the engine's cache holds for this slot: never more than has been computed.
    tokens: Vec<TokenId>,
    /// How many tokens it held when they were last offered to be kept.
    offered: usize,
    busy: bool,
    last_used: u64,
}

/// A free slot for a sequence, and the prefix of its tokens that need not be computed.
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
        Self { slots: (0..n_slots).map(|_| Slot::default()).collect(), clock: 0, board: None }
    }

    /// From now on `board` shows what slots hold.
    pub(super) fn show_on(&mut self, board: Arc<Board>) {
        self.board = Some(board);
    }

    /// Number of tokens that `slot` holds.
    pub(super) fn held(&self, slot: SlotId) -> usize {
        self.slots[slot.0 as usize].tokens.len()
    }

    /// Tokens that `slot` holds, and whose they are.
    pub(super) fn content(&self, slot: SlotId) -> (&Arc<str>, &[TokenId]) {
        let slot = &self.slots[slot.0 as usize];
        (&slot.owner, &slot.tokens)
    }

    /// Chooses a free slot for `tokens` of `owner`, who shares nothing with others. Those from `first_row` on are never
    /// part of the prefix, since their logits are needed.
    ///
    /// The longest prefix wins. Where using it would cut off more than half of what its slot holds, another
    /// free slot is taken, the least recently used, and gets a copy when that pays.
    pub(super) fn claim(&self, owner: &Arc<str>, tokens: &[TokenId], first_row: usize) -> Option<Claim> {
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
        Some(Claim { slot: SlotId(idx as u32), length: length as u32, copy_from })
    }

    /// The least recently used free slot.
    pub(super) fn oldest(&self) -> Option<SlotId> {
        let oldest = self.free().min_by_key(|&idx| self.slots[idx].last_used)?;
        Some(SlotId(oldest as u32))
    }

    /// Whether most of what the claim's slot holds is worth something and will be lost, where it keeps `kept` tokens.
    pub(super) fn is_loss(&self, slot: SlotId, kept: u32) -> bool {
        let held = self.held(slot);
        held >= MIN_TOKENS && kept as usize * 2 < held
    }

    /// The sequence of `tokens` of `owner` has `slot`, which holds the first `length` of them and nothing else.
    pub(super) fn hold(&mut self, slot: SlotId, owner: &Arc<str>, tokens: &[TokenId], length: u32) {
        self.clock += 1;
        let idx = slot.0 as usize;
        let Slot { owner: whose, tokens: held, offered, busy, last_used } = &mut self.slots[idx];
        held.clear();
        held.extend_from_slice(&tokens[..length as usize]);
        whose.clone_from(owner);
        (*offered, *busy, *last_used) = (0, true, self.clock);
        if let Some(board) = &self.board {
            board.show(slot, owner, tokens);
        }
    }

    /// The engine computed `tokens` in `slot`.
    pub(super) fn extend(&mut self, slot: SlotId, tokens: &[TokenId]) {
        self.slots[slot.0 as usize].tokens.extend_from_slice(tokens);
    }

    /// The sequence in `slot` may grow to so many tokens.
    pub(super) fn reserve(&mut self, slot: SlotId, tokens: usize) {
        let held = &mut self.slots[slot.0 as usize].tokens;
        held.reserve(tokens.saturating_sub(held.len()));
    }

    /// The engine cleared `slot`.
    pub(super) fn forget(&mut self, slot: SlotId) {
        let forgotten = &mut self.slots[slot.0 as usize];
        forgotten.tokens.clear();
        forgotten.offered = 0;
        self.show(slot);
    }

    /// The least recently used of the free slots that hold something.
    pub(super) fn oldest_idle(&self) -> Option<SlotId> {
        let holding = self.free().filter(|&idx| !self.slots[idx].tokens.is_empty());
        let idx = holding.min_by_key(|&idx| self.slots[idx].last_used)?;
        Some(SlotId(idx as u32))
    }

    /// Whether no other slot holds anything.
    pub(super) fn is_alone(&self, slot: SlotId) -> bool {
        let mut others = self.slots.iter().enumerate().filter(|(idx, _)| *idx != slot.0 as usize);
        others.all(|(_, other)| other.tokens.is_empty())
    }

    /// The most recently used of the free slots whose tokens were not offered to be kept.
    pub(super) fn next_unoffered(&self) -> Option<SlotId> {
        let unoffered = |idx: &usize| {
            let Slot { tokens, offered, .. } = &self.slots[*idx];
            tokens.len() >= MIN_TOKENS && tokens.len() != *offered
        };
        let idx = self.free().filter(unoffered).max_by_key(|&idx| self.slots[idx].last_used)?;
        Some(SlotId(idx as u32))
    }

    /// Tokens that were added to `slot` since they were last offered to be kept.
    pub(super) fn n_unoffered(&self, slot: SlotId) -> usize {
        let Slot { tokens, offered, .. } = &self.slots[slot.0 as usize];
        tokens.len() - offered
    }

    /// What `slot` holds was offered to be kept.
    pub(super) fn offered(&mut self, slot: SlotId) {
        let Slot { tokens, offered, .. } = &mut self.slots[slot.0 as usize];
        *offered = tokens.len();
    }

    /// The sequence in `slot` is gone; what the slot holds stays for reuse.
    pub(super) fn release(&mut self, slot: SlotId) {
        self.clock += 1;
        let released = &mut self.slots[slot.0 as usize];
        released.busy = false;
        released.last_used = self.clock;
        self.show(slot);
    }

    fn show(&self, slot: SlotId) {
        if let Some(board) = &self.board {
            let (owner, tokens) = self.content(slot);
            board.show(slot, owner, tokens);
        }
    }

    fn free(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.slots.len()).filter(|&idx| !self.slots[idx].busy)
    }
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
        slots.hold(claim.slot, &owner.into(), prompt, claim.length);
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
        let claim = slots.claim(&"".into(), &tokens(0..5), 4).expect("the slot is free");
        slots.hold(claim.slot, &"".into(), &tokens(0..5), claim.length);
        assert!(slots.claim(&"".into(), &tokens(0..5), 4).is_none());
    }
}
