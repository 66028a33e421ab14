//! The worker keeps the laws of the engine seam on the bundled model's weights.

use impetus_runtime::engine::{
    Backend, Model, TokenId,
    conformance::{Tolerance, check, check_reference},
};

use crate::bundled;

const SLOTS: u32 = 8;
/// Made by `tests/reference/logits.py`, which is no engine.
const LOGITS: &str = include_str!("../../tests/reference/logits.json");
const CONTEXT_TOKENS: u32 = 256;

#[test]
fn the_bundled_model_keeps_every_law() {
    let Model { task, vocabulary, card } =
        bundled::load(&bundled::folder().join("model.onnx"), (SLOTS, CONTEXT_TOKENS), &[]);
    let mut engine = task.into_generate().expect("it generates");

    assert!(bundled::start().version().starts_with("ONNX Runtime 1."));
    assert_eq!(card.architecture, "llama");
    assert!(card.chat_template.is_some());
    assert_eq!(card.implementation, "", "sequences are computed together");
    assert_eq!(card.weights_bytes / 1_000_000, 10);
    assert!(vocabulary.is_end(vocabulary.encode("<|im_end|>", true).unwrap()[0]));

    let text = "count from 1 to 20, then say hello to the world: ünïcödé and 日本語 too, please";
    let whole = vocabulary.encode(text, true).unwrap();
    check(&mut *engine, &prompts(&whole), Tolerance { batched: 1e-5, cut: 5e-5 }).expect("every law holds");
    let difference = check_reference(&mut *engine, LOGITS, 1e-3).expect("the logits are right");
    println!("logits differ from the reference's by {difference:.1e} of their magnitude");
}

/// Ragged prompts, short and long.
fn prompts(text: &[TokenId]) -> Vec<Vec<TokenId>> {
    (0..SLOTS as usize).map(|n| text.iter().cycle().skip(n * 3).take(8 + n * 5).copied().collect()).collect()
}
