//! The laws that every engine keeps, whatever its format: a batch equals its chunks alone, a prompt in pieces
//! equals the prompt whole, and the KV cache holds what it was told to hold. Each engine's tests run them on a
//! real model.

mod embedding;
mod ranking;
mod reference;

pub use embedding::check_embedding;
pub use ranking::check_ranking;
pub use reference::check_reference;

use super::{Batch, Rows, SlotId, StepError, TextEngine, TokenId, Want};

/// How close logits have to be: the largest difference over the largest magnitude of the row.
#[derive(Debug, Clone, Copy)]
pub struct Tolerance {
    /// Prompts side by side against each prompt alone. Batch-invariant kernels pass with zero.
    pub batched: f32,
    /// The same tokens cut into other chunks: kernels for one token and for many rarely agree to the last bit.
    pub cut: f32,
}

/// A law that does not hold.
#[derive(Debug, thiserror::Error)]
pub enum Violation {
    /// Two ways to compute the same row differ.
    #[error("{law}: prompt {prompt}, row {row}: logits differ by {difference} of their magnitude")]
    Differs {
        /// The law.
        law: &'static str,
        /// Which of the prompts.
        prompt: usize,
        /// Which of its rows.
        row: usize,
        /// Relative to the row's largest magnitude.
        difference: f32,
    },
    /// A step failed that had to succeed.
    #[error("{law}: {source}")]
    Step {
        /// The law.
        law: &'static str,
        /// The engine's error.
        source: StepError,
    },
}

/// Runs all laws with `prompts`, which are ragged, at least two, at most as many as there are slots, each of at
/// least eight tokens, and together no more than a step takes.
pub fn check(
    engine: &mut dyn TextEngine,
    prompts: &[Vec<TokenId>],
    tolerance: Tolerance,
) -> Result<(), Violation> {
    let limits = engine.limits();
    assert!(prompts.len() >= 2 && prompts.len() <= limits.slots as usize, "prompts fit the slots");
    assert!(prompts.iter().all(|prompt| prompt.len() >= 8), "prompts are long enough to be cut");
    let mut kit = Kit { rows: Rows::new(limits.vocabulary), engine, tolerance };
    let alone = kit.alone(prompts)?;
    kit.batched(prompts, &alone)?;
    kit.decoded(prompts, &alone)?;
    kit.chunked(prompts, &alone)?;
    kit.truncated(prompts, &alone)?;
    kit.copied(prompts, &alone)?;
    kit.restored(prompts, &alone)?;
    kit.kept_apart(prompts, &alone)
}

struct Kit<'a> {
    engine: &'a mut dyn TextEngine,
    rows: Rows,
    tolerance: Tolerance,
}

/// All rows of one prompt.
type RowsOf = Vec<Vec<f32>>;

