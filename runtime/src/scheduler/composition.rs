//! What a step computes.

use tracing::warn;

use super::{Running, Scheduler, stretch::Prompts};
use crate::engine::{Limits, Want};

/// Bytes of the rows of tokens that are known already, which one step may give: a row of 128,000 logits has 512 KB.
pub(super) const KNOWN_ROWS_BYTES: usize = 16 << 20;

/// Of so many steps one serves the oldest prompt first, the others the shortest one.
const TURNS_A_ROUND: u32 = 4;

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
    pub(super) chunks: usize,
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
        self.order.clear();
        let mut prompts = Prompts::default();
        for step in 0..n {
            let running = (self.next + step) % n;
            let n_due = self.n_due(running);
            if !self.running[running].sequence.has_reader_room() {
                continue;
            }
            if n_due > 1 {
                self.order.push(running);
                prompts = Prompts { n: prompts.n + 1, n_tokens: prompts.n_tokens + n_due };
            } else {
                self.join(running, &mut room);
            }
        }
        if prompts.n > 0 && !self.members.is_empty() {
            room.tokens = self.stretch.allow(self.members.len(), prompts, room);
        }
        self.order_prompts();
        for idx in 0..self.order.len() {
            self.join(self.order[idx], &mut room);
        }
        self.next = (self.next + 1) % n;
        self.fill(room);
    }

    /// Tokens of a running sequence that its slot does not hold yet.
    fn n_due(&self, running: usize) -> usize {
        let Running { sequence, slot } = &self.running[running];
        sequence.tokens().len() - self.slots.held(*slot)
    }

    /// Puts those that need the least first, so that somebody has a first token while others wait, where all would wait as
    /// long if they took turns. Every few steps the oldest goes before them: a long prompt comes on as well.
    fn order_prompts(&mut self) {
        let mut order = std::mem::take(&mut self.order);
        order.sort_by_key(|&running| self.n_due(running));
        self.turns = self.turns.wrapping_add(1);
        if self.turns.is_multiple_of(TURNS_A_ROUND) {
            let submitted = |idx: &usize| self.running[order[*idx]].sequence.submitted();
            if let Some(oldest) = (0..order.len()).min_by_key(submitted) {
                order[..=oldest].rotate_right(1);
            }
        }
        self.order = order;
    }

    /// Makes a running sequence a member of the step while there is room.
    fn join(&mut self, running: usize, room: &mut Room) {
        if room.chunks == 0 {
            return;
        }
        let Running { sequence, slot } = &self.running[running];
        let (n_tokens, want) =
            room.take(sequence.tokens().len(), self.slots.held(*slot), sequence.first_row());
        if n_tokens > 0 {
            room.chunks -= 1;
            self.members.push(Member { running, n_tokens, want, n_guessed: 0 });
        }
    }

    /// Lets every sequence of which one token is due guess as many tokens as all of them can: engines compute chunks of
    /// several lengths in several passes, each of which costs as much as a step without guesses. What is looked up costs
    /// nothing and goes before what a draft model guesses.
    fn guess(&mut self, room: Room) {
        let Self { members, running, guesses, draft, .. } = self;
        if let Some(draft) = draft {
            draft.begin(members.iter().any(|member| member.n_tokens > 1));
        }
        let n_decoding = members.iter().filter(|member| member.n_tokens == 1).count();
        let share = guesses.next(n_decoding, room);
        if share == 0 {
            return;
        }
        let (mut n_guessed, context_tokens) = (share, self.limits.context_tokens);
        for member in members.iter().filter(|member| member.n_tokens == 1) {
            let sequence = &mut running[member.running].sequence;
            let room = match member.want {
                Want::Last => sequence.guess_room(share, context_tokens),
                Want::Nothing | Want::All => 0,
            };
            let n = match (sequence.guess(room, guesses, context_tokens), &mut *draft) {
                (0, Some(draft)) => {
                    draft.ask(member.running);
                    sequence.wish(room)
                }
                (n_found, _) => n_found,
            };
            n_guessed = n_guessed.min(n);
        }
        if let Some(model) = draft.as_mut().filter(|draft| n_guessed > 0 && draft.is_asked()) {
            n_guessed = model.guess(running, n_guessed, &self.counters).unwrap_or_else(|error| {
                warn!(%error, "the draft model is given up; what is said goes on without its guesses");
                *draft = None;
                0
            });
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
        Self { tokens: limits.tokens_per_step as usize, rows, chunks: limits.chunks_per_step as usize }
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
