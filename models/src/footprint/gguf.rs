//! llama.cpp: mapped weights, a KV cache that is laid out when the model is loaded, and one buffer in which a piece of
//! at most 512 tokens is computed.

use super::{F32, Footprint, KIB, MIB, Share, Sizes, TOKENS_PER_STEP, part_of, product, sum};

/// Of the process: pages of the program and its libraries, heap, stacks. Measured on Linux, x86-64.
const PROCESS_BYTES: u64 = 15 * MIB + 700 * KIB;
/// For each token of the vocabulary: its text, its place in two tables, its merges. Measured with 1,024 to 16,384.
const TOKEN_BYTES: u64 = 264;
/// For each cell of the KV cache, besides keys and values: who holds it. Measured.
const CELL_BYTES: u64 = 48;
/// In the compute buffer besides what is counted, and in the library's scratch memory. Measured.
const SCRATCH_BYTES: u64 = 2 * MIB;
/// Keys are laid out in steps of this many tokens (`llama_kv_cache::get_n_kv`).
const KV_STEP: u64 = 256;
/// A process's share of a GPU before anything is on it: CUDA's context and libraries. An estimate, the first measured
/// peak replaces it.
const GPU_PROCESS_BYTES: u64 = 400 * MIB;
/// What a model that embeds may set aside for logits (`LOGITS_BYTES` of the worker).
const LOGITS_BYTES: u64 = 1 << 30;

/// How the KV cache is stored, as bytes of this many elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KvType {
    block_bytes: u64,
    block_elements: u64,
}

const KV_F32: KvType = KvType { block_bytes: 4, block_elements: 1 };

pub(super) fn footprint(sizes: &Sizes) -> Footprint {
    let kv_type = kv_type(sizes);
    let (cells, step) = cells_and_step(sizes);
    let share = Share {
        weights: sizes.metadata.tensor_bytes,
        kv: part_of(product(&[cells, sizes.kv_elements]), kv_type.block_bytes, kv_type.block_elements)
            .saturating_add(product(&[cells, CELL_BYTES])),
        compute: compute(sizes, step, kv_type == KV_F32),
        process: process(sizes),
        loaded: 0,
    };
    let repacked = if sizes.option("mmap") == Some("false") { 0 } else { sizes.metadata.repacked_bytes };
    spread(sizes, share, repacked)
}

/// F32 for models whose weights are F32 and F16 for others, unless the option says what.
fn kv_type(sizes: &Sizes) -> KvType {
    let blocks = |block_bytes, block_elements| KvType { block_bytes, block_elements };
    match sizes.option("kv_type") {
        Some("f32") => KV_F32,
        Some("f16" | "bf16") => blocks(2, 1),
        Some("q8_0") => blocks(34, 32),
        Some("q4_0") => blocks(18, 32),
        _ if sizes.metadata.quantization == "F32" => KV_F32,
        _ => blocks(2, 1),
    }
}

/// Tokens that the cache has room for, and tokens of one piece. An embedding model computes each input whole.
fn cells_and_step(sizes: &Sizes) -> (u64, u64) {
    if !sizes.embeds() {
        return (product(&[sizes.slots, sizes.context]), TOKENS_PER_STEP.min(sizes.context));
    }
    let by_logits = LOGITS_BYTES / F32 / sizes.vocabulary.max(1);
    let open = if sizes.params.context_tokens == 0 { by_logits.max(TOKENS_PER_STEP) } else { u64::MAX };
    let step = sizes.input_tokens().min(open).max(TOKENS_PER_STEP);
    (step, step)
}

fn process(sizes: &Sizes) -> u64 {
    sum(&[PROCESS_BYTES, product(&[sizes.vocabulary, TOKEN_BYTES])])
}

/// The graph's largest moment, of `step` tokens: in the attention, which without the flash kernel has a score for each
/// head and key, or in the feed-forward network. The mask is there all the time.
fn compute(sizes: &Sizes, step: u64, kv_is_f32: bool) -> u64 {
    let keys = if sizes.embeds() {
        step
    } else {
        sizes.context.checked_next_multiple_of(KV_STEP).unwrap_or(u64::MAX)
    };
    let is_flash = match sizes.option("flash_attention") {
        Some("on") => true,
        Some("off") => false,
        // The worker's rule; what the library chooses for other models is on for all that have the kernel's shapes.
        _ => !(kv_is_f32 && sizes.metadata.quantization == "F32"),
    };
    let rows = product(&[step, F32]);
    let scores = if is_flash { 0 } else { product(&[rows, keys, u64::from(sizes.metadata.heads)]) };
    let mask = product(&[rows, keys]) / if is_flash { 2 } else { 1 };
    let stream = product(&[rows, sizes.width()]);
    let attention = sum(&[scores, product(&[2, stream]), product(&[2, rows, sizes.query_width()])]);
    let feed_forward = sum(&[product(&[3, rows, sizes.feed_forward()]), product(&[3, stream])]);
    sum(&[SCRATCH_BYTES, mask, attention.max(feed_forward)])
}

/// All of it in RAM, or what belongs to the layers that are offered to GPUs there, each taking an equal part.
fn spread(sizes: &Sizes, all: Share, repacked: u64) -> Footprint {
    let layers = u64::from(sizes.metadata.layers);
    let asked = sizes.option("gpu_layers").and_then(|text| text.parse().ok()).unwrap_or(u64::MAX);
    let gpus = u64::from(sizes.params.gpus);
    // The output matrix counts as one more layer (`llama_model::load_tensors`).
    let offered = if gpus == 0 { 0 } else { asked.min(layers + 1) };
    let weights = part_of(all.weights, offered, layers + 1);
    let kv = part_of(all.kv, offered.min(layers), layers.max(1));
    let kept = part_of(repacked, layers + 1 - offered, layers + 1);
    let mut ram = Share {
        weights: sum(&[all.weights - weights, kept]),
        kv: all.kv - kv,
        compute: if offered == 0 { all.compute } else { SCRATCH_BYTES },
        ..all
    };
    ram.loaded = sum(&[ram.weights, ram.kv, ram.process]);
    let used = if offered == 0 { 0 } else { gpus };
    let gpu = |_| {
        let (weights, kv) = (weights.div_ceil(gpus), kv.div_ceil(gpus));
        // Buffers of a GPU are there from the load on, whether used or not.
        let loaded = sum(&[weights, kv, all.compute, GPU_PROCESS_BYTES]);
        Share { weights, kv, compute: all.compute, process: GPU_PROCESS_BYTES, loaded }
    };
    Footprint { ram, gpus: (0..used).map(gpu).collect() }
}
