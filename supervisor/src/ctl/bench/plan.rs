//! What is measured: cells, each a workload of one size.

use super::{edit, error::BenchError, prompt::Measure, report::Skipped, round::Arrivals};

/// Tokens of the first turn of a conversation, where the context holds as many.
const TURN_TOKENS: u32 = 4_000;

/// Of the second turn, besides the first and its answer.
pub(super) const NEXT_TURN_TOKENS: u32 = 32;

/// What a conversation must have for its second turn to show anything.
const LEAST_TURN_TOKENS: u32 = 64;

/// Tokens of a template and of what else a server puts around a chat.
const AROUND_TOKENS: u32 = 64;

/// What the requests of a cell are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Workload {
    /// Texts to continue, none like another.
    Completion,
    /// A conversation of two turns, of which the second extends the first.
    Turns,
    /// A file that is to be written again with small changes, of so many lines.
    Edit { lines: u32 },
}

/// Requests of one size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cell {
    pub(super) workload: Workload,
    pub(super) arrivals: Arrivals,
    /// None where only the server knows.
    pub(super) prompt_tokens: Option<u32>,
    pub(super) completion_tokens: u32,
}

/// What the arguments ask for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wish {
    pub(super) arrivals: Vec<Arrivals>,
    pub(super) prompts: Vec<u32>,
    pub(super) completion_tokens: u32,
    pub(super) turns: bool,
    pub(super) edit: bool,
}

impl Workload {
    /// The names of its parts, in their order.
    pub(super) fn parts(self) -> &'static [&'static str] {
        match self {
            Self::Completion => &["completion"],
            Self::Turns => &["first turn", "second turn"],
            Self::Edit { .. } => &["edit"],
        }
    }
}

impl Wish {
    /// The cells that fit into `context_tokens` (0: unknown), and those that do not.
    pub(super) fn cells(
        &self,
        context_tokens: u32,
        measure: Measure,
    ) -> Result<(Vec<Cell>, Vec<Skipped>), BenchError> {
        let (mut cells, mut skipped) = (Vec::new(), Vec::new());
        let room = if context_tokens == 0 { u32::MAX } else { context_tokens };
        let completion_tokens = self.completion_tokens;
        let mut skip = |workload, prompt_tokens| {
            let reason = format!("the model has {context_tokens} tokens of context");
            skipped.push(Skipped { workload, prompt_tokens, completion_tokens, reason });
        };
        for &prompt_tokens in &self.prompts {
            if taken(prompt_tokens, completion_tokens) > room {
                skip("completion", prompt_tokens);
                continue;
            }
            let workload = Workload::Completion;
            let prompt_tokens = Some(prompt_tokens);
            let cell = |&arrivals: &Arrivals| Cell { workload, arrivals, prompt_tokens, completion_tokens };
            cells.extend(self.arrivals.iter().map(cell));
        }
        let arrivals = Arrivals::Closed { streams: 1 };
        if self.turns {
            let around = taken(NEXT_TURN_TOKENS, completion_tokens.saturating_mul(2));
            // What a prompt has beyond what was meant grows with it: see `taken`.
            let prompt_tokens = (room.saturating_sub(around) / 17 * 16).min(TURN_TOKENS);
            if prompt_tokens < LEAST_TURN_TOKENS {
                skip("turns", LEAST_TURN_TOKENS);
            } else {
                let (workload, prompt_tokens) = (Workload::Turns, Some(prompt_tokens));
                cells.push(Cell { workload, arrivals, prompt_tokens, completion_tokens });
            }
        }
        if self.edit {
            let left = room.saturating_sub(completion_tokens.saturating_add(AROUND_TOKENS));
            let lines = edit::lines_within(left, measure.tokens_per_word);
            if lines == 0 {
                skip("edit", AROUND_TOKENS);
            } else {
                let workload = Workload::Edit { lines };
                cells.push(Cell { workload, arrivals, prompt_tokens: None, completion_tokens });
            }
        }
        if cells.is_empty() {
            let shortest = self.prompts.iter().min().copied().unwrap_or(LEAST_TURN_TOKENS);
            let least = taken(shortest, completion_tokens);
            return Err(BenchError::NothingFits { context_tokens, least });
        }
        Ok((cells, skipped))
    }
}

/// What a request may take of the context: words are not all of the same number of tokens.
fn taken(prompt_tokens: u32, completion_tokens: u32) -> u32 {
    prompt_tokens.saturating_add(prompt_tokens / 16).saturating_add(completion_tokens).saturating_add(16)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MEASURE: Measure = Measure { fixed_tokens: 0.0, tokens_per_word: 1.0 };

    fn wish(streams: &[u32], prompts: &[u32], turns: bool, edit: bool) -> Wish {
        let arrivals = streams.iter().map(|&streams| Arrivals::Closed { streams }).collect();
        Wish { arrivals, prompts: prompts.to_vec(), completion_tokens: 64, turns, edit }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let check = |wish: &Wish, context: u32, expected: &[(Workload, Option<u32>)], skipped: usize| {
            let (cells, left_out) = wish.cells(context, MEASURE).unwrap();
            let got: Vec<(Workload, Option<u32>)> =
                cells.iter().map(|cell| (cell.workload, cell.prompt_tokens)).collect();
            assert_eq!((got.as_slice(), left_out.len()), (expected, skipped), "{wish:?} {context}");
        };
        let completion = |tokens: u32| (Workload::Completion, Some(tokens));
        let all = wish(&[1, 4], &[32, 4096], false, false);
        check(&all, 0, &[32, 32, 4096, 4096].map(completion), 0);
        check(&all, 2048, &[32, 32].map(completion), 1);
        let both = wish(&[], &[], true, true);
        check(&both, 8192, &[(Workload::Turns, Some(4000)), (Workload::Edit { lines: 300 }, None)], 0);
        check(&both, 1024, &[(Workload::Turns, Some(784)), (Workload::Edit { lines: 56 }, None)], 0);
        check(&both, 200, &[(Workload::Edit { lines: 4 }, None)], 1);
    }

    #[test]
    fn nothing_that_fits_is_an_error() {
        let error = wish(&[1], &[512], false, false).cells(256, MEASURE).unwrap_err();
        assert!(error.to_string().contains("256 tokens of context"), "{error}");
    }
}
