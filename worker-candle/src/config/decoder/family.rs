//! The families of decoders, one row of data each.

use super::ExpertNames;
use crate::{config::field::Fields, error::ModelError};

/// What sets a family apart, and what its files may leave out. The defaults are those of the `transformers`
/// package's configuration classes.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // a table of properties
pub(in crate::config) struct Family {
    pub(in crate::config) model_type: &'static str,
    pub(in crate::config) qkv_bias: Bias,
    pub(in crate::config) output_bias: Bias,
    pub(in crate::config) mlp_bias: Bias,
    pub(in crate::config) query_norm: bool,
    pub(in crate::config) fused: bool,
    /// Norm weights less one, scaled embeddings, and a tanh GELU.
    pub(in crate::config) is_gemma: bool,
    /// The config says what embeddings, scores, the layers' parts and logits are multiplied by.
    pub(in crate::config) multipliers: bool,
    pub(in crate::config) post_norms: bool,
    pub(in crate::config) tied: bool,
    /// Heads, and heads of keys and values.
    pub(in crate::config) heads: Option<(usize, usize)>,
    pub(in crate::config) head_size: Option<usize>,
    pub(in crate::config) rope_base: f64,
    /// The base in layers with a window, where it is another.
    pub(in crate::config) local_rope_base: Option<f64>,
    pub(in crate::config) vocabulary: usize,
    pub(in crate::config) trained_context: usize,
    /// The default of `query_pre_attn_scalar`, where the family has it.
    pub(in crate::config) query_scale: Option<f64>,
    pub(in crate::config) attention_soft_cap: Option<f64>,
    pub(in crate::config) final_soft_cap: Option<f64>,
    pub(in crate::config) window: WindowRule,
    pub(in crate::config) experts: Option<ExpertNames>,
}

/// Whether a layer has a bias.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) enum Bias {
    Never,
    Always,
    /// As this setting says, or else as given.
    Setting(&'static str, bool),
}

/// Which layers see only a window of `sliding_window` tokens, where `layer_types` does not say it.
#[derive(Debug, Clone, Copy)]
pub(in crate::config) enum WindowRule {
    Never,
    Always,
    /// From layer `max_window_layers` on, if `use_sliding_window`.
    Late,
    /// All but every n-th layer; n is `sliding_window_pattern` or as given.
    AllButEvery(usize),
}

impl Bias {
    pub(in crate::config) fn resolve(self, fields: &Fields) -> Result<bool, ModelError> {
        match self {
            Self::Never => Ok(false),
            Self::Always => Ok(true),
            Self::Setting(name, default) => Ok(fields.flag(name)?.unwrap_or(default)),
        }
    }
}

/// What most families are.
const LLAMA: Family = Family {
    model_type: "llama",
    qkv_bias: Bias::Setting("attention_bias", false),
    output_bias: Bias::Setting("attention_bias", false),
    mlp_bias: Bias::Setting("mlp_bias", false),
    query_norm: false,
    fused: false,
    is_gemma: false,
    multipliers: false,
    post_norms: false,
    tied: false,
    heads: None,
    head_size: None,
    rope_base: 10_000.0,
    local_rope_base: None,
    vocabulary: 32_000,
    trained_context: 2048,
    query_scale: None,
    attention_soft_cap: None,
    final_soft_cap: None,
    window: WindowRule::Never,
    experts: None,
};

const MISTRAL: Family = Family {
    model_type: "mistral",
    qkv_bias: Bias::Never,
    output_bias: Bias::Never,
    mlp_bias: Bias::Never,
    window: WindowRule::Always,
    ..LLAMA
};

const QWEN2: Family = Family {
    model_type: "qwen2",
    qkv_bias: Bias::Always,
    output_bias: Bias::Never,
    mlp_bias: Bias::Never,
    vocabulary: 151_936,
    trained_context: 32_768,
    window: WindowRule::Late,
    ..LLAMA
};

const QWEN3: Family = Family {
    model_type: "qwen3",
    qkv_bias: Bias::Setting("attention_bias", false),
    output_bias: Bias::Setting("attention_bias", false),
    query_norm: true,
    head_size: Some(128),
    ..QWEN2
};

const GEMMA: Family = Family {
    model_type: "gemma",
    mlp_bias: Bias::Never,
    is_gemma: true,
    tied: true,
    head_size: Some(256),
    vocabulary: 256_000,
    trained_context: 8192,
    ..LLAMA
};

const GEMMA2: Family = Family {
    model_type: "gemma2",
    post_norms: true,
    query_scale: Some(256.0),
    attention_soft_cap: Some(50.0),
    final_soft_cap: Some(30.0),
    window: WindowRule::AllButEvery(2),
    ..GEMMA
};

const GEMMA3: Family = Family {
    model_type: "gemma3_text",
    query_norm: true,
    heads: Some((8, 4)),
    rope_base: 1_000_000.0,
    local_rope_base: Some(10_000.0),
    vocabulary: 262_208,
    trained_context: 131_072,
    attention_soft_cap: None,
    final_soft_cap: None,
    window: WindowRule::AllButEvery(6),
    ..GEMMA2
};

/// All families by `model_type`.
pub(super) const FAMILIES: &[Family] = &[
    LLAMA,
    MISTRAL,
    Family { model_type: "mixtral", rope_base: 1_000_000.0, experts: Some(ExpertNames::Mixtral), ..MISTRAL },
    QWEN2,
    Family {
        model_type: "qwen2_moe",
        qkv_bias: Bias::Setting("qkv_bias", true),
        experts: Some(ExpertNames::Qwen),
        ..QWEN2
    },
    QWEN3,
    // Unlike the dense form, this one's head size defaults to the width divided by the heads.
    Family { model_type: "qwen3_moe", experts: Some(ExpertNames::Qwen), head_size: None, ..QWEN3 },
    Family {
        model_type: "smollm3",
        tied: true,
        rope_base: 2_000_000.0,
        vocabulary: 128_256,
        trained_context: 32_768,
        window: WindowRule::Late,
        ..LLAMA
    },
    Family { model_type: "granite", multipliers: true, ..LLAMA },
    Family { model_type: "phi3", fused: true, vocabulary: 32_064, trained_context: 4096, ..MISTRAL },
    GEMMA,
    GEMMA2,
    GEMMA3,
    // The same decoder inside a model of text and images.
    Family { model_type: "gemma3", ..GEMMA3 },
];

impl Family {
    /// The family of this `model_type`.
    pub(in crate::config) fn of(model_type: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.model_type == model_type)
    }
}
