//! Which tensors a GGUF file of a decoder has, and what each is made of.

use std::io::Write;

use candle_core::{DType, Tensor};
use half::{bf16, f16};

use super::{
    ExportError,
    family::Family,
    writer::{Element, Entry},
};
use crate::{
    config::DecoderConfig,
    decoder::{OUTPUTS, PREFIXES},
    error::ModelError,
    weights::Weights,
};

/// Elements that are converted at a time.
const PIECE: usize = 1 << 16;

/// One tensor.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) entry: Entry,
    from: From,
}

/// What it is made of.
#[derive(Debug)]
enum From {
    /// The tensor of this name.
    Tensor(String),
    /// The same, with the two halves of each of so many heads interleaved, as llama.cpp's Llama turns them.
    Halves(String, usize),
    Values(Vec<f32>),
}

/// All tensors, in order.
pub(super) fn parts(
    config: &DecoderConfig,
    family: &Family,
    weights: &Weights,
    width: usize,
    element: Element,
) -> Result<Vec<Part>, ModelError> {
    let prefix = weights.prefix_of("embed_tokens.weight", &PREFIXES)?;
    let matrix = |to: &str, from: From, rows: usize, columns: usize| Part {
        entry: Entry { name: format!("{to}.weight"), shape: vec![rows, columns], element },
        from,
    };
    // Vectors stay exact: they are small, and llama.cpp wants them so.
    let vector = |to: String, from: From, length: usize| Part {
        entry: Entry { name: to, shape: vec![length], element: Element::F32 },
        from,
    };
    let (model_width, vocabulary) = (config.width, config.vocabulary);
    let embedding = From::Tensor(format!("{prefix}embed_tokens.weight"));
    let mut parts = vec![matrix("token_embd", embedding, vocabulary, model_width)];
    if !config.tied {
        let has_weight = |name: &&str| weights.has(&format!("{name}.weight"));
        let name = OUTPUTS.into_iter().find(has_weight).unwrap_or(OUTPUTS[0]);
        parts.push(matrix("output", From::Tensor(format!("{name}.weight")), vocabulary, model_width));
    }
    let norm = From::Tensor(format!("{prefix}norm.weight"));
    parts.push(vector("output_norm.weight".into(), norm, model_width));
    if let Some(factors) = super::rope::factors(&config.ropes[0]) {
        let length = factors.len();
        parts.push(vector("rope_freqs.weight".into(), From::Values(factors), length));
    }
    let (queries, keys) = (config.heads * config.head_size, config.kv_heads * config.head_size);
    for idx in 0..config.layers.len() {
        let (from, to) = (format!("{prefix}layers.{idx}"), format!("blk.{idx}"));
        let turned = |name: String, heads: usize| {
            if family.interleaved { From::Halves(name, heads) } else { From::Tensor(name) }
        };
        for (to_name, from_name, rows, columns) in [
            ("attn_v", "self_attn.v_proj", keys, model_width),
            ("attn_output", "self_attn.o_proj", model_width, queries),
            ("ffn_gate", "mlp.gate_proj", width, model_width),
            ("ffn_up", "mlp.up_proj", width, model_width),
            ("ffn_down", "mlp.down_proj", model_width, width),
        ] {
            let name = From::Tensor(format!("{from}.{from_name}.weight"));
            parts.push(matrix(&format!("{to}.{to_name}"), name, rows, columns));
        }
        for (letter, rows, heads) in [("q", queries, config.heads), ("k", keys, config.kv_heads)] {
            let name = turned(format!("{from}.self_attn.{letter}_proj.weight"), heads);
            parts.push(matrix(&format!("{to}.attn_{letter}"), name, rows, model_width));
        }
        let mut vectors = vec![
            ("attn_norm.weight", "input_layernorm.weight".to_owned(), model_width),
            ("ffn_norm.weight", "post_attention_layernorm.weight".to_owned(), model_width),
        ];
        if family.qkv_bias {
            for (to_name, letter, rows) in
                [("attn_q.bias", "q", queries), ("attn_k.bias", "k", keys), ("attn_v.bias", "v", keys)]
            {
                vectors.push((to_name, format!("self_attn.{letter}_proj.bias"), rows));
            }
        }
        if family.query_norm {
            vectors.push(("attn_q_norm.weight", "self_attn.q_norm.weight".into(), config.head_size));
            vectors.push(("attn_k_norm.weight", "self_attn.k_norm.weight".into(), config.head_size));
        }
        for (to_name, from_name, length) in vectors {
            let name = From::Tensor(format!("{from}.{from_name}"));
            parts.push(vector(format!("{to}.{to_name}"), name, length));
        }
    }
    Ok(parts)
}

impl Part {
    /// The name of the tensor that has to be there for it.
    pub(super) fn needs(&self) -> Option<&str> {
        match &self.from {
            From::Tensor(name) | From::Halves(name, _) => Some(name),
            From::Values(_) => None,
        }
    }

    /// Writes its elements.
    pub(super) fn write(&self, weights: &Weights, out: &mut impl Write) -> Result<(), ExportError> {
        let tensor = match &self.from {
            From::Values(values) => return self.elements(values, out),
            From::Tensor(name) => weights.tensor(name, &self.entry.shape)?,
            From::Halves(name, heads) => {
                let tensor = weights.tensor(name, &self.entry.shape)?;
                interleaved(&tensor, *heads).map_err(|error| ModelError::tensor(name, &error))?
            }
        };
        let failed = |error: candle_core::Error| ModelError::tensor(&self.entry.name, &error);
        let flat = tensor.flatten_all().map_err(failed)?;
        let length = flat.elem_count();
        for begin in (0..length).step_by(PIECE) {
            let piece = flat.narrow(0, begin, PIECE.min(length - begin));
            let values = piece.and_then(|piece| piece.to_dtype(DType::F32)?.to_vec1::<f32>());
            self.elements(&values.map_err(failed)?, out)?;
        }
        Ok(())
    }

    fn elements(&self, values: &[f32], out: &mut impl Write) -> Result<(), ExportError> {
        let bytes: Vec<u8> = match self.entry.element {
            Element::F32 => values.iter().flat_map(|value| value.to_le_bytes()).collect(),
            Element::BF16 => values.iter().flat_map(|&value| bf16::from_f32(value).to_le_bytes()).collect(),
            Element::F16 => {
                let is_lost = |&&value: &&f32| value.is_finite() && !f16::from_f32(value).is_finite();
                if let Some(value) = values.iter().find(is_lost) {
                    let reason = format!("it holds {value}, which is too large for F16; use bf16");
                    return Err(ModelError::unfit(&self.entry.name, reason).into());
                }
                values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect()
            }
        };
        Ok(out.write_all(&bytes)?)
    }
}

/// Row `i` of each half of a head becomes row `2 i` and `2 i + 1` of the head.
fn interleaved(tensor: &Tensor, heads: usize) -> candle_core::Result<Tensor> {
    let (rows, columns) = tensor.dims2()?;
    tensor.reshape((heads, 2, rows / heads / 2, columns))?.transpose(1, 2)?.reshape((rows, columns))
}
