//! `config.json`: what a model is made of. Families differ in data alone, all of which is decided here; the code
//! that computes knows no family.

mod decoder;
mod encoder;
mod field;
mod rope;

use std::ops::RangeInclusive;

use serde_json::Value;

pub(crate) use decoder::{DecoderConfig, ExpertNames, Experts, FeedForwardConfig, LayerConfig};
pub(crate) use encoder::{EncoderConfig, EncoderLayerConfig, HeadConfig};
pub(crate) use rope::{RopeConfig, Scaling};

use crate::{config::field::Fields, error::ModelError};

/// What a model may say of its sizes. The largest known models stay below; a damaged file does not.
const WIDTHS: RangeInclusive<usize> = 1..=1 << 18;
const LAYERS: RangeInclusive<usize> = 1..=1024;
const HEADS: RangeInclusive<usize> = 1..=1024;
const HEAD_SIZES: RangeInclusive<usize> = 1..=1024;
const VOCABULARY: RangeInclusive<usize> = 1..=1 << 22;
const CONTEXT: RangeInclusive<usize> = 1..=1 << 28;

/// `config.json` of any model.
#[derive(Debug)]
pub(crate) enum ModelConfig {
    /// It continues texts.
    Decoder(DecoderConfig),
    /// It sees a text from both sides, and can only embed it.
    Encoder(EncoderConfig),
    /// It is of a family that the decoder and the encoder of this crate do not cover.
    Other {
        /// `model_type`.
        architecture: String,
    },
}

/// What any model's `config.json` says of its sizes, within bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) vocabulary: usize,
    pub(crate) trained_context: usize,
}

/// The function in a feed-forward network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Activation {
    /// x · sigmoid(x).
    Silu,
    /// The approximation of GELU by a hyperbolic tangent.
    GeluTanh,
    /// GELU by the error function.
    GeluErf,
    Relu,
    /// The hyperbolic tangent.
    Tanh,
}

impl ModelConfig {
    /// Reads `config.json`.
    pub(crate) fn parse(config: &Value) -> Result<Self, ModelError> {
        let fields = Fields::of(config)?;
        let name =
            fields.text("model_type")?.ok_or_else(|| ModelError::config("model_type", "is missing"))?;
        refuse_quantization(&fields)?;
        if let Some(encoder) = EncoderConfig::parse(name, &fields)? {
            return Ok(Self::Encoder(encoder));
        }
        if encoder::is_classifier(&fields)? {
            let problem = format!("names a head, which is not known for `{name}`");
            return Err(ModelError::config("architectures", problem));
        }
        Ok(match DecoderConfig::parse(name, &fields)? {
            Some(decoder) => Self::Decoder(decoder),
            None => Self::Other { architecture: name.to_owned() },
        })
    }

    /// The families that can be computed without a stock model.
    pub(crate) fn families() -> impl Iterator<Item = &'static str> {
        decoder::families().chain(encoder::families())
    }
}

impl Sizes {
    /// Reads and bounds them; all of them, since libraries that are given the config do not.
    pub(crate) fn of(config: &Value) -> Result<Self, ModelError> {
        let fields = Fields::of(config)?;
        for (name, range) in [
            ("hidden_size", &WIDTHS),
            ("intermediate_size", &WIDTHS),
            ("num_hidden_layers", &LAYERS),
            ("num_attention_heads", &HEADS),
            ("num_key_value_heads", &HEADS),
            ("head_dim", &HEAD_SIZES),
        ] {
            fields.maybe_size(name, range)?;
        }
        Ok(Self {
            vocabulary: fields.size("vocab_size", &VOCABULARY)?,
            // Recurrent models have none.
            trained_context: fields.size_or("max_position_embeddings", 1 << 20, &CONTEXT)?,
        })
    }
}

impl Activation {
    /// The function that the setting `field` calls `name`.
    fn of(field: &str, name: &str) -> Result<Self, ModelError> {
        match name {
            "silu" | "swish" => Ok(Self::Silu),
            "gelu_pytorch_tanh" | "gelu_new" | "gelu_fast" => Ok(Self::GeluTanh),
            "gelu" | "gelu_python" => Ok(Self::GeluErf),
            "relu" => Ok(Self::Relu),
            "tanh" => Ok(Self::Tanh),
            other => Err(ModelError::config(
                field,
                format!("is `{other}`; known are silu, gelu, gelu_pytorch_tanh, relu, tanh"),
            )),
        }
    }
}

fn positive(field: &str, value: f64) -> Result<f64, ModelError> {
    if value > 0.0 && value.is_finite() {
        Ok(value)
    } else {
        Err(ModelError::config(field, format!("is {value}, which is not positive")))
    }
}

/// Weights that only another program's kernels can read.
fn refuse_quantization(fields: &Fields) -> Result<(), ModelError> {
    let Some(quantization) = fields.object("quantization_config")? else { return Ok(()) };
    match quantization.text("quant_method")? {
        Some(method) => Err(ModelError::Quantization {
            method: method.to_owned(),
            instead: "use the unquantized model with the option `quantize`, or its GGUF or MLX form",
        }),
        None => Ok(()),
    }
}
