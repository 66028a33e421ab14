//! How many tokens the sequences of a step may guess: what the step has room for when everything known is in it.

use crate::scheduler::Room;

/// Known tokens and guesses of one step together, as long as a sequence alone may not guess more: about as many as an
/// engine computes in less time than it takes for each by itself.
const STEP_TOKENS: usize = 16;

/// Steps without guesses after one with them that the engine could not compute.
const HELD_OFF_STEPS: u32 = 64;

/// Times that an engine may be unable to forget guesses before there are no more: it may lack memory for once.
const MAX_NOT_FORGOTTEN: u32 = 3;

/// What each sequence may guess.
pub(in crate::scheduler) struct Share {
    /// Tokens that are looked up at most, and that a draft model guesses; none where the engine cannot forget what did
    /// not come true.
    lookup: usize,
    draft: usize,
    held_off: u32,
    not_forgotten: u32,
}

impl Share {
    /// At most so many tokens that are looked up or drafted.
    pub(in crate::scheduler) fn new(lookup: u32, draft: u32) -> Self {
        Self { lookup: lookup as usize, draft: draft as usize, held_off: 0, not_forgotten: 0 }
    }

    /// The same for an engine that computes so many tokens of a chunk together. The known token is one of them.
    pub(in crate::scheduler) fn within(self, chunk_rows: u32) -> Self {
        let most = chunk_rows.saturating_sub(1) as usize;
        Self { lookup: self.lookup.min(most), draft: self.draft.min(most), ..self }
    }

    /// The most that is ever looked up for one sequence.
    pub(in crate::scheduler) fn lookup(&self) -> usize {
        self.lookup
    }

    /// The most that a draft model ever guesses for one sequence.
    pub(in crate::scheduler) fn draft(&self) -> usize {
        self.draft
    }

    /// Known tokens and guesses of a step with guesses, at most; a sequence alone may have as many.
    pub(in crate::scheduler) fn step_tokens(&self) -> usize {
        match self.lookup.max(self.draft) {
            0 => 0,
            most => STEP_TOKENS.max(most + 1),
        }
    }

    /// What each of `n_sequences` may guess in a step that has this room left.
    pub(in crate::scheduler) fn next(&mut self, n_sequences: usize, room: Room) -> usize {
        if self.held_off > 0 {
            self.held_off -= 1;
            return 0;
        }
        if n_sequences == 0 {
            return 0;
        }
        let of_step = if n_sequences == 1 { self.step_tokens() } else { STEP_TOKENS / n_sequences };
        let of_rows = room.rows / n_sequences;
        // The known token has its place in the step, and its row.
        of_step.min(of_rows).saturating_sub(1).min(room.tokens / n_sequences).min(self.lookup.max(self.draft))
    }

    /// The engine could not compute a step with guesses; perhaps it can without.
    pub(in crate::scheduler) fn hold_off(&mut self) {
        self.held_off = HELD_OFF_STEPS;
    }

    /// The engine could not forget what did not come true.
    pub(in crate::scheduler) fn not_forgotten(&mut self) {
        self.not_forgotten += 1;
        self.hold_off();
        if self.not_forgotten >= MAX_NOT_FORGOTTEN {
            (self.lookup, self.draft) = (0, 0);
        }
    }
}
