//! worker-candle: files are mapped while tensors are copied out of them; the decoder and the encoder of its own compute
//! in F32, as do candle's stock models, whose weights are F32 too.

use super::{F32, Footprint, KIB, MIB, Share, Sizes, TOKENS_PER_STEP, part_of, product, sum};

/// Of the process: pages of the program and its libraries, heap, stacks. Measured on Linux, x86-64.
const PROCESS_BYTES: u64 = 10 * MIB;
/// For each token of the vocabulary: its text, its place in two tables, its merges. Measured with 1,024 to 16,384.
const TOKEN_BYTES: u64 = 490;
/// What products are packed into, and what the allocator keeps. Measured.
const SCRATCH_BYTES: u64 = 3 * MIB;
const SLOT_BYTES: u64 = 768 * KIB;
/// Tokens of one call to an embedding model (`TOKENS_PER_CALL` of the worker); a longer input comes alone.
const TOKENS_PER_CALL: u64 = 8192;
/// Queries of a decoder, and of an encoder, that are attended together (`QUERIES_PER_BLOCK` of both).
const DECODER_QUERIES: u64 = 32;
const ENCODER_QUERIES: u64 = 64;
/// A process's share of a GPU before anything is on it: CUDA's context and libraries. An estimate, the first measured
/// peak replaces it.
const GPU_PROCESS_BYTES: u64 = 400 * MIB;
/// Types of models that the worker has no code of its own for (`worker-candle/src/stock/family.rs`).
const STOCK: [&str; 11] = [
    "falcon",
    "glm4",
    "granitemoehybrid",
    "helium",
    "lfm2",
    "mamba",
    "olmo",
    "olmo2",
    "phi",
    "recurrent_gemma",
    "starcoder2",
];

/// Bits of a weight by type, those that `quantize` takes with their scales (`block_*` in `ggml-common.h`).
const BITS: [(&str, f64); 13] = [
    ("f32", 32.0),
    ("f16", 16.0),
    ("bf16", 16.0),
    ("q4_0", 4.5),
    ("q4_1", 5.0),
    ("q5_0", 5.5),
    ("q5_1", 6.0),
    ("q8_0", 8.5),
    ("q2_k", 2.625),
    ("q3_k", 3.4375),
    ("q4_k", 4.5),
    ("q5_k", 5.5),
    ("q6_k", 6.5625),
];

pub(super) fn footprint(sizes: &Sizes) -> Footprint {
    let metadata = sizes.metadata;
    let weights = held(sizes);
    let kv = if sizes.embeds() {
        // One layer at a time.
        let step = TOKENS_PER_CALL.max(sizes.input_tokens());
        part_of(product(&[step, sizes.kv_elements, F32]), 1, layers(sizes))
    } else {
        product(&[sizes.slots, sizes.context, sizes.kv_elements, F32])
    };
    let process = sum(&[PROCESS_BYTES, product(&[sizes.vocabulary, TOKEN_BYTES])]);
    // When the last tensor has been copied, the whole file is still mapped.
    let loaded = sum(&[process, weights, metadata.tensor_bytes, laid_out(sizes)]);
    let all = Share { weights, kv, compute: compute(sizes), process, loaded };
    if sizes.params.gpus == 0 || sizes.option("device") != Some("cuda") {
        return Footprint { ram: all, gpus: Vec::new() };
    }
    let gpu = Share {
        compute: sum(&[all.compute, scores(sizes)]),
        process: GPU_PROCESS_BYTES,
        loaded: sum(&[GPU_PROCESS_BYTES, weights]),
        ..all
    };
    let loaded = sum(&[process, metadata.tensor_bytes]);
    Footprint { ram: Share { process, loaded, ..Share::default() }, gpus: vec![gpu] }
}

