//! Who gets a slot and who gives one up: sequences come, are cancelled, are preempted, are rejected.

use std::time::Instant;

use super::{Fatal, Running, Scheduler, Sequence, Stage, prefixes::Found, slots::Claim};
use crate::engine::{SlotId, TextEngine};

/// A slot that was made ready for a sequence.
struct Seat {
    slot: SlotId,
    /// Tokens that it holds, which need not be computed.
    held: u32,
    /// Something was saved or restored for it.
    has_copied: bool,
}

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

    /// Gives free slots to those whose turn it is. Whoever runs waits for one to be saved or restored at most.
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
            let Some(mut sequence) = self.waiting.take(of_owner) else { return };
            let Seat { slot, held, has_copied } = self.seat(engine, &sequence, &claim);
            self.slots.hold(slot, sequence.owner(), sequence.tokens(), held);
            self.counters.cached(u64::from(held));
            let longest = sequence.reserve(self.limits.context_tokens);
            self.slots.reserve(slot, longest);
            if let Some(waited) = sequence.admitted(now, held) {
                self.counters.spent(Stage::Queue, waited);
            }
            self.running.push(Running { sequence, slot });
            if has_copied && self.running.len() > 1 {
                return;
            }
        }
    }

    /// Makes a slot ready for `sequence`: with what was kept where that serves it better than the `claim`, otherwise with
    /// what slots hold.
    fn seat(&mut self, engine: &mut dyn TextEngine, sequence: &Sequence, claim: &Claim) -> Seat {
        let (owner, tokens, first_row) = (sequence.owner(), sequence.tokens(), sequence.first_row());
        let found = self.keeper.find(owner, &tokens[..first_row], claim.length as usize);
        let Some((found, slot)) = found.zip(self.slots.oldest()) else { return self.prepare(engine, claim) };
        if self.slots.is_loss(slot, 0) {
            self.keep(engine, slot);
        }
        if self.restore(engine, slot, &found) {
            return Seat { slot, held: found.length as u32, has_copied: true };
        }
        // The slot that was claimed first may be the one that was just cleared.
        let claim = self.slots.claim(owner, tokens, first_row);
        let claim = claim.unwrap_or(Claim { slot, length: 0, copy_from: None });
        Seat { has_copied: true, ..self.prepare(engine, &claim) }
    }

    /// Makes `slot` hold what was found; where the engine refuses, it holds nothing.
    fn restore(&mut self, engine: &mut dyn TextEngine, slot: SlotId, found: &Found) -> bool {
        let alone = self.slots.is_alone(slot);
        let n_tokens = found.prefix.tokens.len();
        let restored = self.counters.copying(n_tokens, || self.keeper.restore(engine, slot, found, alone));
        if restored.is_err() {
            engine.kv_clear(slot);
            self.slots.forget(slot);
            return false;
        }
        self.counters.restored(found.length as u64);
        true
    }

    /// Makes the engine's slot hold what the claim says, or nothing where the engine cannot. What the slot loses is kept.
    fn prepare(&mut self, engine: &mut dyn TextEngine, claim: &Claim) -> Seat {
        let &Claim { slot, length, copy_from } = claim;
        let is_loss = self.slots.is_loss(slot, if copy_from.is_none() { length } else { 0 });
        let has_copied = is_loss && self.keep(engine, slot);
        let made = match copy_from {
            Some(from) => engine.kv_copy(from, slot, length),
            None if length == 0 => {
                engine.kv_clear(slot);
                Ok(())
            }
            None => engine.kv_truncate(slot, length),
        };
        if made.is_err() {
            engine.kv_clear(slot);
        }
        Seat { slot, held: if made.is_ok() { length } else { 0 }, has_copied }
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
                self.counters.finished();
                running.sequence.fail(reason);
            }
            keep
        });
    }
}
