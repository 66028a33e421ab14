//! Who gets a slot and who gives one up: sequences come, are cancelled, are preempted, are rejected.

use std::time::Instant;

use super::{Fatal, Running, Scheduler, prefixes::Found, slots::Claim};
use crate::engine::{SlotId, TextEngine};

impl Scheduler {
    /// A sequence whose stream was dropped ends here, wherever it stands; its slot keeps its tokens for reuse.
    pub(super) fn drop_cancelled(&mut self) {
        let before = self.waiting.len() + self.running.len();
        self.waiting.retain(|sequence| !sequence.is_cancelled());
        self.running.retain(|running| {
            let keep = !running.sequence.is_cancelled();
            if !keep {
                self.slots.release(running.slot);
            }
            keep
        });
        let n_cancelled = before - self.waiting.len() - self.running.len();
        self.crowded &= n_cancelled == 0;
        self.counters.cancelled(n_cancelled as u64);
    }

    /// Gives free slots to those whose turn it is, each the slot whose tokens serve it best.
    pub(super) fn admit(&mut self, engine: &mut dyn TextEngine, now: Instant) {
        if self.crowded && !self.running.is_empty() {
            return;
        }
        loop {
            let Self { waiting, running, .. } = self;
            let of_owner =
                |owner: &str| running.iter().filter(|other| **other.sequence.owner() == *owner).count();
            let Some(sequence) = waiting.next(of_owner) else { return };
            let (owner, tokens, first_row) = (sequence.owner(), sequence.tokens(), sequence.first_row());
            let Some(claim) = self.slots.claim(owner, tokens, first_row) else { return };
            let found = self.keeper.find(owner, &tokens[..first_row], claim.length as usize);
            let kept = found.as_ref().and_then(|found| self.slots.claim_oldest(found.length));
            let claim = kept.unwrap_or(claim);
            let Some(mut sequence) = self.waiting.take(of_owner) else { return };
            let held = self.prepare(engine, &claim, found.as_ref());
            self.slots.hold(claim.slot, sequence.owner(), sequence.tokens(), held);
            self.counters.cached(u64::from(held));
            let longest = sequence.reserve(self.limits.context_tokens);
            self.slots.reserve(claim.slot, longest);
            sequence.admitted(now, held);
            self.running.push(Running { sequence, slot: claim.slot });
        }
    }

    /// Makes the engine's slot hold what the claim says, of what was `found` if anything was, or nothing where the
    /// engine cannot; returns the tokens that need not be computed. What the slot loses is kept.
    fn prepare(&mut self, engine: &mut dyn TextEngine, claim: &Claim, found: Option<&Found>) -> u32 {
        let is_cut = found.is_none() && claim.copy_from.is_none();
        if self.slots.is_loss(claim.slot, if is_cut { claim.length } else { 0 }) {
            self.keep(engine, claim.slot);
        }
        let held = match (found, claim.copy_from) {
            (Some(found), _) => {
                let alone = self.slots.is_alone(claim.slot);
                self.keeper.restore(engine, claim.slot, found, alone)
            }
            (None, Some(from)) => engine.kv_copy(from, claim.slot, claim.length),
            (None, None) if claim.length == 0 => {
                engine.kv_clear(claim.slot);
                Ok(())
            }
            (None, None) => engine.kv_truncate(claim.slot, claim.length),
        };
        if held.is_err() {
            engine.kv_clear(claim.slot);
            return 0;
        }
        if found.is_some() {
            self.counters.restored(claim.length.into());
        }
        claim.length
    }

    /// Makes room in the KV cache: what an idle slot holds goes first. Then the sequence that was admitted last
    /// loses its slot; it waits again before all others, and what it has generated is computed anew.
    pub(super) fn preempt(&mut self, engine: &mut dyn TextEngine) -> Result<(), Fatal> {
        if let Some(slot) = self.slots.oldest_idle() {
            self.keep(engine, slot);
            engine.kv_clear(slot);
            self.slots.forget(slot);
            return Ok(());
        }
        let Some(Running { mut sequence, slot }) = self.running.pop() else {
            return Err(Fatal { reason: "its KV cache is full without a sequence in it".into() });
        };
        self.keep(engine, slot);
        engine.kv_clear(slot);
        self.slots.forget(slot);
        self.slots.release(slot);
        if self.running.is_empty() {
            sequence.fail("the KV cache is too small for this request alone");
        } else {
            self.counters.preempted();
            self.crowded = true;
            self.waiting.give_back(sequence);
        }
        Ok(())
    }

    pub(super) fn reject(&mut self, engine: &mut dyn TextEngine, rejected: &[SlotId], reason: &str) {
        self.running.retain_mut(|running| {
            let keep = !rejected.contains(&running.slot);
            if !keep {
                engine.kv_clear(running.slot);
                self.slots.forget(running.slot);
                self.slots.release(running.slot);
                running.sequence.fail(reason);
                self.counters.finished();
            }
            keep
        });
    }
}
