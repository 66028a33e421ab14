//! Exports of a decoder of one layer that knows the bundled vocabulary, in all the ways in which exports are laid
//! out. Their weights are the same, so that all have to say the same.

use std::path::Path;

use half::f16;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    bundled,
    onnx::{BOOL, Dim, F16, F32, Graph, I32, I64, U8},
};

pub(crate) const VOCABULARY: usize = 1024;
const WIDTH: usize = 16;
const HEADS: u64 = 2;
const POSITIONS: usize = 256;

const B: Dim = Dim::Named("batch");
const N: Dim = Dim::Named("tokens");
const PAST: Dim = Dim::Named("past");
const TOTAL: Dim = Dim::Named("total");
const KV_HEADS: Dim = Dim::Fixed(HEADS);
const HEAD: Dim = Dim::Fixed(WIDTH as u64 / HEADS);

/// How a decoder is laid out.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    /// Names of the token ids and of the cache's input and output.
    pub(crate) names: [&'static str; 3],
    pub(crate) traits: &'static [Trait],
    /// The type of the weights.
    pub(crate) element: u64,
    /// The file with the embedding.
    pub(crate) external: Option<&'static str>,
}

/// What sets a decoder apart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trait {
    /// `GroupQueryAttention`, whose lengths are inputs.
    RowWise,
    /// No cache to take: the first of a pair.
    Begins,
    /// An input that says whether there is a cache; a wrong one spoils the logits.
    Merged,
    /// One token of each row.
    OneToken,
    /// The logits of the last token alone.
    LastOnly,
    /// A head of four bits a number.
    Packed,
    /// No heed to the mask.
    Unmasked,
}

pub(crate) const PLAIN: Layout = Layout {
    names: ["input_ids", "past_key_values.0.", "present.0."],
    traits: &[],
    element: F32,
    external: None,
};

impl Layout {
    pub(crate) const fn with(traits: &'static [Trait]) -> Self {
        Self { traits, ..PLAIN }
    }

    fn is(self, wanted: Trait) -> bool {
        self.traits.contains(&wanted)
    }
}

/// A folder with tokenizer and settings, and no graph.
pub(crate) fn folder() -> TempDir {
    let place = tempfile::tempdir().expect("a folder can be made");
    let tokenizer = bundled::folder().join("tokenizer.json");
    std::fs::copy(tokenizer, place.path().join("tokenizer.json")).expect("the bundled model is there");
    write(place.path(), "config.json", config().to_string().as_bytes());
    place
}

pub(crate) fn config() -> serde_json::Value {
    json!({"model_type": "test", "vocab_size": VOCABULARY, "max_position_embeddings": POSITIONS,
           "num_attention_heads": HEADS, "hidden_size": WIDTH, "eos_token_id": 2})
}

/// Writes a file, and the folder that it is in.
pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().expect("it is in a folder")).expect("a folder can be made");
    std::fs::write(path, bytes).expect("a file can be written");
}

/// Numbers that look random and are the same in every run.
pub(crate) fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    std::iter::repeat_with(next).take(n).collect()
}

