//! candle keeps the laws of the engine seam on the bundled model's weights: a batch to the last bit, other cuts of
//! a prompt to a rounding.

use impetus_runtime::engine::{
    Model, TokenId,
    conformance::{Tolerance, check, check_reference},
};

use crate::bundled;

const SLOTS: u32 = 8;
/// Made by `tests/reference/logits.py`, which is no engine.
const LOGITS: &str = include_str!("../../tests/reference/logits.json");
const CONTEXT_TOKENS: u32 = 256;

#[test]
fn the_bundled_model_keeps_every_law() {
    let folder = bundled::folder();
    let (reports, progress) = std::sync::mpsc::sync_channel(4096);
    let Model { task, vocabulary, card } =
        bundled::load(folder.path(), (SLOTS, CONTEXT_TOKENS), &[], move |fraction| {
            let _ = reports.try_send(fraction);
        });
    let mut engine = task.into_generate().expect("it generates");

    assert_eq!(card.architecture, "llama");
    assert!(card.chat_template.is_some());
    assert_eq!(card.weights_bytes / 1_000_000, 10);
    assert!(progress.try_iter().any(|fraction| fraction >= 1.0), "the load ends at 1");
    assert!(vocabulary.is_end(vocabulary.encode("<|im_end|>", true).unwrap()[0]));
    assert!(vocabulary.encode("<|im_end|>", false).unwrap().len() > 1);

    let text = "count from 1 to 20, then say hello to the world: ünïcödé and 日本語 too, please";
    let whole = vocabulary.encode(text, true).unwrap();
    let bytes: Vec<u8> = whole.iter().flat_map(|&token| vocabulary.piece(token).to_vec()).collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), text, "pieces are the text");

    let law = |model: Model, tolerance| {
        let mut engine = model.task.into_generate().expect("it generates");
        check(&mut *engine, &prompts(&whole), tolerance)
    };
    check(&mut *engine, &prompts(&whole), Tolerance { batched: 0.0, cut: 3e-5 }).expect("every law holds");
    let difference = check_reference(&mut *engine, LOGITS, 1e-3).expect("the logits are right");
    println!("logits differ from the reference's by {difference:.1e} of their magnitude");
    // The laws hold for weights in other types as well; the roundings are other ones, and quantized activations
    // make them large.
    for option in [("dtype", "bf16"), ("dtype", "f16")] {
        let model = bundled::load(folder.path(), (SLOTS, CONTEXT_TOKENS), &[option], |_| {});
        law(model, Tolerance { batched: 0.0, cut: 5e-5 }).expect("every law holds");
    }
    for option in [("quantize", "q8_0"), ("quantize", "q4_k")] {
        let model = bundled::load(folder.path(), (SLOTS, CONTEXT_TOKENS), &[option], |_| {});
        law(model, Tolerance { batched: 1e-3, cut: 1e-1 }).expect("every law holds");
    }
}

/// Ragged prompts, short and long.
fn prompts(text: &[TokenId]) -> Vec<Vec<TokenId>> {
    (0..SLOTS as usize).map(|n| text.iter().cycle().skip(n * 3).take(8 + n * 5).copied().collect()).collect()
}
