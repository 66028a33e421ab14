//! Logits and vectors against those of the Python `transformers` package, on the models that
//! `tests/reference/make.py` makes.

use std::path::Path;

use impetus_runtime::engine::{
    Batch, EmbeddingEngine, LoadError, Rows, SlotId, TextEngine, TokenId, Vectors, Want,
};
use serde::Deserialize;

use crate::bundled;

/// The largest difference, relative to the largest number of the row.
const TOLERANCE: f32 = 1e-3;

#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    Logits { prompt: Vec<u32>, logits: Vec<Vec<f32>> },
    Vectors { inputs: Vec<Vec<u32>>, vectors: Vec<Vec<f32>> },
}

/// Runs where `IMPETUS_REFERENCE` names a folder that `tests/reference/make.py` has filled.
#[test]
fn models_say_what_transformers_says() {
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
        match &difference {
            Ok(difference) => println!("{difference:9.2e}  {}", path.display()),
            Err(error) => println!("{error}"),
        }
        if !difference.is_ok_and(|difference| difference <= TOLERANCE) {
            wrong.push(path);
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

fn difference(path: &Path) -> Result<f32, LoadError> {
    let text = std::fs::read_to_string(path.join("expected.json")).expect("the expected numbers are there");
    match serde_json::from_str(&text).expect("the expected numbers are readable") {
        Expected::Logits { prompt, logits } => {
            let model = bundled::try_load(path, (1, prompt.len() as u32), &[], |_| {})?;
            let mut engine = model.task.into_generate().expect("it generates");
            Ok(of_logits(&mut *engine, &ids(&prompt), &logits))
        }
        Expected::Vectors { inputs, vectors } => {
            let model = bundled::try_load(path, (1, 0), &[], |_| {})?;
            let mut engine = model.task.into_embed().expect("it embeds");
            Ok(of_vectors(&mut *engine, &inputs, &vectors))
        }
    }
}

/// The prompt whole, in pieces and token by token, each against the expected rows.
fn of_logits(engine: &mut dyn TextEngine, tokens: &[TokenId], expected: &[Vec<f32>]) -> f32 {
    let mut largest = 0.0_f32;
    for size in [tokens.len(), 20, 1] {
        engine.kv_clear(SlotId(0));
        let mut rows = Rows::new(engine.limits().vocabulary);
        for (idx, chunk) in tokens.chunks(size).enumerate() {
            let mut batch = Batch::default();
            batch.push(SlotId(0), (idx * size) as u32, chunk, Want::All);
            engine.step(&batch, &mut rows).expect("the step succeeds");
        }
        for (idx, expected) in expected.iter().enumerate() {
            largest = largest.max(relative(rows.row(idx), expected));
        }
        // Some engines compute a last row in another way than all rows.
        engine.kv_clear(SlotId(0));
        let mut last = Rows::new(engine.limits().vocabulary);
        for (idx, chunk) in tokens.chunks(size).enumerate() {
            let mut batch = Batch::default();
            batch.push(SlotId(0), (idx * size) as u32, chunk, Want::Last);
            last.clear();
            engine.step(&batch, &mut last).expect("the step succeeds");
        }
        largest = largest.max(relative(last.row(0), expected.last().expect("there are rows")));
    }
    largest
}

fn of_vectors(engine: &mut dyn EmbeddingEngine, inputs: &[Vec<u32>], expected: &[Vec<f32>]) -> f32 {
    let inputs: Vec<Vec<TokenId>> = inputs.iter().map(|input| ids(input)).collect();
    let inputs: Vec<&[TokenId]> = inputs.iter().map(Vec::as_slice).collect();
    let mut vectors = Vectors::new(engine.limits().dimensions);
    engine.embed(&inputs, &mut vectors).expect("the inputs are embedded");
    vectors.iter().zip(expected).map(|(vector, expected)| relative(vector, expected)).fold(0.0, f32::max)
}

fn relative(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    assert!(found.iter().all(|number| number.is_finite()));
    let magnitude = expected.iter().fold(0.0_f32, |magnitude, number| magnitude.max(number.abs()));
    let differences = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs());
    differences.fold(0.0, f32::max) / magnitude
}

fn ids(tokens: &[u32]) -> Vec<TokenId> {
    tokens.iter().copied().map(TokenId).collect()
}
