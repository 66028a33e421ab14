//! Logits against those of the Python `transformers` package, on the models that `tests/reference/make.py` makes.

use std::path::Path;

use impetus_runtime::engine::{Batch, Rows, SlotId, TokenId, Want};
use serde::Deserialize;

use crate::bundled;

/// The largest difference, relative to the largest logit of the row.
const TOLERANCE: f32 = 1e-3;

#[derive(Deserialize)]
struct Expected {
    prompt: Vec<u32>,
    logits: Vec<Vec<f32>>,
}

/// Runs where `IMPETUS_REFERENCE` names a folder that `tests/reference/make.py` has filled.
#[test]
fn logits_are_those_of_transformers() {
    let Ok(folder) = std::env::var("IMPETUS_REFERENCE") else {
        println!("IMPETUS_REFERENCE names no folder: nothing to compare with");
        return;
    };
    let mut wrong = Vec::new();
    let mut models: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    models.sort();
    assert!(!models.is_empty(), "there are models");
    for path in models {
        let difference = difference(&path);
        println!("{difference:9.2e}  {}", path.display());
        if difference.is_nan() || difference > TOLERANCE {
            wrong.push(path);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// The prompt whole, in pieces and token by token, each against the expected rows.
fn difference(path: &Path) -> f32 {
    let text = std::fs::read_to_string(path.join("expected.json")).expect("the logits are there");
    let expected: Expected = serde_json::from_str(&text).expect("the logits are readable");
    let tokens: Vec<_> = expected.prompt.iter().copied().map(TokenId).collect();
    let model = bundled::load(path, (1, tokens.len() as u32), &[], |_| {});
    let mut engine = model.task.into_generate().expect("it generates");
    let mut largest = 0.0_f32;
    for size in [tokens.len(), 20, 1] {
        engine.kv_clear(SlotId(0));
        let mut rows = Rows::new(engine.limits().vocabulary);
        for (idx, chunk) in tokens.chunks(size).enumerate() {
            let mut batch = Batch::default();
            batch.push(SlotId(0), (idx * size) as u32, chunk, Want::All);
            engine.step(&batch, &mut rows).expect("the step succeeds");
        }
        for (idx, expected) in expected.logits.iter().enumerate() {
            let magnitude = expected.iter().fold(0.0_f32, |magnitude, logit| magnitude.max(logit.abs()));
            for (found, expected) in rows.row(idx).iter().zip(expected) {
                largest = largest.max((found - expected).abs() / magnitude);
                assert!(found.is_finite());
            }
        }
    }
    largest
}