impl Kit<'_> {
    /// Every prompt by itself in slot 0, all rows: what everything else is compared with.
    fn alone(&mut self, prompts: &[Vec<TokenId>]) -> Result<Vec<RowsOf>, Violation> {
        let mut references = Vec::new();
        for prompt in prompts {
            self.engine.kv_clear(SlotId(0));
            self.step("alone", &[(SlotId(0), 0, prompt, Want::All)])?;
            references.push((0..prompt.len()).map(|row| self.rows.row(row).to_vec()).collect());
        }
        self.engine.kv_clear(SlotId(0));
        Ok(references)
    }

    /// All prompts in one ragged batch.
    fn batched(&mut self, prompts: &[Vec<TokenId>], alone: &[RowsOf]) -> Result<(), Violation> {
        let law = "a batch equals its chunks alone";
        let chunks: Vec<_> =
            prompts.iter().zip(0..).map(|(p, s)| (SlotId(s), 0, &p[..], Want::All)).collect();
        self.step(law, &chunks)?;
        let mut first = 0;
        for (idx, reference) in alone.iter().enumerate() {
            self.compare(law, self.tolerance.batched, idx, first, reference, 0)?;
            first += reference.len();
        }
        self.clear(prompts.len());
        Ok(())
    }

    /// Prompts token by token, side by side, as decoding does it, each beginning one step after the former.
    fn decoded(&mut self, prompts: &[Vec<TokenId>], alone: &[RowsOf]) -> Result<(), Violation> {
        let law = "decoding side by side equals prefill alone";
        let turns = prompts.iter().enumerate().map(|(idx, prompt)| idx + prompt.len()).max().unwrap_or(0);
        for turn in 0..turns {
            let due: Vec<_> = (0..prompts.len())
                .filter_map(|idx| {
                    turn.checked_sub(idx).filter(|&at| at < prompts[idx].len()).map(|at| (idx, at))
                })
                .collect();
            let chunks: Vec<_> = due
                .iter()
                .map(|&(idx, at)| (SlotId(idx as u32), at as u32, &prompts[idx][at..=at], Want::Last))
                .collect();
            self.step(law, &chunks)?;
            for (row, &(idx, at)) in due.iter().enumerate() {
                self.compare(law, self.tolerance.cut, idx, row, &alone[idx][at..=at], at)?;
            }
        }
        self.clear(prompts.len());
        Ok(())
    }

    /// Prompts in uneven pieces while another slot decodes.
    fn chunked(&mut self, prompts: &[Vec<TokenId>], alone: &[RowsOf]) -> Result<(), Violation> {
        let law = "a prompt in chunks equals the prompt whole";
        let (other, prompt) = (&prompts[0], &prompts[1]);
        let cuts = [0, 1, 3, prompt.len() / 2, prompt.len()];
        for (turn, cut) in cuts.windows(2).enumerate() {
            let piece = (SlotId(1), cut[0] as u32, &prompt[cut[0]..cut[1]], Want::All);
            self.step(law, &[(SlotId(0), turn as u32, &other[turn..=turn], Want::Last), piece])?;
            self.compare(law, self.tolerance.cut, 0, 0, &alone[0][turn..=turn], turn)?;
            self.compare(law, self.tolerance.cut, 1, 1, &alone[1][cut[0]..cut[1]], cut[0])?;
        }
        self.clear(2);
        Ok(())
    }

    /// A slot cut back and continued equals one never longer; an engine that cannot is excused.
    fn truncated(&mut self, prompts: &[Vec<TokenId>], alone: &[RowsOf]) -> Result<(), Violation> {
        let law = "a truncated slot holds the prefix";
        let (prompt, wrong) = (&prompts[0], &prompts[1]);
        let keep = prompt.len() / 2;
        self.step(law, &[(SlotId(0), 0, &prompt[..keep], Want::Nothing)])?;
        self.step(law, &[(SlotId(0), keep as u32, &wrong[..4], Want::Nothing)])?;
        if self.engine.kv_truncate(SlotId(0), keep as u32).is_ok() {
            self.step(law, &[(SlotId(0), keep as u32, &prompt[keep..], Want::All)])?;
            self.compare(law, self.tolerance.cut, 0, 0, &alone[0][keep..], keep)?;
        }
        self.clear(1);
        Ok(())
    }

    /// A copied prefix continued equals the whole, and the source goes on undisturbed.
    fn copied(&mut self, prompts: &[Vec<TokenId>], alone: &[RowsOf]) -> Result<(), Violation> {
        let law = "a copied prefix serves both slots";
        let prompt = &prompts[0];
        let (cut, keep) = (prompt.len() - 2, prompt.len() / 2);
        self.step(law, &[(SlotId(0), 0, &prompt[..cut], Want::Nothing)])?;
        self.step(law, &[(SlotId(1), 0, &prompts[1][..5], Want::Nothing)])?;
        if self.engine.kv_copy(SlotId(0), SlotId(1), keep as u32).is_ok() {
            let source = (SlotId(0), cut as u32, &prompt[cut..], Want::All);
            self.step(law, &[source, (SlotId(1), keep as u32, &prompt[keep..], Want::All)])?;
            self.compare(law, self.tolerance.cut, 0, 0, &alone[0][cut..], cut)?;
            self.compare(law, self.tolerance.cut, 0, 2, &alone[0][keep..], keep)?;
        }
        self.clear(2);
        Ok(())
    }

    /// A saved slot goes on in another one, whatever that held, and can be cut back there; an engine that cannot is
    /// excused.
    fn restored(&mut self, prompts: &[Vec<TokenId>], alone: &[RowsOf]) -> Result<(), Violation> {
        let law = "a restored slot goes on as the saved one";
        let prompt = &prompts[0];
        let (cut, keep) = (prompt.len() - 2, prompt.len() / 2);
        self.step(law, &[(SlotId(0), 0, &prompt[..cut], Want::Nothing)])?;
        let mut state = Vec::new();
        if let Some(bytes) = self.engine.kv_bytes(SlotId(0))
            && self.engine.kv_save(SlotId(0), &mut state).is_ok()
        {
            assert_eq!(state.len() as u64, bytes, "{law}: the state has another size than was said");
            self.engine.kv_clear(SlotId(0));
            self.step(law, &[(SlotId(1), 0, &prompts[1][..5], Want::Nothing)])?;
            let loaded = self.engine.kv_load(SlotId(1), &state, cut as u32);
            assert!(loaded.is_ok(), "{law}: what was saved is not taken");
            self.step(law, &[(SlotId(1), cut as u32, &prompt[cut..], Want::All)])?;
            self.compare(law, self.tolerance.cut, 0, 0, &alone[0][cut..], cut)?;
            if self.engine.kv_truncate(SlotId(1), keep as u32).is_ok() {
                self.step(law, &[(SlotId(1), keep as u32, &prompt[keep..], Want::All)])?;
                self.compare(law, self.tolerance.cut, 0, 0, &alone[0][keep..], keep)?;
            }
            let torn = self.engine.kv_load(SlotId(1), &state[..state.len() / 2], cut as u32);
            assert!(torn.is_err(), "{law}: half of a state is taken for a whole one");
        }
        self.clear(2);
        Ok(())
    }

    /// Clearing one slot leaves its neighbour alone.
    fn kept_apart(&mut self, prompts: &[Vec<TokenId>], alone: &[RowsOf]) -> Result<(), Violation> {
        let law = "clearing a slot leaves the others alone";
        let (first, second) = (&prompts[0], &prompts[1]);
        self.step(
            law,
            &[(SlotId(0), 0, &first[..4], Want::Nothing), (SlotId(1), 0, &second[..4], Want::Nothing)],
        )?;
        self.engine.kv_clear(SlotId(0));
        self.step(law, &[(SlotId(0), 0, &first[..], Want::Last), (SlotId(1), 4, &second[4..], Want::All)])?;
        let last = first.len() - 1;
        self.compare(law, self.tolerance.cut, 0, 0, &alone[0][last..], last)?;
        self.compare(law, self.tolerance.cut, 1, 1, &alone[1][4..], 4)?;
        self.clear(2);
        Ok(())
    }

    fn step(
        &mut self,
        law: &'static str,
        chunks: &[(SlotId, u32, &[TokenId], Want)],
    ) -> Result<(), Violation> {
        let mut batch = Batch::default();
        for &(slot, position, tokens, want) in chunks {
            batch.push(slot, position, tokens, want);
        }
        self.rows.clear();
        self.engine.step(&batch, &mut self.rows).map_err(|source| Violation::Step { law, source })?;
        assert_eq!(self.rows.len(), batch.n_rows(), "{law}: the step gave another number of rows");
        Ok(())
    }

    /// Compares the rows from `first` on with `reference`, whose own first row is row `offset` of the prompt.
    fn compare(
        &self,
        law: &'static str,
        tolerance: f32,
        prompt: usize,
        first: usize,
        reference: &[Vec<f32>],
        offset: usize,
    ) -> Result<(), Violation> {
        for (idx, expected) in reference.iter().enumerate() {
            let difference = relative_difference(self.rows.row(first + idx), expected);
            if difference > tolerance || difference.is_nan() {
                return Err(Violation::Differs { law, prompt, row: offset + idx, difference });
            }
        }
        Ok(())
    }

    fn clear(&mut self, slots: usize) {
        for slot in 0..slots {
            self.engine.kv_clear(SlotId(slot as u32));
        }
    }
}

