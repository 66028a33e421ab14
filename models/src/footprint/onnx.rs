//! ONNX Runtime: weights are copied into the layout that products want, caches are new tensors after every step, and
//! what a run needs comes from an arena that grows and is never given back.

use super::{F32, Footprint, KIB, MIB, Share, Sizes, TOKENS_PER_STEP, product, sum};

/// Of the process: pages of the program and of the library, heap, stacks, and what optimising a graph leaves behind.
/// Measured on Linux, x86-64, with ONNX Runtime 1.31.
const PROCESS_BYTES: u64 = 36 * MIB + 500 * KIB;
/// For each token of the vocabulary: its text, its place in two tables, its merges. Measured with 1,024 to 16,384.
const TOKEN_BYTES: u64 = 490;
/// Tokens of one call to an embedding model, padding included (`TOKENS_PER_STEP` of `embedder.rs`).
const TOKENS_PER_CALL: u64 = 8192;
/// How often keys and values are there at once, in tenths: what a run is given, what it gives, what a group is laid
/// anew from when a sequence joins it, and the holes between them in the arena. Measured, one slot alone and several.
const ALONE_TENTHS: u64 = 22;
const TOGETHER_TENTHS: u64 = 33;
const TOGETHER_HALF_TENTHS: u64 = 28;
/// The same of scores, and of logits.
const SCORES_TENTHS: u64 = 11;
const LOGITS_TENTHS: u64 = 12;
/// A process's share of a GPU before anything is on it: CUDA's context and libraries. An estimate, the first measured
/// peak replaces it.
const GPU_PROCESS_BYTES: u64 = 400 * MIB;

pub(super) fn footprint(sizes: &Sizes) -> Footprint {
    let is_half = matches!(sizes.metadata.quantization.as_str(), "F16" | "BF16");
    let on_gpu = sizes.params.gpus > 0 && sizes.option("provider") == Some("cuda");
    // The processor's kernels compute in F32, and so do the weights that they are given.
    let widened = if is_half && !on_gpu { 2 } else { 1 };
    let weights = product(&[sizes.metadata.tensor_bytes, widened]);
    let element = if is_half { F32 / 2 } else { F32 };
    let tenths = match (sizes.slots, is_half) {
        (1, _) => ALONE_TENTHS,
        (_, false) => TOGETHER_TENTHS,
        (_, true) => TOGETHER_HALF_TENTHS,
    };
    let held = product(&[sizes.slots, sizes.context, sizes.kv_elements, element, tenths]) / 10;
    let kv = if sizes.embeds() { 0 } else { held };
    let process = sum(&[PROCESS_BYTES, product(&[sizes.vocabulary, TOKEN_BYTES])]);
    let all =
        Share { weights, kv, compute: compute(sizes, is_half), process, loaded: sum(&[process, weights]) };
    if !on_gpu {
        return Footprint { ram: all, gpus: Vec::new() };
    }
    let gpu = Share { process: GPU_PROCESS_BYTES, loaded: sum(&[GPU_PROCESS_BYTES, weights]), ..all };
    Footprint { ram: Share { process, loaded: process, ..Share::default() }, gpus: vec![gpu] }
}

/// The rows of one run in the largest moment of a layer.
fn compute(sizes: &Sizes, is_half: bool) -> u64 {
    let heads = u64::from(sizes.metadata.heads);
    let (rows, scores, mask) = if sizes.embeds() {
        let input = sizes.input_tokens();
        let step = TOKENS_PER_CALL.max(input);
        (step, product(&[step, input, heads, F32]), product(&[step, input, F32]))
    } else {
        let step = TOKENS_PER_STEP.min(sizes.context);
        (step, product(&[step, sizes.context, heads, F32]), product(&[2, step, sizes.context, F32]))
    };
    let layer = sum(&[product(&[3, sizes.feed_forward()]), product(&[4, sizes.width()])]);
    // Those of all tokens of a run; logits of half the width are there in both widths.
    let logit = if is_half { F32 + F32 / 2 } else { F32 };
    let logits =
        if sizes.embeds() { 0 } else { product(&[rows, sizes.vocabulary, logit, LOGITS_TENTHS]) / 10 };
    sum(&[product(&[scores, SCORES_TENTHS]) / 10, mask, product(&[rows, layer, F32]), logits])
}
