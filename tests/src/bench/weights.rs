//! The random weights, which are the same in every form of the model.

use std::ops::Range;

use super::{
    gguf::{Element, Tensor},
    quantize::{self, BLOCK},
};

/// The shape of a model.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// Rows of the token embedding and of the output matrix.
    pub vocabulary: usize,
    /// Transformer blocks.
    pub layers: u32,
    /// Elements of the residual stream.
    pub width: u32,
    /// Attention heads.
    pub heads: u32,
    /// Heads with keys and values.
    pub kv_heads: u32,
    /// Elements of a head.
    pub head_length: u32,
    /// Elements inside the feed-forward network.
    pub feed_forward: u32,
    /// Tokens that the model says it was trained for.
    pub context_tokens: u32,
}

const SEED: u64 = 0x5eed;

/// What layers of a model that recites add, of what they add in others.
const RECITING_SCALE: f32 = 0.02;

/// Where the next tensor's numbers come from. Every form of the model takes its tensors in the order of
/// [`tensors`].
pub(super) struct Weights<'a> {
    random: SplitMix,
    vocabulary: usize,
    /// Whether the token of a row of the output matrix is ever the most probable one.
    is_visible: &'a dyn Fn(u32) -> bool,
    /// Tokens that always follow each other.
    recited: Option<Range<u32>>,
    /// The embedding's bytes, of a model that recites.
    embedding: Vec<u8>,
}

impl<'a> Weights<'a> {
    pub(super) fn new(vocabulary: usize, is_visible: &'a dyn Fn(u32) -> bool) -> Self {
        Self { random: SplitMix(SEED), vocabulary, is_visible, recited: None, embedding: Vec::new() }
    }

    /// Of a model that says the tokens `recited` in the order of their ids, again and again, wherever it begins: what is
    /// said after a token is that token's own row of the embedding, and layers add next to nothing to it.
    pub(super) fn reciting(vocabulary: usize, recited: Range<u32>) -> Self {
        Self { recited: Some(recited), ..Self::new(vocabulary, &|_| true) }
    }

    /// Appends the bytes of `tensor`, which is the one whose turn it is.
    pub(super) fn append(&mut self, tensor: &Tensor, bytes: &mut Vec<u8>) {
        if tensor.shape.len() == 1 {
            (0..tensor.n_elements()).for_each(|_| bytes.extend(1.0_f32.to_le_bytes()));
            return;
        }
        let ends_in_residual = tensor.name.contains("attn_output") || tensor.name.contains("ffn_down");
        let scale = if self.recited.is_some() && ends_in_residual { RECITING_SCALE } else { 1.0 };
        fill(tensor, scale, &mut self.random, bytes);
        let row_bytes = bytes.len() / self.vocabulary;
        match (&self.recited, tensor.name.as_str()) {
            (Some(_), "token_embd.weight") => self.embedding.clone_from(bytes),
            (Some(recited), "output.weight") => follow(bytes, &self.embedding, row_bytes, recited),
            (None, "output.weight") => silence(bytes, row_bytes, |row| !(self.is_visible)(row)),
            _ => {}
        }
    }
}

/// All tensors with their names in GGUF; matrices hold elements of the kind `element`.
pub(super) fn tensors(shape: &Shape, element: Element) -> Vec<Tensor> {
    let (width, feed_forward) = (u64::from(shape.width), u64::from(shape.feed_forward));
    let [queries, keys] = [shape.heads, shape.kv_heads].map(|heads| u64::from(heads * shape.head_length));
    let vocabulary = shape.vocabulary as u64;
    let matrix = |name: String, from, to| Tensor { name, shape: vec![from, to], element };
    let norm = |name: String| Tensor { name, shape: vec![width], element: Element::F32 };
    let mut tensors = vec![
        matrix("token_embd.weight".into(), width, vocabulary),
        norm("output_norm.weight".into()),
        matrix("output.weight".into(), width, vocabulary),
    ];
    for layer in 0..shape.layers {
        let name = |part: &str| format!("blk.{layer}.{part}.weight");
        tensors.push(norm(name("attn_norm")));
        tensors.push(matrix(name("attn_q"), width, queries));
        tensors.push(matrix(name("attn_k"), width, keys));
        tensors.push(matrix(name("attn_v"), width, keys));
        tensors.push(matrix(name("attn_output"), queries, width));
        tensors.push(norm(name("ffn_norm")));
        tensors.push(matrix(name("ffn_gate"), width, feed_forward));
        tensors.push(matrix(name("ffn_up"), width, feed_forward));
        tensors.push(matrix(name("ffn_down"), feed_forward, width));
    }
    tensors
}

