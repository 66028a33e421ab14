//! A BERT model of a few thousand random weights as a GGUF file
//! (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>), made anew for each test.

use std::path::Path;

/// Tokens that an input may have: as many as the model has positions.
pub(crate) const CONTEXT_TOKENS: u32 = 48;
/// Numbers of a vector.
pub(crate) const WIDTH: u32 = 32;

const HEADS: u32 = 4;
const LAYERS: u32 = 2;
const FEED_FORWARD: u32 = 64;
const ALIGNMENT: usize = 32;
const SPECIAL: [&str; 5] = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"];

enum Value<'a> {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(&'a str),
    Texts(&'a [String]),
    Integers(&'a [i32]),
}

/// Writes the model to `path`; `pooling_type` is llama.cpp's number.
pub(crate) fn write(path: &Path, pooling_type: u32) {
    let tokens = vocabulary();
    // Control tokens are of kind 3, others of kind 1.
    let kinds: Vec<i32> = (0..tokens.len()).map(|idx| if idx < SPECIAL.len() { 3 } else { 1 }).collect();
    let keys = [
        ("general.architecture", Value::Text("bert")),
        ("general.file_type", Value::U32(0)),
        ("bert.block_count", Value::U32(LAYERS)),
        ("bert.context_length", Value::U32(CONTEXT_TOKENS)),
        ("bert.embedding_length", Value::U32(WIDTH)),
        ("bert.feed_forward_length", Value::U32(FEED_FORWARD)),
        ("bert.attention.head_count", Value::U32(HEADS)),
        ("bert.attention.layer_norm_epsilon", Value::F32(1e-12)),
        ("bert.attention.causal", Value::Bool(false)),
        ("bert.pooling_type", Value::U32(pooling_type)),
        ("tokenizer.ggml.model", Value::Text("bert")),
        ("tokenizer.ggml.token_type_count", Value::U32(2)),
        ("tokenizer.ggml.tokens", Value::Texts(&tokens)),
        ("tokenizer.ggml.token_type", Value::Integers(&kinds)),
        ("tokenizer.ggml.padding_token_id", Value::U32(0)),
        ("tokenizer.ggml.unknown_token_id", Value::U32(1)),
        ("tokenizer.ggml.bos_token_id", Value::U32(2)),
        ("tokenizer.ggml.seperator_token_id", Value::U32(3)),
        ("tokenizer.ggml.mask_token_id", Value::U32(4)),
    ];
    let tensors = tensors(tokens.len() as u32);

    let mut file = Vec::from(*b"GGUF");
    file.extend(3u32.to_le_bytes());
    file.extend((tensors.len() as u64).to_le_bytes());
    file.extend((keys.len() as u64).to_le_bytes());
    for (key, value) in &keys {
        put_text(&mut file, key);
        put_value(&mut file, value);
    }
    let mut offset = 0usize;
    for (name, shape) in &tensors {
        put_text(&mut file, name);
        file.extend((shape.len() as u32).to_le_bytes());
        for &length in shape {
            file.extend(u64::from(length).to_le_bytes());
        }
        // F32.
        file.extend(0u32.to_le_bytes());
        file.extend((offset as u64).to_le_bytes());
        offset += (n_elements(shape) * 4).next_multiple_of(ALIGNMENT);
    }
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    for (name, shape) in &tensors {
        file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
        // Norms scale by about one; all else is small.
        let centre = if name.ends_with("norm.weight") { 1.0 } else { 0.0 };
        for _ in 0..n_elements(shape) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let uniform = (random >> 40) as f32 / (1u32 << 24) as f32;
            file.extend((centre + uniform - 0.5).to_le_bytes());
        }
    }
    file.resize(file.len().next_multiple_of(ALIGNMENT), 0);
    std::fs::write(path, file).expect("the folder can be written to");
}

/// Letters as beginnings of words, which is what the mark says, and as their continuations.
fn vocabulary() -> Vec<String> {
    let letters = 'a'..='z';
    let beginnings = letters.clone().map(|letter| format!("\u{2581}{letter}"));
    let words = ["hello", "world"].map(|word| format!("\u{2581}{word}"));
    let special = SPECIAL.map(str::to_owned);
    special.into_iter().chain(beginnings).chain(letters.map(String::from)).chain(words).collect()
}

/// Names and shapes, the fastest-moving dimension first.
fn tensors(vocabulary: u32) -> Vec<(String, Vec<u32>)> {
    let mut tensors = vec![
        ("token_embd.weight".to_owned(), vec![WIDTH, vocabulary]),
        ("token_types.weight".to_owned(), vec![WIDTH, 2]),
        ("position_embd.weight".to_owned(), vec![WIDTH, CONTEXT_TOKENS]),
        ("token_embd_norm.weight".to_owned(), vec![WIDTH]),
        ("token_embd_norm.bias".to_owned(), vec![WIDTH]),
    ];
    for layer in 0..LAYERS {
        for (name, input, output) in [
            ("attn_q", WIDTH, WIDTH),
            ("attn_k", WIDTH, WIDTH),
            ("attn_v", WIDTH, WIDTH),
            ("attn_output", WIDTH, WIDTH),
            ("ffn_up", WIDTH, FEED_FORWARD),
            ("ffn_down", FEED_FORWARD, WIDTH),
        ] {
            tensors.push((format!("blk.{layer}.{name}.weight"), vec![input, output]));
            tensors.push((format!("blk.{layer}.{name}.bias"), vec![output]));
        }
        for name in ["attn_output_norm", "layer_output_norm"] {
            tensors.push((format!("blk.{layer}.{name}.weight"), vec![WIDTH]));
            tensors.push((format!("blk.{layer}.{name}.bias"), vec![WIDTH]));
        }
    }
    tensors
}

fn n_elements(shape: &[u32]) -> usize {
    shape.iter().product::<u32>() as usize
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// The numbers before the values are the format's names of their types.
fn put_value(out: &mut Vec<u8>, value: &Value) {
    let kind = |out: &mut Vec<u8>, number: u32| out.extend(number.to_le_bytes());
    match value {
        Value::U32(value) => {
            kind(out, 4);
            out.extend(value.to_le_bytes());
        }
        Value::F32(value) => {
            kind(out, 6);
            out.extend(value.to_le_bytes());
        }
        Value::Bool(value) => {
            kind(out, 7);
            out.push(u8::from(*value));
        }
        Value::Text(text) => {
            kind(out, 8);
            put_text(out, text);
        }
        Value::Texts(texts) => {
            kind(out, 9);
            kind(out, 8);
            out.extend((texts.len() as u64).to_le_bytes());
            texts.iter().for_each(|text| put_text(out, text));
        }
        Value::Integers(integers) => {
            kind(out, 9);
            kind(out, 5);
            out.extend((integers.len() as u64).to_le_bytes());
            integers.iter().for_each(|integer| out.extend(integer.to_le_bytes()));
        }
    }
}
