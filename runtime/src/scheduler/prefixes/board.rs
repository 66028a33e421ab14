//! What slots hold, for those who prepare sequences on other threads: nothing is read from the file that a slot has.

use std::sync::{Arc, Mutex, PoisonError};

use super::worth::common_prefix;
use crate::engine::{SlotId, TokenId};

/// A line for each slot.
#[derive(Default)]
pub(in crate::scheduler) struct Board {
    lines: Mutex<Vec<Line>>,
}

#[derive(Clone, Default)]
struct Line {
    owner: Arc<str>,
    tokens: Arc<[TokenId]>,
}

impl Board {
    /// `slot` holds, or soon will, `tokens` of `owner`.
    pub(in crate::scheduler) fn show(&self, slot: SlotId, owner: &Arc<str>, tokens: &[TokenId]) {
        let line = Line { owner: owner.clone(), tokens: tokens.into() };
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let idx = slot.0 as usize;
        if lines.len() <= idx {
            lines.resize(idx + 1, Line::default());
        }
        lines[idx] = line;
    }

    /// The most tokens that a slot shares with `tokens` of `owner`.
    pub(super) fn longest(&self, owner: &str, tokens: &[TokenId]) -> usize {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let of_owner = lines.iter().filter(|line| *line.owner == *owner);
        of_owner.map(|line| common_prefix(&line.tokens, tokens)).max().unwrap_or_default()
    }
}