/// The largest difference over the largest magnitude of `expected`; NaN when anything is.
fn relative_difference(row: &[f32], expected: &[f32]) -> f32 {
    let magnitude = expected.iter().fold(f32::MIN_POSITIVE, |max, x| max.max(x.abs()));
    let mut largest = 0.0_f32;
    for (a, b) in row.iter().zip(expected) {
        let difference = (a - b).abs();
        if difference.is_nan() {
            return f32::NAN;
        }
        largest = largest.max(difference);
    }
    largest / magnitude
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{
        Limits, Unsupported,
        fake::{FakeEngine, Faults},
    };

    const LIMITS: Limits = Limits {
        slots: 4,
        context_tokens: 64,
        tokens_per_step: 128,
        chunk_rows: 128,
        chunks_per_step: 4,
        vocabulary: 33,
    };
    const EXACT: Tolerance = Tolerance { batched: 0.0, cut: 0.0 };

    fn prompts() -> Vec<Vec<TokenId>> {
        [8, 13, 9, 21].map(|n| (0..n).map(|token| TokenId((token * n) % 33)).collect()).into()
    }

    /// An engine that does one thing wrong.
    struct Wrong {
        engine: FakeEngine,
        truncates_short: bool,
        clears_all: bool,
    }

    impl TextEngine for Wrong {
        fn limits(&self) -> Limits {
            self.engine.limits()
        }

        fn step(&mut self, batch: &Batch, rows: &mut Rows) -> Result<(), StepError> {
            self.engine.step(batch, rows)
        }

        fn kv_truncate(&mut self, slot: SlotId, length: u32) -> Result<(), Unsupported> {
            self.engine.kv_truncate(slot, length)?;
            if self.truncates_short {
                self.engine.kv_copy(SlotId(3), slot, 0)?;
                self.step(&filler(slot, length), &mut Rows::new(LIMITS.vocabulary))
                    .map_err(|_| Unsupported)?;
            }
            Ok(())
        }

        fn kv_copy(&mut self, from: SlotId, to: SlotId, length: u32) -> Result<(), Unsupported> {
            self.engine.kv_copy(from, to, length)
        }

        fn kv_clear(&mut self, slot: SlotId) {
            self.engine.kv_clear(slot);
            if self.clears_all {
                let neighbour = SlotId(slot.0 ^ 1);
                let held = self.engine.held(neighbour);
                self.engine.kv_clear(neighbour);
                let refilled = self.step(&filler(neighbour, held), &mut Rows::new(LIMITS.vocabulary));
                assert!(refilled.is_ok(), "the fake engine takes anything that fits");
            }
        }
    }

    /// As many tokens as the slot should hold, but others.
    fn filler(slot: SlotId, length: u32) -> Batch {
        let mut batch = Batch::default();
        batch.push(slot, 0, &vec![TokenId(1); length as usize], Want::Nothing);
        batch
    }

    #[test]
    fn an_engine_that_keeps_the_laws_passes() {
        for rigid_kv in [false, true] {
            let mut engine = FakeEngine::new(LIMITS, Faults { rigid_kv, ..Faults::default() });
            check(&mut engine, &prompts(), EXACT).unwrap();
        }
    }

    #[test]
    fn an_engine_that_breaks_a_law_is_told_which() {
        let broken = |truncates_short, clears_all| {
            let engine = FakeEngine::new(LIMITS, Faults::default());
            check(&mut Wrong { engine, truncates_short, clears_all }, &prompts(), EXACT)
                .unwrap_err()
                .to_string()
        };
        assert!(broken(true, false).contains("a truncated slot holds the prefix"));
        assert!(broken(false, true).contains("clearing a slot leaves the others alone"));
    }
}
