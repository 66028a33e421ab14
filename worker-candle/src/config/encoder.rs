//! What an encoder is made of: BERT and those that came after it.

mod family;
mod head;
#[cfg(test)]
mod tests;

pub(crate) use self::head::{HeadConfig, is_classifier};

use self::family::{Family, Names, Positions};
use super::{
    Activation, CONTEXT, HEADS, LAYERS, RopeConfig, VOCABULARY, WIDTHS,
    field::Fields,
    positive,
    rope::{self, RopeDefaults},
};
use crate::error::ModelError;

/// The whole shape of an encoder.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // each says independently whether a part is there
pub(crate) struct EncoderConfig {
    /// `model_type`.
    pub(crate) architecture: String,
    pub(crate) vocabulary: usize,
    /// Width of the residual stream, and of the vectors that come out.
    pub(crate) width: usize,
    /// The longest text, in tokens.
    pub(crate) context: usize,
    pub(crate) heads: usize,
    /// Rows of the table of positions, and the row of a text's first token.
    pub(crate) positions: Option<(usize, usize)>,
    /// Rows of the table of segments, of which the first is added to all tokens; 0 without the table.
    pub(crate) token_types: usize,
    /// Rows of the table of biases by distance.
    pub(crate) distance_buckets: Option<usize>,
    pub(crate) norm_epsilon: f64,
    /// Layer norms have a bias.
    pub(crate) norm_bias: bool,
    /// Norms stand before what they belong to and not behind it.
    pub(crate) norms_first: bool,
    pub(crate) qkv_bias: bool,
    pub(crate) output_bias: bool,
    pub(crate) up_bias: bool,
    pub(crate) down_bias: bool,
    /// The feed-forward network has a gate.
    pub(crate) gated: bool,
    pub(crate) feed_forward_width: usize,
    pub(crate) activation: Activation,
    /// The rotary embeddings that layers refer to; none where positions are learnt.
    pub(crate) ropes: Vec<RopeConfig>,
    pub(crate) layers: Vec<EncoderLayerConfig>,
    pub(crate) names: &'static Names,
    /// What makes a cross-encoder of it.
    pub(crate) head: Option<HeadConfig>,
}

/// One layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EncoderLayerConfig {
    /// A token sees as many tokens on each side of it; all without it.
    pub(crate) reach: Option<usize>,
    /// Its place in [`EncoderConfig::ropes`].
    pub(crate) rope: Option<usize>,
}

impl EncoderConfig {
    /// Reads `config.json`, if it is of a family that is known.
    pub(super) fn parse(model_type: &str, fields: &Fields) -> Result<Option<Self>, ModelError> {
        let Some(family) = Family::of(model_type) else { return Ok(None) };
        family.refuse_variants(fields)?;
        let settings = family.settings;
        let one_of = |names: &[&'static str]| -> &'static str {
            names.iter().find(|name| fields.has(name)).copied().unwrap_or(names[0])
        };
        let width = fields.size(one_of(settings.width), &WIDTHS)?;
        let heads_name = one_of(settings.heads);
        let heads = fields.size(heads_name, &HEADS)?;
        if !width.is_multiple_of(heads) {
            return Err(ModelError::config(heads_name, format!("does not divide the width {width}")));
        }
        let n_layers = fields.size(one_of(settings.layers), &LAYERS)?;
        let trained = fields.size_or(one_of(settings.context), family.context, &CONTEXT)?;
        let ropes = family.ropes(fields, width / heads, trained)?;
        let (positions, context) = family.positions(fields, trained)?;
        let epsilon = one_of(settings.norm_epsilon);
        let activation = one_of(settings.activation);
        Ok(Some(Self {
            architecture: model_type.to_owned(),
            vocabulary: fields.size("vocab_size", &VOCABULARY)?,
            width,
            context,
            heads,
            positions,
            token_types: if family.names.token_types.is_some() {
                fields.size_or("type_vocab_size", 2, &(0..=1024))?
            } else {
                0
            },
            distance_buckets: match family.names.distances {
                Some(_) => Some(fields.size_or("relative_attention_num_buckets", 32, &(4..=4096))?),
                None => None,
            },
            norm_epsilon: positive(epsilon, fields.number_or(epsilon, family.norm_epsilon)?)?,
            norm_bias: family.norm_bias.resolve(fields)?,
            norms_first: family.norms_first,
            qkv_bias: family.qkv_bias.resolve(fields)?,
            output_bias: family.output_bias.resolve(fields)?,
            up_bias: family.up_bias.resolve(fields)?,
            down_bias: family.down_bias.resolve(fields)?,
            gated: family.gated,
            feed_forward_width: fields.size(one_of(settings.feed_forward_width), &WIDTHS)?,
            activation: match fields.text(activation)? {
                // What the gate's function is called together with the gate.
                Some("swiglu") if family.gated => Activation::Silu,
                Some(name) => Activation::of(activation, name)?,
                None => family.activation,
            },
            layers: family.layers(fields, n_layers, ropes.len())?,
            ropes,
            names: family.names,
            head: HeadConfig::parse(family, fields)?,
        }))
    }
}

/// The `model_type`s of all families.
pub(super) fn families() -> impl Iterator<Item = &'static str> {
    family::FAMILIES.iter().map(|family| family.model_type)
}