/// Random weights of variance 1 / (elements of a row), which keeps activations and logits near one; times `scale`.
fn fill(tensor: &Tensor, scale: f32, random: &mut SplitMix, bytes: &mut Vec<u8>) {
    let bound = (3.0 / tensor.shape[0] as f32).sqrt() * scale;
    let value = |byte: u8| half((f32::from(byte) + 0.5) / 128.0 * bound - bound);
    let quantize = match tensor.element {
        Element::Q4_0 => quantize::q4_0,
        Element::Q8_0 => quantize::q8_0,
        Element::F32 | Element::F16 => return fill_plain(tensor, random, bytes, value),
    };
    bytes.reserve(tensor.n_bytes() as usize);
    let levels: Vec<f32> = (0..=u8::MAX).map(|byte| single(value(byte))).collect();
    for _ in 0..tensor.n_elements() as usize / BLOCK {
        let mut block = [0.0; BLOCK];
        for part in block.chunks_exact_mut(8) {
            let random = random.next().to_le_bytes();
            part.iter_mut().zip(random).for_each(|(value, byte)| *value = levels[usize::from(byte)]);
        }
        quantize(&block, bytes);
    }
}

/// As [`fill`], of elements that stand for themselves.
fn fill_plain(tensor: &Tensor, random: &mut SplitMix, bytes: &mut Vec<u8>, value: impl Fn(u8) -> u16) {
    let level = |byte: u8| match tensor.element {
        Element::F32 => single(value(byte)).to_le_bytes().to_vec(),
        _ => value(byte).to_le_bytes().to_vec(),
    };
    let levels: Vec<Vec<u8>> = (0..=u8::MAX).map(level).collect();
    bytes.reserve(tensor.n_elements() as usize * levels[0].len());
    for _ in 0..tensor.n_elements() / 8 {
        bytes.extend(random.next().to_le_bytes().iter().flat_map(|&byte| &levels[usize::from(byte)]));
    }
}

/// Makes each of these rows of the output matrix the embedding of the token before it, and zeroes the others.
fn follow(bytes: &mut [u8], embedding: &[u8], row_bytes: usize, recited: &Range<u32>) {
    for (token, row) in (0..).zip(bytes.chunks_exact_mut(row_bytes)) {
        if recited.contains(&token) {
            let before = if token == recited.start { recited.end - 1 } else { token - 1 } as usize;
            row.copy_from_slice(&embedding[before * row_bytes..][..row_bytes]);
        } else {
            row.fill(0);
        }
    }
}

/// Zeroes rows of the output matrix, blocks and all: among thousands of random logits one of zero is never the largest.
fn silence(bytes: &mut [u8], row_bytes: usize, is_silent: impl Fn(u32) -> bool) {
    for (row, weights) in (0..).zip(bytes.chunks_exact_mut(row_bytes)) {
        if is_silent(row) {
            weights.fill(0);
        }
    }
}

/// IEEE 754 half precision, cut instead of rounded; what is below its normal numbers is zero.
pub(super) fn half(value: f32) -> u16 {
    let bits = value.to_bits();
    let (sign, exponent, fraction) = (bits >> 31, (bits >> 23) & 0xff, bits & 0x007f_ffff);
    match exponent.checked_sub(127 - 15) {
        Some(exponent @ 1..31) => (sign << 15 | exponent << 10 | fraction >> 13) as u16,
        _ => (sign << 15) as u16,
    }
}

/// The number that a half stands for, of those that [`half`] makes.
pub(super) fn single(half: u16) -> f32 {
    let (sign, rest) = (u32::from(half >> 15), u32::from(half & 0x7fff));
    let magnitude = if rest == 0 { 0 } else { (rest << 13) + ((127 - 15) << 23) };
    f32::from_bits(sign << 31 | magnitude)
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
        for value in [1.0, -2.0, 0.099_975_586, 0.0, 6.103_515_6e-5] {
            assert_eq!(single(half(value)).to_bits(), value.to_bits());
        }
    }

    #[test]
    fn whoever_recites_says_what_follows() {
        let shape = Shape { vocabulary: 64, layers: 1, ..super::super::model::SHAPE };
        let tensors = tensors(&shape, Element::Q8_0);
        let mut weights = Weights::reciting(shape.vocabulary, 8..63);
        let mut written: Vec<Vec<u8>> = Vec::new();
        for tensor in &tensors[..3] {
            let mut bytes = Vec::new();
            weights.append(tensor, &mut bytes);
            written.push(bytes);
        }
        let row_bytes = written[0].len() / shape.vocabulary;
        let row = |tensor: usize, token: usize| &written[tensor][token * row_bytes..][..row_bytes];
        assert_eq!((row(2, 9), row(2, 62), row(2, 8)), (row(0, 8), row(0, 61), row(0, 62)));
        assert!([7, 63].iter().all(|&token| row(2, token).iter().all(|&byte| byte == 0)));
    }

    #[test]
    fn the_model_has_about_a_hundred_million_parameters() {
        let parameters: u64 =
            tensors(&super::super::model::SHAPE, Element::F16).iter().map(Tensor::n_elements).sum();
        assert!((95_000_000..105_000_000).contains(&parameters), "{parameters}");
    }
}
