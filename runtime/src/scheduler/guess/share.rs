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
    /// Tokens at most; none where the engine cannot forget what did not come true.
    most: usize,
    held_off: u32,
    not_forgotten: u32,
}

impl Share {
    /// At most so many tokens.
    pub(in crate::scheduler) fn new(most: u32) -> Self {
        Self { most: most as usize, held_off: 0, not_forgotten: 0 }
    }

    /// The most that one sequence may ever guess.
    pub(in crate::scheduler) fn most(&self) -> usize {
        self.most
    }

    /// Known tokens and guesses of a step with guesses, at most.
    pub(in crate::scheduler) fn step_tokens(&self) -> usize {
        if self.most == 0 { 0 } else { STEP_TOKENS.max(self.most + 1) }
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
        let of_step = self.step_tokens() / n_sequences;
        let of_rows = room.rows / n_sequences;
        // The known token has its place in the step, and its row.
        of_step.min(of_rows).saturating_sub(1).min(room.tokens / n_sequences).min(self.most)
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
            self.most = 0;
        }
    }
}
