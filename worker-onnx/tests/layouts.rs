//! However an export is laid out, it keeps the laws and says the same.

use std::path::Path;

use impetus_runtime::engine::{
    Batch, Rows, SlotId, TextEngine, TokenId, Want,
    conformance::{Tolerance, check},
};
use serde_json::json;

use crate::{
    bundled,
    export::{self, Layout, PLAIN, Trait, VOCABULARY},
    onnx::F16,
};

const EXACT: Tolerance = Tolerance { batched: 1e-5, cut: 5e-5 };
/// What is said of graphs whose rows cannot be padded.
const IN_TURN: &str = "one sequence at a time";
const FIRST: Layout = Layout::with(&[Trait::Begins]);

fn engine(folder: &Path, path: &str) -> Box<dyn TextEngine> {
    let model = bundled::try_load(&folder.join(path), folder, (4, 0), &[]).expect("the model loads");
    model.task.into_generate().expect("it generates")
}

fn prompts() -> Vec<Vec<TokenId>> {
    let prompt = |n: u32| (0..8 + n * 5).map(|at| TokenId((at * 37 + n * 11) % VOCABULARY as u32)).collect();
    (0..4).map(prompt).collect()
}

/// The logits behind every token of the longest prompt.
fn logits(engine: &mut dyn TextEngine) -> Vec<f32> {
    let prompt = &prompts()[3];
    let (mut batch, mut rows) = (Batch::default(), Rows::new(VOCABULARY as u32));
    batch.push(SlotId(0), 0, prompt, Want::All);
    engine.step(&batch, &mut rows).expect("the step succeeds");
    engine.kv_clear(SlotId(0));
    (0..prompt.len()).flat_map(|row| rows.row(row).to_vec()).collect()
}

/// The export in `folder` keeps the laws and gives what the plain one gives, to a rounding.
fn verify(what: &str, folder: &Path, path: &str, tolerance: Tolerance) {
    let card = bundled::try_load(&folder.join(path), folder, (1, 0), &[]).expect("the model loads").card;
    let in_turn = if what == IN_TURN { IN_TURN } else { "" };
    assert_eq!(card.implementation, in_turn, "{what}");
    let mut engine = engine(folder, path);
    check(&mut *engine, &prompts(), tolerance).unwrap_or_else(|violation| panic!("{what}: {violation}"));
    let (found, expected) = (logits(&mut *engine), plain());
    let magnitude = expected.iter().fold(0.0_f32, |max, x| max.max(x.abs()));
    let far = found.iter().zip(&expected).find(|(a, b)| (**a - **b).abs() > tolerance.cut * magnitude);
    assert_eq!(far, None, "{what}");
}

fn plain() -> Vec<f32> {
    let folder = export::folder();
    export::decoder(folder.path(), "model.onnx", PLAIN);
    logits(&mut *engine(folder.path(), ""))
}

#[test]
fn graphs_that_differ_in_their_inputs_say_the_same() {
    let check = |what: &str, files: &[(&str, Layout)], path: &str, tolerance: Tolerance| {
        let folder = export::folder();
        for (file, layout) in files {
            export::decoder(folder.path(), file, *layout);
        }
        verify(what, folder.path(), path, tolerance);
    };
    check("plain", &[("model.onnx", PLAIN)], "model.onnx", EXACT);
    check("in its own folder", &[("onnx/model.onnx", PLAIN)], "onnx/model.onnx", EXACT);
    let pair = [("decoder_model.onnx", FIRST), ("decoder_with_past_model.onnx", PLAIN)];
    check("a pair", &pair, "decoder_with_past_model.onnx", EXACT);
    let one_token = Layout::with(&[Trait::OneToken]);
    let pair = [("decoder_model.onnx", FIRST), ("decoder_with_past_model.onnx", one_token)];
    check("a pair, one token at a time", &pair, "decoder_model.onnx", EXACT);
    check("one token at a time", &[("model.onnx", Layout::with(&[Trait::OneToken]))], "", EXACT);
    let merged = Layout::with(&[Trait::Merged]);
    check("merged", &[("decoder_model_merged.onnx", merged)], "", EXACT);
    let row_wise = Layout::with(&[Trait::RowWise]);
    check("row by row", &[("model.onnx", row_wise)], "", EXACT);
    let last_only = Layout::with(&[Trait::LastOnly]);
    check("the last token's logits", &[("model.onnx", last_only)], "", EXACT);
    let external = Layout { external: Some("model.onnx_data"), ..PLAIN };
    check("weights in another file", &[("model.onnx", external)], "", EXACT);
    let half = Layout { element: F16, ..PLAIN };
    check("f16", &[("model.onnx", half)], "", Tolerance { batched: 5e-3, cut: 5e-3 });
    let unmasked = Layout::with(&[Trait::Unmasked]);
    check(IN_TURN, &[("model.onnx", unmasked)], "", EXACT);
}