impl Family {
    /// The table of positions, and the longest text.
    fn positions(
        &self,
        fields: &Fields,
        trained: usize,
    ) -> Result<(Option<(usize, usize)>, usize), ModelError> {
        let first = match self.positions {
            Positions::Rotary => return Ok((None, trained)),
            Positions::Learnt => 0,
            Positions::BehindPadding(padding) => {
                1 + fields.size_or("pad_token_id", padding, &(0..=usize::MAX / 2))?
            }
        };
        if trained <= first {
            let problem = format!("is {trained}, of which the first {first} are not used");
            return Err(ModelError::config("max_position_embeddings", problem));
        }
        Ok((Some((trained, first)), trained - first))
    }

    fn ropes(
        &self,
        fields: &Fields,
        head_size: usize,
        trained: usize,
    ) -> Result<Vec<RopeConfig>, ModelError> {
        let Some(names) = &self.rope else { return Ok(Vec::new()) };
        let local_base = match names.local_base {
            Some((name, default)) => Some(fields.number_or(name, default)?),
            None => None,
        };
        let (name, default) = names.base;
        let share = names.share.map_or(Ok(1.0), |name| fields.number_or(name, 1.0))?;
        let defaults = RopeDefaults { base: fields.number_or(name, default)?, local_base, share };
        rope::parse(fields, &defaults, head_size, trained)
    }

    fn layers(
        &self,
        fields: &Fields,
        n_layers: usize,
        n_ropes: usize,
    ) -> Result<Vec<EncoderLayerConfig>, ModelError> {
        let Some(window) = self.window else {
            return Ok(vec![EncoderLayerConfig { reach: None, rope: (n_ropes > 0).then_some(0) }; n_layers]);
        };
        let reach = fields.size_or(window.width, window.default_width, &CONTEXT)? / 2;
        let every = fields.size_or(window.every, window.default_every, &LAYERS)?;
        let is_windowed: Vec<bool> = match fields.list("layer_types")? {
            None => (0..n_layers).map(|idx| !idx.is_multiple_of(every)).collect(),
            Some(kinds) if kinds.len() != n_layers => {
                let problem = format!("does not have {n_layers} entries");
                return Err(ModelError::config("layer_types", problem));
            }
            Some(kinds) => kinds
                .iter()
                .map(|kind| match kind.as_str() {
                    Some("full_attention") => Ok(false),
                    Some("sliding_attention") => Ok(true),
                    _ => Err(ModelError::config("layer_types", format!("has the unknown entry {kind}"))),
                })
                .collect::<Result<_, _>>()?,
        };
        Ok(is_windowed
            .into_iter()
            .map(|windowed| EncoderLayerConfig {
                reach: windowed.then_some(reach),
                rope: Some(if windowed { n_ropes - 1 } else { 0 }),
            })
            .collect())
    }
}
