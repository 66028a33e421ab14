//! What differs from layer to layer: windows, rotary embeddings, experts.

use serde_json::Value;

use super::family::{Family, WindowRule};
use crate::{
    config::{LAYERS, WIDTHS, field::Fields},
    error::ModelError,
};

/// Experts of a layer; the largest known models have 512.
const EXPERTS: std::ops::RangeInclusive<usize> = 1..=4096;

/// One layer.
#[derive(Debug, Clone)]
pub(crate) struct LayerConfig {
    /// A token sees this many tokens, itself included; all without it.
    pub(crate) window: Option<usize>,
    /// Its place in [`DecoderConfig::ropes`](super::DecoderConfig::ropes); none where positions are not encoded.
    pub(crate) rope: Option<usize>,
    pub(crate) feed_forward: FeedForwardConfig,
}

/// What follows the attention.
#[derive(Debug, Clone)]
pub(crate) enum FeedForwardConfig {
    Dense {
        /// Width between the two products.
        width: usize,
    },
    Experts(Experts),
}

/// A mixture of experts.
#[derive(Debug, Clone)]
pub(crate) struct Experts {
    pub(crate) count: usize,
    /// Experts that each token is sent to.
    pub(crate) per_token: usize,
    /// Width of each.
    pub(crate) width: usize,
    /// The chosen experts' shares are made to add up to one.
    pub(crate) normalised: bool,
    /// Width of the expert that all tokens go to.
    pub(crate) shared_width: Option<usize>,
    pub(crate) names: ExpertNames,
}

/// How a family's files call the experts' tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExpertNames {
    /// `block_sparse_moe.experts.N.w1`, `w3`, `w2`.
    Mixtral,
    /// `mlp.experts.N.gate_proj`, `up_proj`, `down_proj`.
    Qwen,
}

pub(super) fn parse(
    fields: &Fields,
    family: &Family,
    n_layers: usize,
    n_ropes: usize,
) -> Result<Vec<LayerConfig>, ModelError> {
    let windows = windows(fields, family, n_layers)?;
    let rotated = rotated(fields, n_layers)?;
    let feed_forwards = feed_forwards(fields, family, n_layers)?;
    let layers = windows.into_iter().zip(rotated).zip(feed_forwards);
    Ok(layers
        .map(|((window, rotated), feed_forward)| {
            // A second rotary embedding is the one of windowed layers.
            let rope = if window.is_some() { n_ropes - 1 } else { 0 };
            LayerConfig { window, rope: rotated.then_some(rope), feed_forward }
        })
        .collect())
}

fn windows(fields: &Fields, family: &Family, n_layers: usize) -> Result<Vec<Option<usize>>, ModelError> {
    let default = if family.is_gemma { Some(4096) } else { None };
    // Files of models without a window say 0 as well as null.
    let size = match fields.number("sliding_window")? {
        Some(0.0) => None,
        Some(_) => fields.maybe_size("sliding_window", &(1..=1 << 28))?,
        None => default,
    };
    let Some(size) = size else { return Ok(vec![None; n_layers]) };
    if let Some(kinds) = fields.list("layer_types")? {
        return listed(kinds, n_layers, size);
    }
    let late = fields.size_or("max_window_layers", n_layers, &(0..=1024))?;
    let used = fields.flag("use_sliding_window")?.unwrap_or(false);
    let is_windowed: Box<dyn Fn(usize) -> bool> = match family.window {
        WindowRule::Never => Box::new(|_| false),
        WindowRule::Always => Box::new(|_| true),
        WindowRule::Late => Box::new(move |idx| used && idx >= late),
        WindowRule::AllButEvery(n) => {
            let n = fields.size_or("sliding_window_pattern", n, &LAYERS)?;
            Box::new(move |idx| !(idx + 1).is_multiple_of(n))
        }
    };
    Ok((0..n_layers).map(|idx| is_windowed(idx).then_some(size)).collect())
}

fn listed(kinds: &[Value], n_layers: usize, size: usize) -> Result<Vec<Option<usize>>, ModelError> {
    if kinds.len() != n_layers {
        return Err(ModelError::config("layer_types", format!("does not have {n_layers} entries")));
    }
    kinds
        .iter()
        .map(|kind| match kind.as_str() {
            Some("full_attention") => Ok(None),
            Some("sliding_attention") => Ok(Some(size)),
            _ => Err(ModelError::config("layer_types", format!("has the unknown entry {kind}"))),
        })
        .collect()
}

/// Layers whose queries and keys are turned by their positions.
fn rotated(fields: &Fields, n_layers: usize) -> Result<Vec<bool>, ModelError> {
    if let Some(list) = fields.list("no_rope_layers")? {
        // In spite of its name, 1 stands for a layer that is rotated.
        let flags: Option<Vec<bool>> = list.iter().map(|flag| Some(flag.as_u64()? == 1)).collect();
        return flags.filter(|flags| flags.len() == n_layers).ok_or_else(|| {
            ModelError::config("no_rope_layers", format!("is not a list of {n_layers} ones and zeros"))
        });
    }
    let interval = fields.maybe_size("no_rope_layer_interval", &LAYERS)?;
    Ok((1..=n_layers).map(|n| interval.is_none_or(|interval| !n.is_multiple_of(interval))).collect())
}

fn feed_forwards(
    fields: &Fields,
    family: &Family,
    n_layers: usize,
) -> Result<Vec<FeedForwardConfig>, ModelError> {
    let Some(names) = family.experts else {
        let width = fields.size("intermediate_size", &WIDTHS)?;
        return Ok(vec![FeedForwardConfig::Dense { width }; n_layers]);
    };
    let experts = match names {
        ExpertNames::Mixtral => mixtral(fields)?,
        ExpertNames::Qwen => qwen(fields)?,
    };
    if experts.per_token > experts.count {
        return Err(ModelError::config("num_experts_per_tok", format!("exceeds {} experts", experts.count)));
    }
    let step = fields.size_or("decoder_sparse_step", 1, &LAYERS)?;
    let dense: Vec<u64> =
        fields.list("mlp_only_layers")?.unwrap_or_default().iter().filter_map(Value::as_u64).collect();
    (0..n_layers)
        .map(|idx| {
            if dense.contains(&(idx as u64)) || !(idx + 1).is_multiple_of(step) {
                Ok(FeedForwardConfig::Dense { width: fields.size("intermediate_size", &WIDTHS)? })
            } else {
                Ok(FeedForwardConfig::Experts(experts.clone()))
            }
        })
        .collect()
}

fn mixtral(fields: &Fields) -> Result<Experts, ModelError> {
    Ok(Experts {
        count: fields.size("num_local_experts", &EXPERTS)?,
        per_token: fields.size("num_experts_per_tok", &EXPERTS)?,
        width: fields.size("intermediate_size", &WIDTHS)?,
        normalised: true,
        shared_width: None,
        names: ExpertNames::Mixtral,
    })
}

fn qwen(fields: &Fields) -> Result<Experts, ModelError> {
    let count = if fields.has("num_experts") { "num_experts" } else { "num_local_experts" };
    Ok(Experts {
        count: fields.size(count, &EXPERTS)?,
        per_token: fields.size("num_experts_per_tok", &EXPERTS)?,
        width: fields.size("moe_intermediate_size", &WIDTHS)?,
        normalised: fields.flag("norm_topk_prob")?.unwrap_or(false),
        shared_width: fields.maybe_size("shared_expert_intermediate_size", &WIDTHS)?,
        names: ExpertNames::Qwen,
    })
}
