//! llama.cpp keeps the laws of the engine seam: a batch to the last bit, other cuts of a prompt to a rounding.

use std::{collections::BTreeMap, path::PathBuf};

use impetus_runtime::engine::{
    Backend, Model, ModelSpec, Progress, TokenId,
    conformance::{Tolerance, check, check_reference},
};
use impetus_worker_gguf::Gguf;

const SLOTS: u32 = 8;
/// Made by `tests/reference/logits.py`, which is no engine.
const LOGITS: &str = include_str!("../../tests/reference/logits.json");

/// One process loads one model, so all laws run here, one after the other.
#[test]
fn the_bundled_model_keeps_every_law() {
    let mut backend = Gguf::start(2).expect("llama.cpp comes up");
    assert!(backend.version().contains("llama.cpp"));
    let spec = ModelSpec {
        path: PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../bundled/tiny/impetus-tiny.gguf"),
        root: PathBuf::from("/"),
        slots: SLOTS,
        context_tokens: 256,
        threads: 2,
        options: BTreeMap::new(),
    };
    let (reports, progress) = std::sync::mpsc::sync_channel(4096);
    let progress_sink = Progress::new(move |fraction| {
        let _ = reports.try_send(fraction);
    });
    let Model { task, vocabulary, card } = backend.load(&spec, &progress_sink).expect("the model loads");
    let mut engine = task.into_generate().expect("it generates");

    assert_eq!(card.architecture, "llama");
    assert!(card.chat_template.is_some());
    assert!(progress.try_iter().any(|fraction| fraction >= 1.0), "the load ends at 1");
    assert!(vocabulary.is_end(vocabulary.encode("<|im_end|>", true).unwrap()[0]));
    assert!(vocabulary.encode("<|im_end|>", false).unwrap().len() > 1);

    let text = "count from 1 to 20, then say hello to the world: ünïcödé and 日本語 too, please";
    let whole = vocabulary.encode(text, true).unwrap();
    let bytes: Vec<u8> = whole.iter().flat_map(|&token| vocabulary.piece(token).to_vec()).collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), text, "pieces are the text");

    let prompts: Vec<Vec<TokenId>> = (0..SLOTS as usize)
        .map(|n| whole.iter().cycle().skip(n * 3).take(9 + n * 5).copied().collect())
        .collect();
    check(&mut *engine, &prompts, Tolerance { batched: 0.0, cut: 1e-5 }).expect("every law holds");
    let difference = check_reference(&mut *engine, LOGITS, 1e-3).expect("the logits are right");
    println!("logits differ from the reference's by {difference:.1e} of their magnitude");
}
