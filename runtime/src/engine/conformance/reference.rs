//! Logits against those that somebody else computed.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Violation, relative_difference};
use crate::engine::{Batch, Rows, SlotId, TextEngine, TokenId, Want};

/// A prompt and some of its rows of logits.
#[derive(Debug, Deserialize)]
struct Reference {
    tokens: Vec<u32>,
    rows: BTreeMap<usize, Vec<f32>>,
}

/// Computes the prompt of `reference`, a text like that of `tests/reference/logits.json`, at once and token by token.
/// Logits may differ by `tolerance`, relative to the row's largest magnitude; the largest difference is the answer.
pub fn check_reference(
    engine: &mut dyn TextEngine,
    reference: &str,
    tolerance: f32,
) -> Result<f32, Violation> {
    let reference: Reference = serde_json::from_str(reference).expect("the reference is readable");
    let tokens: Vec<TokenId> = reference.tokens.iter().copied().map(TokenId).collect();
    let mut rows = Rows::new(engine.limits().vocabulary);
    let mut largest = 0.0_f32;
    for (law, chunk) in [("logits are the reference's", tokens.len()), ("decoding gives the reference's", 1)]
    {
        engine.kv_clear(SlotId(0));
        rows.clear();
        for (idx, chunk_tokens) in tokens.chunks(chunk).enumerate() {
            let mut batch = Batch::default();
            batch.push(SlotId(0), (idx * chunk) as u32, chunk_tokens, Want::All);
            engine.step(&batch, &mut rows).map_err(|source| Violation::Step { law, source })?;
        }
        for (&row, expected) in &reference.rows {
            let difference = relative_difference(rows.row(row), expected);
            if difference > tolerance || difference.is_nan() {
                return Err(Violation::Differs { law, prompt: 0, row, difference });
            }
            largest = largest.max(difference);
        }
    }
    engine.kv_clear(SlotId(0));
    Ok(largest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{
        Limits,
        fake::{FakeEngine, Faults},
    };

    const LIMITS: Limits = Limits {
        slots: 1,
        context_tokens: 16,
        tokens_per_step: 16,
        chunk_rows: 16,
        chunks_per_step: 1,
        vocabulary: 9,
    };

    #[test]
    fn other_logits_are_found() {
        let mut engine = FakeEngine::new(LIMITS, Faults::default());
        let mut rows = Rows::new(LIMITS.vocabulary);
        let mut batch = Batch::default();
        batch.push(SlotId(0), 0, &[TokenId(3), TokenId(1), TokenId(4)], Want::All);
        engine.step(&batch, &mut rows).unwrap();
        let mut row = rows.row(2).to_vec();
        let reference =
            |row: &[f32]| serde_json::json!({"tokens": [3, 1, 4], "rows": {"2": row}}).to_string();
        assert!(check_reference(&mut engine, &reference(&row), 1e-6).is_ok());
        row[5] += 1.0;
        assert!(check_reference(&mut engine, &reference(&row), 1e-3).is_err());
    }
}