#[test]
fn files_may_be_links_into_another_folder_of_the_root() {
    let (place, export) = (tempfile::tempdir().expect("a folder can be made"), export::folder());
    export::decoder(export.path(), "model.onnx", Layout { external: Some("model.onnx_data"), ..PLAIN });
    let snapshot = place.path().join("snapshots/one");
    std::fs::create_dir_all(&snapshot).expect("a folder can be made");
    for (blob, name) in ["model.onnx", "model.onnx_data", "config.json", "tokenizer.json"].iter().enumerate()
    {
        let bytes = std::fs::read(export.path().join(name)).expect("it is there");
        export::write(place.path(), &format!("blobs/{blob}"), &bytes);
        std::os::unix::fs::symlink(format!("../../blobs/{blob}"), snapshot.join(name))
            .expect("a link can be made");
    }
    verify("links", place.path(), "snapshots/one/model.onnx", EXACT);
    verify("links", place.path(), "snapshots/one", EXACT);
}

#[test]
fn weights_of_four_bits_keep_the_laws() {
    let folder = export::folder();
    export::decoder(folder.path(), "model.onnx", Layout::with(&[Trait::Packed]));
    let mut engine = engine(folder.path(), "");
    check(&mut *engine, &prompts(), EXACT).expect("every law holds");
}

#[test]
fn names_and_settings_may_come_from_genai_config_alone() {
    let folder = export::folder();
    let names = ["ids", "cache_0_in_", "cache_0_out_"];
    export::decoder(folder.path(), "llm.onnx", Layout { names, ..PLAIN });
    let genai = json!({"model": {
        "type": "test", "vocab_size": VOCABULARY, "context_length": 256, "eos_token_id": 2,
        "decoder": {
            "filename": "llm.onnx",
            "inputs": {"input_ids": "ids", "past_key_names": "cache_%d_in_key", "past_value_names": "cache_%d_in_value"},
            "outputs": {"present_key_names": "cache_%d_out_key", "present_value_names": "cache_%d_out_value"}
        }
    }});
    export::write(folder.path(), "genai_config.json", genai.to_string().as_bytes());
    std::fs::remove_file(folder.path().join("config.json")).expect("it was there");
    verify("genai", folder.path(), "", EXACT);
    let model = bundled::load(folder.path(), (1, 0), &[]);
    assert_eq!((model.card.architecture.as_str(), model.card.trained_context_tokens), ("test", 256));
    assert!(model.vocabulary.is_end(TokenId(2)));
}

#[test]
fn a_step_that_fails_changes_no_slot() {
    let folder = export::folder();
    export::decoder(folder.path(), "model.onnx", PLAIN);
    let mut engine = engine(folder.path(), "");
    let expected = logits(&mut *engine);
    let (mut batch, mut rows) = (Batch::default(), Rows::new(VOCABULARY as u32));
    let prompt = &prompts()[3];
    batch.push(SlotId(0), 0, &prompt[..4], Want::Nothing);
    engine.step(&batch, &mut rows).expect("the step succeeds");

    let refused = |engine: &mut dyn TextEngine, chunk: (SlotId, u32, &[TokenId]), expected: &str| {
        let mut batch = Batch::default();
        batch.push(SlotId(0), 4, &prompt[4..6], Want::Nothing);
        batch.push(chunk.0, chunk.1, chunk.2, Want::Last);
        let error =
            engine.step(&batch, &mut Rows::new(VOCABULARY as u32)).expect_err("it is refused").to_string();
        assert!(error.contains(expected), "{error}");
    };
    refused(&mut *engine, (SlotId(1), 0, &[TokenId(VOCABULARY as u32)]), "token 1024");
    refused(&mut *engine, (SlotId(1), 3, &[TokenId(0)]), "position 3");
    refused(&mut *engine, (SlotId(1), 0, &[TokenId(0); 257]), "257 tokens");
    refused(&mut *engine, (SlotId(1), 0, &[]), "without tokens");

    batch.clear();
    rows.clear();
    batch.push(SlotId(0), 4, &prompt[4..], Want::All);
    engine.step(&batch, &mut rows).expect("the slot holds four tokens");
    let found = rows.row(rows.len() - 1);
    let last = &expected[expected.len() - VOCABULARY..];
    assert!(found.iter().zip(last).all(|(a, b)| (a - b).abs() < 1e-4));
}
