//! The heads of cross-encoders, one row of data for each family that has one.

use super::family::Family;
use crate::{
    config::{Activation, field::Fields},
    error::ModelError,
};

/// What makes a number of an encoder's hidden states: a layer, a function, perhaps a norm, and a last layer.
#[derive(Debug)]
pub(crate) struct HeadConfig {
    pub(crate) names: &'static HeadNames,
    pub(crate) activation: Activation,
    /// The first layer has a bias.
    pub(crate) dense_bias: bool,
    /// It sees the mean of all tokens, and not the first one.
    pub(crate) is_of_mean: bool,
}

/// What the file calls the head's tensors.
#[derive(Debug)]
pub(crate) struct HeadNames {
    /// The first layer.
    pub(crate) dense: &'static str,
    /// Whether its name stands below the encoder's prefix.
    pub(crate) is_within: bool,
    pub(crate) norm: Option<&'static str>,
    /// The last layer.
    pub(crate) out: &'static str,
}

/// The ending of the `architectures` that have a head.
const CLASSIFIER: &str = "ForSequenceClassification";

const POOLED: HeadNames = HeadNames { dense: "pooler.dense", is_within: true, norm: None, out: "classifier" };
const PROJECTED: HeadNames =
    HeadNames { dense: "classifier.dense", is_within: false, norm: None, out: "classifier.out_proj" };
const RECTIFIED: HeadNames =
    HeadNames { dense: "pre_classifier", is_within: false, norm: None, out: "classifier" };
const NORMALISED: HeadNames =
    HeadNames { dense: "head.dense", is_within: false, norm: Some("head.norm"), out: "classifier" };

/// Whether the settings are those of a model with a head that classifies.
pub(crate) fn is_classifier(fields: &Fields) -> Result<bool, ModelError> {
    let names = fields.list("architectures")?.unwrap_or_default();
    Ok(names.iter().filter_map(|name| name.as_str()).any(|name| name.ends_with(CLASSIFIER)))
}

impl HeadConfig {
    /// Reads the head of a model of `family`; nothing where it has none.
    pub(super) fn parse(family: &Family, fields: &Fields) -> Result<Option<Self>, ModelError> {
        if !is_classifier(fields)? {
            return Ok(None);
        }
        refuse_classes(fields)?;
        let (names, activation) = match family.model_type {
            "bert" => (&POOLED, Activation::Tanh),
            "roberta" | "xlm-roberta" | "camembert" | "mpnet" => (&PROJECTED, Activation::Tanh),
            "distilbert" => (&RECTIFIED, Activation::Relu),
            "modernbert" => return Self::modern(fields).map(Some),
            other => {
                let problem = format!("names a head, which is not known for `{other}`");
                return Err(ModelError::config("architectures", problem));
            }
        };
        Ok(Some(Self { names, activation, dense_bias: true, is_of_mean: false }))
    }

    fn modern(fields: &Fields) -> Result<Self, ModelError> {
        let activation = match fields.text("classifier_activation")? {
            Some(name) => Activation::of("classifier_activation", name)?,
            None => Activation::GeluErf,
        };
        let is_of_mean = match fields.text("classifier_pooling")? {
            None | Some("cls") => false,
            Some("mean") => true,
            Some(other) => {
                let problem = format!("is `{other}`; known are cls, mean");
                return Err(ModelError::config("classifier_pooling", problem));
            }
        };
        let dense_bias = fields.flag("classifier_bias")?.unwrap_or(false);
        Ok(Self { names: &NORMALISED, activation, dense_bias, is_of_mean })
    }
}

/// What tells several classes apart ranks nothing.
fn refuse_classes(fields: &Fields) -> Result<(), ModelError> {
    let named = fields.object("id2label")?.map(|labels| labels.len());
    let (name, n) = match (named, fields.maybe_size("num_labels", &(1..=1 << 20))?) {
        (Some(n), _) => ("id2label", n),
        (None, Some(n)) => ("num_labels", n),
        (None, None) => return Ok(()),
    };
    if n == 1 {
        return Ok(());
    }
    let problem = format!("tells of {n} classes; a cross-encoder, which ranks, has one");
    Err(ModelError::config(name, problem))
}