/// What is between the file and a product's panels for a moment: the largest tensor, or gate and up one by one and
/// together, in the file's type. Measured; embedding models are small enough to do without.
fn laid_out(sizes: &Sizes) -> u64 {
    let metadata = sizes.metadata;
    if sizes.embeds() || STOCK.contains(&metadata.architecture.as_str()) {
        return 0;
    }
    let gate_and_up = product(&[4, sizes.feed_forward(), sizes.width()]);
    let elements = gate_and_up.max(product(&[sizes.vocabulary, sizes.width()]));
    let element_bytes = metadata.tensor_bytes.checked_div(metadata.parameters).unwrap_or(F32).min(F32);
    product(&[elements, element_bytes])
}

/// On a GPU: scores of a whole step against the context, before and after they are softened, and their mask.
fn scores(sizes: &Sizes) -> u64 {
    let step = TOKENS_PER_STEP.min(sizes.context);
    let by_head = product(&[2, step, sizes.context, u64::from(sizes.metadata.heads), F32]);
    sum(&[by_head, product(&[step, sizes.context, F32])])
}

fn layers(sizes: &Sizes) -> u64 {
    u64::from(sizes.metadata.layers).max(1)
}

/// Bytes of the weights in the type that they are held in.
fn held(sizes: &Sizes) -> u64 {
    let metadata = sizes.metadata;
    let bits = |name: &str| BITS.iter().find(|(known, _)| *known == name).map(|(_, bits)| *bits);
    let all = |bits: f64| (metadata.parameters as f64 * bits / 8.0) as u64;
    if STOCK.contains(&metadata.architecture.as_str()) {
        return all(32.0).max(metadata.tensor_bytes);
    }
    let quantized = sizes.option("quantize").and_then(bits);
    let dtype = sizes.option("dtype").and_then(bits);
    let Some(bits) = quantized.or(dtype).filter(|_| metadata.parameters > 0) else {
        // What MLX has packed is unpacked.
        let is_packed = metadata.quantization.starts_with("MLX");
        return if is_packed { all(32.0).max(metadata.tensor_bytes) } else { metadata.tensor_bytes };
    };
    // Of the matrices only those of linear layers are quantized.
    let embedding = if quantized.is_some() { product(&[sizes.vocabulary, sizes.width()]) } else { 0 };
    let linear = metadata.parameters.saturating_sub(embedding);
    sum(&[(linear as f64 * bits / 8.0) as u64, product(&[embedding, F32])])
}

/// The rows of one step in the largest moment of a layer, and what the allocator keeps of what earlier ones left.
fn compute(sizes: &Sizes) -> u64 {
    let (step, queries, keys) = if sizes.embeds() {
        let input = sizes.input_tokens();
        (TOKENS_PER_CALL.max(input), ENCODER_QUERIES, input)
    } else {
        (TOKENS_PER_STEP.min(sizes.context), DECODER_QUERIES, sizes.context)
    };
    let metadata = sizes.metadata;
    let rows = product(&[step, F32]);
    let stream = product(&[2, rows, sizes.width()]);
    let group = u64::from(metadata.heads.checked_div(metadata.kv_heads).unwrap_or(1)).max(1);
    let scores = product(&[sizes.threads(), queries, group, keys, F32]);
    let qkv = sum(&[sizes.query_width(), sizes.kv_elements / layers(sizes)]);
    let attention = sum(&[scores, product(&[rows, qkv]), product(&[2, rows, sizes.query_width()])]);
    // Gate, up and their product; most encoders have no gate and change what goes up in its place.
    let inner = if sizes.embeds() { 1 } else { 3 };
    let outer = if sizes.embeds() { 2 } else { 1 };
    let feed_forward =
        sum(&[product(&[inner, rows, sizes.feed_forward()]), product(&[outer, rows, sizes.width()])]);
    let logits = product(&[2, sizes.slots, sizes.vocabulary, F32]);
    // Inputs of a product are cut into blocks.
    let blocks = product(&[rows, sizes.feed_forward().max(sizes.width())]);
    let scratch = sum(&[SCRATCH_BYTES, product(&[sizes.slots, SLOT_BYTES]), blocks]);
    sum(&[stream, attention.max(feed_forward), logits, scratch])
}
