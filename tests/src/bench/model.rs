//! The model that is measured: a Llama of about 100 million F16 parameters, all of them random. What a model knows
//! does not change how fast it runs.

use std::{
    fs::{self, File},
    io::{BufWriter, Write},
    path::Path,
};

use anyhow::Context;

use super::{
    gguf::{self, Element, Tensor, Value},
    vocabulary::Vocabulary,
};

/// Names the file; to be changed with everything that changes its bytes.
const FILE: &str = "random-llama-f16-1.gguf";

const LAYERS: u32 = 12;
const WIDTH: u32 = 768;
const HEADS: u32 = 12;
const FEED_FORWARD: u32 = 2048;
const VOCABULARY: usize = 8192;
const CONTEXT_TOKENS: u32 = 2048;
const SEED: u64 = 0x5eed;

/// A model file and what the report says of it.
#[derive(Debug)]
pub(super) struct BenchModel {
    pub(super) path: std::path::PathBuf,
    pub(super) parameters: u64,
    pub(super) bytes: u64,
    /// Ids that a prompt may be made of, from the first to the last.
    pub(super) prompt_ids: std::ops::Range<u32>,
}

/// The model in `dir`, made unless an earlier run left it there.
pub(super) fn prepare(dir: &Path) -> anyhow::Result<BenchModel> {
    fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
    let path = dir.join(FILE);
    let vocabulary = Vocabulary::new(VOCABULARY);
    let tensors = tensors(vocabulary.len() as u64);
    if !path.exists() {
        // Renamed when it is whole: a run that is interrupted leaves no half of a model.
        let unfinished = path.with_extension("new");
        write(&unfinished, &vocabulary, &tensors)
            .with_context(|| format!("writing {}", unfinished.display()))?;
        fs::rename(&unfinished, &path).with_context(|| format!("naming {}", path.display()))?;
    }
    Ok(BenchModel {
        bytes: fs::metadata(&path).with_context(|| format!("reading {}", path.display()))?.len(),
        parameters: tensors.iter().map(Tensor::n_elements).sum(),
        prompt_ids: 256..vocabulary.len() as u32 - 1,
        path,
    })
}

fn tensors(vocabulary: u64) -> Vec<Tensor> {
    let (width, feed_forward) = (u64::from(WIDTH), u64::from(FEED_FORWARD));
    let matrix = |name: String, from, to| Tensor { name, shape: vec![from, to], element: Element::F16 };
    let norm = |name: String| Tensor { name, shape: vec![width], element: Element::F32 };
    let mut tensors = vec![
        matrix("token_embd.weight".into(), width, vocabulary),
        norm("output_norm.weight".into()),
        matrix("output.weight".into(), width, vocabulary),
    ];
    for layer in 0..LAYERS {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        tensors.push(norm(name("attn_norm")));
        for part in ["attn_q", "attn_k", "attn_v", "attn_output"] {
            tensors.push(matrix(name(part), width, width));
        }
        tensors.push(norm(name("ffn_norm")));
        tensors.push(matrix(name("ffn_gate"), width, feed_forward));
        tensors.push(matrix(name("ffn_up"), width, feed_forward));
        tensors.push(matrix(name("ffn_down"), feed_forward, width));
    }
    tensors
}

fn write(path: &Path, vocabulary: &Vocabulary, tensors: &[Tensor]) -> std::io::Result<()> {
    let mut keys = vec![
        ("general.architecture", Value::Text("llama".into())),
        ("general.name", Value::Text("random weights, for benchmarks".into())),
        ("general.file_type", Value::U32(1)),
        ("llama.context_length", Value::U32(CONTEXT_TOKENS)),
        ("llama.embedding_length", Value::U32(WIDTH)),
        ("llama.block_count", Value::U32(LAYERS)),
        ("llama.feed_forward_length", Value::U32(FEED_FORWARD)),
        ("llama.attention.head_count", Value::U32(HEADS)),
        ("llama.attention.head_count_kv", Value::U32(HEADS)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("llama.rope.dimension_count", Value::U32(WIDTH / HEADS)),
        ("llama.rope.freq_base", Value::F32(10_000.0)),
        ("llama.vocab_size", Value::U32(vocabulary.len() as u32)),
    ];
    keys.extend(vocabulary.keys());
    let visible = vocabulary.visible();
    let mut random = SplitMix(SEED);
    let mut out = BufWriter::new(File::create(path)?);
    gguf::write(&mut out, &keys, tensors, |tensor, bytes| match tensor.element {
        Element::F32 => (0..tensor.n_elements()).for_each(|_| bytes.extend(1.0_f32.to_le_bytes())),
        Element::F16 => {
            fill(tensor, &mut random, bytes);
            if tensor.name == "output.weight" {
                silence(bytes, |row| !visible.contains(&row));
            }
        }
    })?;
    out.flush()
}

/// Random weights of variance 1 / (elements of a row), which keeps activations and logits near one.
fn fill(tensor: &Tensor, random: &mut SplitMix, bytes: &mut Vec<u8>) {
    let bound = (3.0 / tensor.shape[0] as f32).sqrt();
    let level = |byte: u8| half((f32::from(byte) + 0.5) / 128.0 * bound - bound).to_le_bytes();
    let levels: Vec<[u8; 2]> = (0..=u8::MAX).map(level).collect();
    bytes.reserve(tensor.n_elements() as usize * 2);
    for _ in 0..tensor.n_elements() / 8 {
        bytes.extend(random.next().to_le_bytes().iter().flat_map(|&byte| levels[usize::from(byte)]));
    }
}

/// Zeroes rows of the output matrix: among thousands of random logits one of zero is never the largest.
fn silence(bytes: &mut [u8], is_silent: impl Fn(u32) -> bool) {
    for (row, weights) in (0..).zip(bytes.chunks_exact_mut(WIDTH as usize * 2)) {
        if is_silent(row) {
            weights.fill(0);
        }
    }
}

/// IEEE 754 half precision, cut instead of rounded; what is below its normal numbers is zero.
fn half(value: f32) -> u16 {
    let bits = value.to_bits();
    let (sign, exponent, fraction) = (bits >> 31, (bits >> 23) & 0xff, bits & 0x007f_ffff);
    match exponent.checked_sub(127 - 15) {
        Some(exponent @ 1..31) => (sign << 15 | exponent << 10 | fraction >> 13) as u16,
        _ => (sign << 15) as u16,
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn halves_are_those_of_the_standard() {
        let check = |value: f32, expected: u16| assert_eq!(half(value), expected, "{value}");
        check(1.0, 0x3c00);
        check(-2.0, 0xc000);
        check(0.1, 0x2e66);
        check(6.104e-5, 0x0400);
        check(0.0, 0);
        check(1e-7, 0);
    }

    #[test]
    fn the_model_has_about_a_hundred_million_parameters() {
        let parameters: u64 = tensors(VOCABULARY as u64).iter().map(Tensor::n_elements).sum();
        assert!((95_000_000..105_000_000).contains(&parameters), "{parameters}");
    }
}
