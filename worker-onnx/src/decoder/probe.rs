//! Trying a graph out as it is loaded: what it gives is measured, what does not work is a load error and not one of
//! the first request, and rows are computed together only where that changes no result.

use impetus_runtime::engine::{SlotId, TokenId, Want};
use tracing::warn;

use super::{Decoder, RunError};
use crate::error::ModelError;

/// How far logits of rows together may be from those of each alone, relative to their largest: roundings pass, a
/// mask or positions that are not heeded do not, and neither do activations that are quantized for all rows at once.
const TOLERANCE: f32 = 1e-2;

impl Decoder {
    /// Runs a few tokens through the graphs.
    pub(super) fn probe(&mut self) -> Result<(), ModelError> {
        self.measure().map_err(|error| self.refused(&error))?;
        if self.takes_rows {
            self.takes_rows = self.rows_agree().map_err(|error| self.refused(&error))?;
            if !self.takes_rows {
                warn!(
                    "this graph gives other results for several sequences at once: they are computed in turn"
                );
            }
        }
        Ok(())
    }

    fn refused(&self, error: &RunError) -> ModelError {
        ModelError::Library {
            file: self.next.graph.file.clone(),
            what: "could not be computed",
            words: error.to_string(),
        }
    }

    /// Finds out how wide logits are and which tokens have them.
    fn measure(&mut self) -> Result<(), RunError> {
        let mut cache = self.cache();
        let id = cache.gather(&[SlotId(0)]).map_err(|error| RunError::of(&error))?;
        let tokens = &[TokenId(0); 2][usize::from(self.takes_one_token(cache.group(id)))..];
        let (_, logits) = self.run(cache.group(id), &[tokens], true)?;
        self.vocabulary = logits.vocabulary();
        self.gives_last_only = logits.n_tokens() < tokens.len();
        Ok(())
    }

    /// Whether a long and a short row give together what each gives alone.
    fn rows_agree(&mut self) -> Result<bool, RunError> {
        let token = |n: usize| TokenId((n * 7 % self.vocabulary) as u32);
        let prompts: [Vec<TokenId>; 2] = [(1..7).map(token).collect(), (9..11).map(token).collect()];
        let (slots, last) = ([SlotId(0), SlotId(1)], [TokenId(token(12).0), TokenId(token(13).0)]);
        let failed = |error: ort::Error| RunError::of(&error);
        let mut cache = self.cache();
        let mut alone = Vec::new();
        for ((slot, prompt), last) in slots.into_iter().zip(&prompts).zip(&last) {
            let id = cache.gather(&[slot]).map_err(failed)?;
            let (group, _) = self.advance(cache.group(id), &[prompt], &[Want::Nothing])?;
            let (_, rows) = self.advance(&group, &[&[*last]], &[Want::Last])?;
            cache.put(id, group);
            alone.extend(rows);
        }
        let id = cache.gather(&slots).map_err(failed)?;
        let tokens: Vec<&[TokenId]> = last.iter().map(std::slice::from_ref).collect();
        // A graph that cannot compute two rows at all is no worse than one that does it wrong.
        let Ok((_, together)) = self.advance(cache.group(id), &tokens, &[Want::Last; 2]) else {
            return Ok(false);
        };
        Ok(alone.iter().zip(&together).all(|(alone, together)| agree(alone, together)))
    }
}

fn agree(expected: &[f32], found: &[f32]) -> bool {
    let magnitude = expected.iter().fold(f32::MIN_POSITIVE, |max, x| max.max(x.abs()));
    expected.iter().zip(found).all(|(a, b)| (a - b).abs() <= TOLERANCE * magnitude)
}
