//! What a step computes.

use super::{Running, Scheduler};
use crate::engine::{Limits, Want};

/// Bytes of the rows of tokens that are known already, which one step may give: a row of 128,000 logits has 512 KB.
pub(super) const KNOWN_ROWS_BYTES: usize = 16 << 20;

/// A sequence's part in a batch.
#[derive(Clone, Copy)]
pub(super) struct Member {
    /// Its place in `running`.
    pub(super) running: usize,
    /// Tokens that are known.
    pub(super) n_tokens: usize,
    pub(super) want: Want,
    /// Tokens behind them that are guessed.
    pub(super) n_guessed: usize,
}

/// What a step can still take.
#[derive(Clone, Copy)]
pub(super) struct Room {
    pub(super) tokens: usize,
    /// Rows of tokens that are known already.
    pub(super) rows: usize,
}

impl Scheduler {
    /// Fills the batch: first a token for every sequence that decodes, then chunks of prompts while there is room and the
    /// step does not become too long for those that decode. A sequence whose reader is behind is left out. The chunks go in
    /// ascending order of their slots, since engines compute neighbours together (llama.cpp those alone).
    pub(super) fn compose(&mut self) {
        self.batch.clear();
        self.members.clear();
        let n = self.running.len();
        if n == 0 {
            return;
        }
        let mut room = Room::of(self.limits);
        for prefill in [false, true] {
            if prefill && !self.members.is_empty() {
                room.tokens = room.tokens.min(self.stretch.tokens());
            }
            for step in 0..n {
                let member = (self.next + step) % n;
                let Running { sequence, slot } = &self.running[member];
                let held = self.slots.held(*slot);
                let is_prefill = sequence.tokens().len() - held > 1;
                let full = self.members.len() >= self.limits.chunks_per_step as usize;
                if full || is_prefill != prefill || !sequence.has_reader_room() {
                    continue;
                }
                let (n_tokens, want) = room.take(sequence.tokens().len(), held, sequence.first_row());
                if n_tokens > 0 {
                    self.members.push(Member { running: member, n_tokens, want, n_guessed: 0 });
                }
            }
        }
        self.next = (self.next + 1) % n;
        self.fill(room);
    }

    /// Lets every sequence of which one token is due guess as many tokens as all of them can: engines compute chunks of
    /// several lengths in several passes, each of which costs as much as a step without guesses.
    fn guess(&mut self, room: Room) {
        let Self { members, running, guesses, .. } = self;
        let n_decoding = members.iter().filter(|member| member.n_tokens == 1).count();
        let share = guesses.next(n_decoding, room);
        if share == 0 {
            return;
        }
        let mut n_guessed = share;
        for member in members.iter().filter(|member| member.n_tokens == 1) {
            let sequence = &mut running[member.running].sequence;
            let n = match member.want {
                Want::Last => sequence.guess(share, guesses.most(), self.limits.context_tokens),
                Want::Nothing | Want::All => 0,
            };
            n_guessed = n_guessed.min(n);
        }
        for member in members.iter_mut().filter(|member| member.n_tokens == 1) {
            running[member.running].sequence.shorten_guess(n_guessed);
            member.n_guessed = n_guessed;
        }
    }

    /// Puts the members' tokens into the batch, and guesses where there is `room`.
    fn fill(&mut self, room: Room) {
        self.guess(room);
        let Self { members, running, .. } = self;
        members.sort_unstable_by_key(|member| running[member.running].slot);
        for member in members.iter() {
            let Running { sequence, slot } = &running[member.running];
            let held = self.slots.held(*slot);
            let tokens = &sequence.tokens()[held..held + member.n_tokens];
            if member.n_guessed == 0 {
                self.batch.push(*slot, held as u32, tokens, member.want);
            } else {
                self.batch.push(*slot, held as u32, tokens, Want::All);
                self.batch.extend_last(sequence.guessed());
            }
        }
    }
}

impl Room {
    pub(super) fn of(limits: Limits) -> Self {
        let row_bytes = limits.vocabulary as usize * size_of::<f32>();
        let rows = (KNOWN_ROWS_BYTES / row_bytes.max(1)).max(1);
        Self { tokens: limits.tokens_per_step as usize, rows }
    }

    /// How many of a sequence's `n_tokens` tokens, of which its slot holds `held`, the step takes, and which of their
    /// rows it gives, where those from `first_row` on are needed.
    pub(super) fn take(&mut self, n_tokens: usize, held: usize, first_row: usize) -> (usize, Want) {
        let n_due = n_tokens - held;
        let (n_taken, want) = if first_row + 1 == n_tokens {
            let n_taken = n_due.min(self.tokens);
            (n_taken, if n_taken == n_due { Want::Last } else { Want::Nothing })
        } else if held < first_row {
            ((first_row - held).min(self.tokens), Want::Nothing)
        } else {
            let n_taken = n_due.min(self.tokens).min(self.rows);
            self.rows -= n_taken;
            (n_taken, Want::All)
        };
        self.tokens -= n_taken;
        (n_taken, want)
    }
}
