//! What a decoder is made of.

mod family;
mod layer;
#[cfg(test)]
mod tests;

pub(super) use family::Bias;
pub(crate) use layer::{ExpertNames, Experts, FeedForwardConfig, LayerConfig};

use self::family::Family;
use super::{
    Activation, CONTEXT, HEAD_SIZES, HEADS, LAYERS, RopeConfig, VOCABULARY, WIDTHS,
    field::Fields,
    positive,
    rope::{self, RopeDefaults},
};
use crate::error::ModelError;

/// The whole shape of a decoder.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // each says independently whether a part is there
pub(crate) struct DecoderConfig {
    /// `model_type`.
    pub(crate) architecture: String,
    /// Rows of the embedding and width of the logits.
    pub(crate) vocabulary: usize,
    /// Width of the residual stream.
    pub(crate) width: usize,
    /// Tokens that the model was trained on.
    pub(crate) trained_context: usize,
    pub(crate) heads: usize,
    /// Heads of keys and values; each serves `heads / kv_heads` query heads.
    pub(crate) kv_heads: usize,
    pub(crate) head_size: usize,
    /// What query-key products are multiplied by.
    pub(crate) attention_scale: f64,
    /// Scores are bent to stay within plus and minus this.
    pub(crate) attention_soft_cap: Option<f64>,
    /// The same for logits.
    pub(crate) final_soft_cap: Option<f64>,
    /// Queries, keys and values have a bias.
    pub(crate) qkv_bias: bool,
    /// The attention's output has a bias.
    pub(crate) output_bias: bool,
    /// The feed-forward layers have biases.
    pub(crate) mlp_bias: bool,
    /// Queries and keys are normalised head by head.
    pub(crate) query_norm: bool,
    /// The file has queries, keys and values in one tensor, and likewise gate and up.
    pub(crate) fused: bool,
    pub(crate) norm_epsilon: f64,
    /// Norm weights are stored less one.
    pub(crate) unit_offset_norm: bool,
    /// Attention and feed-forward are normalised behind as well as before.
    pub(crate) post_norms: bool,
    /// What embeddings are multiplied by.
    pub(crate) embedding_scale: Option<f64>,
    /// What the parts that layers add are multiplied by.
    pub(crate) residual_scale: f64,
    /// What logits are divided by.
    pub(crate) logits_divisor: Option<f64>,
    /// The embedding is the output matrix too.
    pub(crate) tied: bool,
    pub(crate) activation: Activation,
    /// The rotary embeddings that layers refer to.
    pub(crate) ropes: Vec<RopeConfig>,
    pub(crate) layers: Vec<LayerConfig>,
}

impl DecoderConfig {
    /// Reads `config.json`, if it is of a family that is known.
    pub(super) fn parse(model_type: &str, outer: &Fields) -> Result<Option<Self>, ModelError> {
        let Some(family) = Family::of(model_type) else { return Ok(None) };
        // A model of text and images keeps the text decoder's settings apart.
        let text = outer.object("text_config")?;
        let fields = text.as_ref().unwrap_or(outer);
        if fields.flag("use_bidirectional_attention")?.unwrap_or(false) {
            let problem = "is set; this decoder's attention is causal";
            return Err(ModelError::config("use_bidirectional_attention", problem));
        }

        let width = fields.size("hidden_size", &WIDTHS)?;
        let (heads, kv_heads) = heads(fields, family)?;
        let head_size = fields.size_or("head_dim", family.head_size.unwrap_or(width / heads), &HEAD_SIZES)?;
        let trained_context = fields.size_or("max_position_embeddings", family.trained_context, &CONTEXT)?;
        let scale_base = match family.query_scale {
            Some(default) => fields.number_or("query_pre_attn_scalar", default)?,
            None => head_size as f64,
        };
        let multiplier = |name: &str| -> Result<Option<f64>, ModelError> {
            family.multipliers.then(|| positive(name, fields.number_or(name, 1.0)?)).transpose()
        };
        let n_layers = fields.size("num_hidden_layers", &LAYERS)?;
        let defaults = RopeDefaults {
            base: fields.number_or("rope_theta", family.rope_base)?,
            local_base: fields.number("rope_local_base_freq")?.or(family.local_rope_base),
            share: 1.0,
        };
        let ropes = rope::parse(fields, &defaults, head_size, trained_context)?;
        Ok(Some(Self {
            architecture: family.model_type.to_owned(),
            vocabulary: fields.size_or("vocab_size", family.vocabulary, &VOCABULARY)?,
            width,
            trained_context,
            heads,
            kv_heads,
            head_size,
            attention_scale: match multiplier("attention_multiplier")? {
                Some(scale) => scale,
                None => positive("query_pre_attn_scalar", scale_base)?.powf(-0.5),
            },
            attention_soft_cap: fields.cap("attn_logit_softcapping", family.attention_soft_cap)?,
            final_soft_cap: fields.cap("final_logit_softcapping", family.final_soft_cap)?,
            qkv_bias: family.qkv_bias.resolve(fields)?,
            output_bias: family.output_bias.resolve(fields)?,
            mlp_bias: family.mlp_bias.resolve(fields)?,
            query_norm: family.query_norm,
            fused: family.fused,
            norm_epsilon: positive("rms_norm_eps", fields.number_or("rms_norm_eps", 1e-6)?)?,
            unit_offset_norm: family.is_gemma,
            post_norms: family.post_norms,
            embedding_scale: match multiplier("embedding_multiplier")? {
                Some(scale) => Some(scale),
                None => family.is_gemma.then(|| (width as f64).sqrt()),
            },
            residual_scale: multiplier("residual_multiplier")?.unwrap_or(1.0),
            logits_divisor: multiplier("logits_scaling")?,
            tied: match outer.flag("tie_word_embeddings")? {
                Some(tied) => tied,
                None => fields.flag("tie_word_embeddings")?.unwrap_or(family.tied),
            },
            activation: activation(fields, family)?,
            layers: layer::parse(fields, family, n_layers, ropes.len())?,
            ropes,
        }))
    }
}

/// The `model_type`s of all families.
pub(super) fn families() -> impl Iterator<Item = &'static str> {
    family::FAMILIES.iter().map(|family| family.model_type)
}

fn heads(fields: &Fields, family: &Family) -> Result<(usize, usize), ModelError> {
    let heads = match family.heads {
        Some((default, _)) => fields.size_or("num_attention_heads", default, &HEADS)?,
        None => fields.size("num_attention_heads", &HEADS)?,
    };
    let kv_default = family.heads.map_or(heads, |(_, kv_heads)| kv_heads);
    let kv_heads = fields.size_or("num_key_value_heads", kv_default, &HEADS)?;
    if !heads.is_multiple_of(kv_heads) {
        return Err(ModelError::config("num_key_value_heads", format!("does not divide {heads} heads")));
    }
    Ok((heads, kv_heads))
}

fn activation(fields: &Fields, family: &Family) -> Result<Activation, ModelError> {
    // Gemma has both; the first is the one that counts, the second stems from its early conversion.
    let field = if fields.has("hidden_activation") { "hidden_activation" } else { "hidden_act" };
    match fields.text(field)? {
        // The first Gemma's files say gelu and mean the approximation that it was trained with.
        None | Some("gelu") if family.is_gemma => Ok(Activation::GeluTanh),
        None => Ok(Activation::Silu),
        Some(name) => Activation::of(field, name),
    }
}
