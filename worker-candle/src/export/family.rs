//! The families that can be written, and what of them cannot.

use super::{rope, writer::Value};
use crate::{
    config::{Activation, DecoderConfig, FeedForwardConfig},
    error::ModelError,
};

/// How llama.cpp has a family.
#[derive(Debug)]
pub(super) struct Family {
    model_type: &'static str,
    pub(super) architecture: &'static str,
    /// Turns neighbours of a head together, where the folder has them in halves.
    pub(super) interleaved: bool,
    pub(super) qkv_bias: bool,
    pub(super) query_norm: bool,
}

const LLAMA: Family = Family {
    model_type: "llama",
    architecture: "llama",
    interleaved: true,
    qkv_bias: false,
    query_norm: false,
};

const FAMILIES: [Family; 4] = [
    LLAMA,
    Family { model_type: "mistral", ..LLAMA },
    Family { model_type: "qwen2", architecture: "qwen2", interleaved: false, qkv_bias: true, ..LLAMA },
    Family { model_type: "qwen3", architecture: "qwen3", interleaved: false, query_norm: true, ..LLAMA },
];

impl Family {
    /// The family of a decoder, if everything that the decoder has can be expressed; with the width of its feed-forward
    /// networks.
    pub(super) fn of(config: &DecoderConfig) -> Result<(&'static Self, usize), ModelError> {
        let name = &config.architecture;
        let family = FAMILIES.iter().find(|family| family.model_type == name);
        let family = family.ok_or_else(|| refuse_family(name))?;
        let refuse = |field: &str, problem: &str| Err(ModelError::config(field, problem));
        if config.qkv_bias != family.qkv_bias || config.output_bias {
            return refuse("attention_bias", "is not what GGUF files of this family can hold");
        }
        if config.mlp_bias {
            return refuse("mlp_bias", "is set, which GGUF files of this family cannot hold");
        }
        if config.activation != Activation::Silu {
            return refuse("hidden_act", "is not silu, which GGUF files of this family cannot say");
        }
        if config.layers.iter().any(|layer| layer.window.is_some_and(|size| size < config.trained_context)) {
            return refuse("sliding_window", "is set; llama.cpp has no windows for this family");
        }
        let [rope] = &config.ropes[..] else {
            return refuse("rope_parameters", "are two, which GGUF files of this family cannot hold");
        };
        if rope.rotated != config.head_size || config.layers.iter().any(|layer| layer.rope.is_none()) {
            return refuse("rope_parameters", "leave dimensions or layers alone, which cannot be written");
        }
        if let Err(kind) = rope::values(rope) {
            return refuse(
                "rope_type",
                &format!("is `{kind}`, which is not written; default, linear and llama3 are"),
            );
        }
        let width = config.layers.iter().map(|layer| match layer.feed_forward {
            FeedForwardConfig::Dense { width } => Some(width),
            FeedForwardConfig::Experts(_) => None,
        });
        let mut widths: Vec<_> = width.collect();
        widths.dedup();
        match widths[..] {
            [Some(width)] => Ok((family, width)),
            _ => refuse("intermediate_size", "differs from layer to layer, or is that of experts"),
        }
    }

    /// The keys of the architecture.
    pub(super) fn values(&self, config: &DecoderConfig, width: usize) -> Vec<(String, Value)> {
        let number = |value: usize| Value::U32(value as u32);
        let mut values = vec![
            ("context_length".to_owned(), number(config.trained_context)),
            ("embedding_length".to_owned(), number(config.width)),
            ("block_count".to_owned(), number(config.layers.len())),
            ("feed_forward_length".to_owned(), number(width)),
            ("attention.head_count".to_owned(), number(config.heads)),
            ("attention.head_count_kv".to_owned(), number(config.kv_heads)),
            ("attention.key_length".to_owned(), number(config.head_size)),
            ("attention.value_length".to_owned(), number(config.head_size)),
            ("attention.layer_norm_rms_epsilon".to_owned(), Value::F32(config.norm_epsilon as f32)),
            ("vocab_size".to_owned(), number(config.vocabulary)),
        ];
        // `of` has looked.
        let ropes = rope::values(&config.ropes[0]).unwrap_or_default();
        values.extend(ropes.into_iter().map(|(key, value)| (format!("rope.{key}"), value)));
        values.into_iter().map(|(key, value)| (format!("{}.{key}", self.architecture), value)).collect()
    }
}

/// The families' names, for people.
pub(super) fn names() -> String {
    FAMILIES.map(|family| family.model_type).join(", ")
}

pub(super) fn refuse_family(name: &str) -> ModelError {
    let known = names();
    ModelError::Architecture { name: name.to_owned(), known: format!("for conversion {known}") }
}
