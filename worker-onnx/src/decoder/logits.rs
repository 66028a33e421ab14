//! The logits that a run gives, in whatever type the graph has.

use half::{bf16, f16};
use impetus_runtime::engine::Want;
use ort::value::{DynValue, TensorElementType};

use super::RunError;

/// Logits as the library holds them: `[rows, tokens, vocabulary]`, the tokens being all or the last alone.
pub(super) struct Logits {
    value: DynValue,
    n_tokens: usize,
    vocabulary: usize,
}

impl Logits {
    /// Takes the output of a run with `n_rows`.
    pub(super) fn new(value: DynValue, n_rows: usize) -> Result<Self, RunError> {
        let shape: Vec<usize> = value
            .dtype()
            .tensor_shape()
            .map(|shape| shape.iter().map(|&n| usize::try_from(n).unwrap_or(0)).collect())
            .unwrap_or_default();
        let (n_tokens, vocabulary) = match shape[..] {
            [rows, n_tokens, vocabulary] if rows == n_rows => (n_tokens, vocabulary),
            [rows, vocabulary] if rows == n_rows => (1, vocabulary),
            _ => (0, 0),
        };
        if n_tokens == 0 || vocabulary == 0 {
            return Err(RunError::Refused(format!("the logits of {n_rows} rows have the shape {shape:?}")));
        }
        Ok(Self { value, n_tokens, vocabulary })
    }

    /// Width of a row.
    pub(super) fn vocabulary(&self) -> usize {
        self.vocabulary
    }

    /// Tokens that have logits.
    pub(super) fn n_tokens(&self) -> usize {
        self.n_tokens
    }

    /// Appends to each of `rows` the logits that it wants of the run's `n_tokens`.
    pub(super) fn take(
        &self,
        n_tokens: usize,
        wants: &[Want],
        rows: &mut [Vec<f32>],
    ) -> Result<(), RunError> {
        for (row, (&want, taken)) in wants.iter().zip(rows).enumerate() {
            let n_wanted = match want {
                Want::Nothing => continue,
                Want::Last => 1,
                Want::All => n_tokens,
            };
            let Some(first) = self.n_tokens.checked_sub(n_wanted) else {
                return Err(RunError::Refused("it gives the logits of the last token alone".into()));
            };
            let start = (row * self.n_tokens + first) * self.vocabulary;
            self.append(start, n_wanted * self.vocabulary, taken)?;
        }
        Ok(())
    }

    fn append(&self, start: usize, length: usize, taken: &mut Vec<f32>) -> Result<(), RunError> {
        let range = start..start + length;
        let refused = |error: ort::Error| RunError::of(&error);
        match self.value.dtype().tensor_type() {
            Some(TensorElementType::Float16) => {
                let (_, values) = self.value.try_extract_tensor::<f16>().map_err(refused)?;
                taken.extend(values[range].iter().map(|x| x.to_f32()));
            }
            Some(TensorElementType::Bfloat16) => {
                let (_, values) = self.value.try_extract_tensor::<bf16>().map_err(refused)?;
                taken.extend(values[range].iter().map(|x| x.to_f32()));
            }
            _ => {
                let (_, values) = self.value.try_extract_tensor::<f32>().map_err(refused)?;
                taken.extend_from_slice(&values[range]);
            }
        }
        Ok(())
    }
}