/// Numbers as the bytes of an element type.
pub(crate) fn raw(numbers: &[f32], element: u64) -> Vec<u8> {
    match element {
        F16 => numbers.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect(),
        _ => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

/// The embedding's weights.
pub(crate) fn embedding() -> Vec<f32> {
    numbers(VOCABULARY * WIDTH, 1)
}

/// Writes the decoder as `file` into `folder`.
pub(crate) fn decoder(folder: &Path, file: &str, layout: Layout) {
    write(folder, file, &graph(layout).encode());
    if let Some(external) = layout.external {
        let beside = folder.join(file);
        write(beside.parent().expect("it is in a folder"), external, &raw(&embedding(), F32));
    }
}

/// The decoder: embedding of tokens and of positions, attention, and the embedding again for logits.
pub(crate) fn graph(layout: Layout) -> Graph {
    let Layout { names: [tokens, past, present], element, .. } = layout;
    let mut graph = Graph::default();
    let (vocabulary, width) = (VOCABULARY as u64, WIDTH as u64);
    match layout.external {
        Some(file) => graph.external("embedding", &[vocabulary, width], file, VOCABULARY * WIDTH * 4),
        None => graph.weights("embedding", element, &[vocabulary, width], &raw(&embedding(), element)),
    }
    let places = raw(&numbers(POSITIONS * WIDTH, 2), element);
    graph.weights("places", element, &[POSITIONS as u64, width], &places);

    graph.input(tokens, I64, &[B, if layout.is(Trait::OneToken) { Dim::Fixed(1) } else { N }]);
    graph.input("position_ids", I64, &[B, N]);
    graph.node("Gather", &["embedding", tokens], &["embedded"], &[]);
    graph.node("Gather", &["places", "position_ids"], &["placed"], &[]);
    graph.node("Add", &["embedded", "placed"], &["x"], &[]);
    let cache = |graph: &mut Graph, part: &str| {
        graph.output(&format!("{present}{part}"), element, &[B, KV_HEADS, TOTAL, HEAD]);
        if layout.is(Trait::Begins) {
            return String::new();
        }
        graph.input(&format!("{past}{part}"), element, &[B, KV_HEADS, PAST, HEAD]);
        format!("{past}{part}")
    };
    let (past_key, past_value) = (cache(&mut graph, "key"), cache(&mut graph, "value"));
    let results = ["attended", &format!("{present}key"), &format!("{present}value")];
    if layout.is(Trait::RowWise) {
        graph.input("seqlens_k", I32, &[B]);
        graph.input("total_sequence_length", I32, &[]);
        let inputs = ["x", "x", "x", &past_key, &past_value, "seqlens_k", "total_sequence_length"];
        let heads = [("num_heads", HEADS), ("kv_num_heads", HEADS)];
        graph.node("com.microsoft:GroupQueryAttention", &inputs, &results, &heads);
    } else {
        graph.input("attention_mask", I64, &[B, TOTAL]);
        graph.node("Cast", &["attention_mask"], &["mask"], &[("to", I32)]);
        let mask = if layout.is(Trait::Unmasked) { "" } else { "mask" };
        let inputs = ["x", "x", "x", "", mask, "", &past_key, &past_value];
        let attributes = [("num_heads", HEADS), ("unidirectional", 1)];
        graph.node("com.microsoft:MultiHeadAttention", &inputs, &results, &attributes);
    }
    finish(&mut graph, layout, &past_key);
    graph
}

/// The logits.
fn finish(graph: &mut Graph, layout: Layout, past_key: &str) {
    let scores = if layout.is(Trait::LastOnly) || layout.is(Trait::Merged) { "scores" } else { "logits" };
    let (width, vocabulary) = (WIDTH as u64, VOCABULARY as u64);
    let head = numbers(WIDTH * VOCABULARY, 3);
    if layout.is(Trait::Packed) {
        // One block for each row of the head, two numbers in each byte.
        let bytes: Vec<u8> = head.chunks(2).map(|pair| (pair[0] * 127.0) as i8 as u8).collect();
        graph.weights("head", U8, &[vocabulary, 1, width / 2], &bytes);
        graph.weights("scales", F32, &[vocabulary], &raw(&vec![0.1; VOCABULARY], F32));
        let sizes = [("K", width), ("N", vocabulary), ("bits", 4), ("block_size", width)];
        graph.node("com.microsoft:MatMulNBits", &["attended", "head", "scales"], &[scores], &sizes);
    } else {
        graph.weights("head", layout.element, &[width, vocabulary], &raw(&head, layout.element));
        graph.node("MatMul", &["attended", "head"], &[scores], &[]);
    }
    if layout.is(Trait::Merged) {
        graph.input("use_cache_branch", BOOL, &[Dim::Fixed(1)]);
        graph.weights("columns", I64, &[1], &2_i64.to_le_bytes());
        graph.weights("none", I64, &[1], &0_i64.to_le_bytes());
        graph.node("Shape", &[past_key], &["shape"], &[]);
        graph.node("Gather", &["shape", "columns"], &["past_columns"], &[]);
        graph.node("Greater", &["past_columns", "none"], &["has_cache"], &[]);
        graph.node("Xor", &["has_cache", "use_cache_branch"], &["is_wrong"], &[]);
        graph.node("Cast", &["is_wrong"], &["wrong"], &[("to", F32)]);
        graph.node("Add", &["scores", "wrong"], &["logits"], &[]);
    }
    if layout.is(Trait::LastOnly) {
        graph.weights("last", I64, &[1], &(-1_i64).to_le_bytes());
        graph.node("Gather", &["scores", "last"], &["logits"], &[("axis", 1)]);
    }
    let tokens = if layout.is(Trait::LastOnly) { Dim::Fixed(1) } else { N };
    graph.output("logits", layout.element, &[B, tokens, Dim::Fixed(VOCABULARY as u64)]);
}
