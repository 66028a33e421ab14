//! The families of encoders, one row of data each.

use crate::{
    config::{Activation, decoder::Bias, field::Fields},
    error::ModelError,
};

/// What sets a family apart, and what its files may leave out.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools)] // a table of properties
pub(super) struct Family {
    pub(super) model_type: &'static str,
    pub(super) settings: &'static Settings,
    pub(super) names: &'static Names,
    pub(super) positions: Positions,
    pub(super) rope: Option<RopeNames>,
    pub(super) window: Option<Window>,
    pub(super) context: usize,
    pub(super) norm_epsilon: f64,
    pub(super) norms_first: bool,
    pub(super) gated: bool,
    pub(super) activation: Activation,
    pub(super) norm_bias: Bias,
    pub(super) qkv_bias: Bias,
    pub(super) output_bias: Bias,
    pub(super) up_bias: Bias,
    pub(super) down_bias: Bias,
    /// Settings that change what is computed, and the value without which a model is not this family's.
    pub(super) fixed: &'static [(&'static str, bool)],
}

/// What `config.json` calls things; where there are several names, the first that is there counts.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) width: &'static [&'static str],
    pub(super) heads: &'static [&'static str],
    pub(super) layers: &'static [&'static str],
    pub(super) context: &'static [&'static str],
    pub(super) feed_forward_width: &'static [&'static str],
    pub(super) norm_epsilon: &'static [&'static str],
    pub(super) activation: &'static [&'static str],
}

/// What the file calls the tensors; those of a layer stand below its number, all of them below a prefix.
#[derive(Debug)]
pub(crate) struct Names {
    pub(crate) words: &'static str,
    pub(crate) positions: Option<&'static str>,
    pub(crate) token_types: Option<&'static str>,
    pub(crate) embedding_norm: &'static str,
    /// Biases of attention by distance.
    pub(crate) distances: Option<&'static str>,
    pub(crate) layers: &'static str,
    /// Queries, keys and values, or all of them in one.
    pub(crate) qkv: &'static [&'static str],
    pub(crate) output: &'static str,
    pub(crate) attention_norm: &'static str,
    /// Gate and up, or both in one, or up alone.
    pub(crate) up: &'static [&'static str],
    pub(crate) down: &'static str,
    pub(crate) feed_forward_norm: &'static str,
    pub(crate) final_norm: Option<&'static str>,
}

/// How tokens know where they are.
#[derive(Debug, Clone, Copy)]
pub(super) enum Positions {
    /// By a table.
    Learnt,
    /// By a table whose rows up to that of the padding token, here its default, are not used.
    BehindPadding(usize),
    /// By rotary embeddings alone.
    Rotary,
}

/// Settings of the rotary embeddings and their defaults.
#[derive(Debug)]
pub(super) struct RopeNames {
    pub(super) base: (&'static str, f64),
    pub(super) local_base: Option<(&'static str, f64)>,
    pub(super) share: Option<&'static str>,
}

/// Layers that see a window: all but every n-th, beginning with the first.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    /// The setting with the width of the whole window.
    pub(super) width: &'static str,
    pub(super) default_width: usize,
    pub(super) every: &'static str,
    pub(super) default_every: usize,
}

const BERT_SETTINGS: Settings = Settings {
    width: &["hidden_size"],
    heads: &["num_attention_heads"],
    layers: &["num_hidden_layers"],
    context: &["max_position_embeddings"],
    feed_forward_width: &["intermediate_size"],
    norm_epsilon: &["layer_norm_eps"],
    activation: &["hidden_act"],
};

const BERT_NAMES: Names = Names {
    words: "embeddings.word_embeddings",
    positions: Some("embeddings.position_embeddings"),
    token_types: Some("embeddings.token_type_embeddings"),
    embedding_norm: "embeddings.LayerNorm",
    distances: None,
    layers: "encoder.layer",
    qkv: &["attention.self.query", "attention.self.key", "attention.self.value"],
    output: "attention.output.dense",
    attention_norm: "attention.output.LayerNorm",
    up: &["intermediate.dense"],
    down: "output.dense",
    feed_forward_norm: "output.LayerNorm",
    final_norm: None,
};

/// What most families are.
const BERT: Family = Family {
    model_type: "bert",
    settings: &BERT_SETTINGS,
    names: &BERT_NAMES,
    positions: Positions::Learnt,
    rope: None,
    window: None,
    context: 512,
    norm_epsilon: 1e-12,
    norms_first: false,
    gated: false,
    activation: Activation::GeluErf,
    norm_bias: Bias::Always,
    qkv_bias: Bias::Always,
    output_bias: Bias::Always,
    up_bias: Bias::Always,
    down_bias: Bias::Always,
    fixed: &[("is_decoder", false)],
};

const ROBERTA: Family =
    Family { model_type: "roberta", positions: Positions::BehindPadding(1), norm_epsilon: 1e-5, ..BERT };

const DISTILBERT: Family = Family {
    model_type: "distilbert",
    settings: &Settings {
        width: &["dim"],
        heads: &["n_heads"],
        layers: &["n_layers"],
        feed_forward_width: &["hidden_dim"],
        activation: &["activation"],
        ..BERT_SETTINGS
    },
    names: &Names {
        token_types: None,
        layers: "transformer.layer",
        qkv: &["attention.q_lin", "attention.k_lin", "attention.v_lin"],
        output: "attention.out_lin",
        attention_norm: "sa_layer_norm",
        up: &["ffn.lin1"],
        down: "ffn.lin2",
        feed_forward_norm: "output_layer_norm",
        ..BERT_NAMES
    },
    ..BERT
};

const MPNET: Family = Family {
    model_type: "mpnet",
    names: &Names {
        token_types: None,
        distances: Some("encoder.relative_attention_bias"),
        qkv: &["attention.attn.q", "attention.attn.k", "attention.attn.v"],
        output: "attention.attn.o",
        attention_norm: "attention.LayerNorm",
        ..BERT_NAMES
    },
    positions: Positions::BehindPadding(1),
    norm_epsilon: 1e-12,
    ..BERT
};

const NOMIC: Family = Family {
    model_type: "nomic_bert",
    settings: &Settings {
        width: &["hidden_size", "n_embd"],
        heads: &["num_attention_heads", "n_head"],
        layers: &["num_hidden_layers", "n_layer"],
        context: &["max_position_embeddings", "n_positions"],
        feed_forward_width: &["intermediate_size", "n_inner"],
        norm_epsilon: &["layer_norm_eps", "layer_norm_epsilon"],
        activation: &["hidden_act", "activation_function"],
    },
    names: &Names {
        positions: None,
        embedding_norm: "emb_ln",
        layers: "encoder.layers",
        qkv: &["attn.Wqkv"],
        output: "attn.out_proj",
        attention_norm: "norm1",
        up: &["mlp.fc12", "mlp.fc11"],
        down: "mlp.fc2",
        feed_forward_norm: "norm2",
        ..BERT_NAMES
    },
    positions: Positions::Rotary,
    rope: Some(RopeNames {
        base: ("rotary_emb_base", 1000.0),
        local_base: None,
        share: Some("rotary_emb_fraction"),
    }),
    context: 2048,
    gated: true,
    activation: Activation::Silu,
    qkv_bias: Bias::Setting("qkv_proj_bias", false),
    output_bias: Bias::Setting("qkv_proj_bias", false),
    up_bias: Bias::Setting("mlp_fc1_bias", false),
    down_bias: Bias::Setting("mlp_fc2_bias", false),
    fixed: &[("prenorm", false), ("rotary_emb_interleaved", false), ("causal", false)],
    ..BERT
};

const MODERN: Family = Family {
    model_type: "modernbert",
    settings: &Settings { norm_epsilon: &["norm_eps"], activation: &["hidden_activation"], ..BERT_SETTINGS },
    names: &Names {
        words: "embeddings.tok_embeddings",
        positions: None,
        token_types: None,
        embedding_norm: "embeddings.norm",
        distances: None,
        layers: "layers",
        qkv: &["attn.Wqkv"],
        output: "attn.Wo",
        attention_norm: "attn_norm",
        up: &["mlp.Wi"],
        down: "mlp.Wo",
        feed_forward_norm: "mlp_norm",
        final_norm: Some("final_norm"),
    },
    positions: Positions::Rotary,
    rope: Some(RopeNames {
        base: ("global_rope_theta", 160_000.0),
        local_base: Some(("local_rope_theta", 10_000.0)),
        share: None,
    }),
    window: Some(Window {
        width: "local_attention",
        default_width: 128,
        every: "global_attn_every_n_layers",
        default_every: 3,
    }),
    context: 8192,
    norm_epsilon: 1e-5,
    norms_first: true,
    gated: true,
    norm_bias: Bias::Setting("norm_bias", false),
    qkv_bias: Bias::Setting("attention_bias", false),
    output_bias: Bias::Setting("attention_bias", false),
    up_bias: Bias::Setting("mlp_bias", false),
    down_bias: Bias::Setting("mlp_bias", false),
    fixed: &[],
    ..BERT
};

/// All families by `model_type`.
pub(super) const FAMILIES: &[Family] = &[
    BERT,
    ROBERTA,
    Family { model_type: "xlm-roberta", ..ROBERTA },
    Family { model_type: "camembert", ..ROBERTA },
    DISTILBERT,
    MPNET,
    NOMIC,
    MODERN,
];

impl Family {
    /// The family of this `model_type`.
    pub(super) fn of(model_type: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.model_type == model_type)
    }

    /// Refuses settings under which the family's models compute something else.
    pub(super) fn refuse_variants(&self, fields: &Fields) -> Result<(), ModelError> {
        for &(name, expected) in self.fixed {
            if fields.flag(name)?.is_some_and(|value| value != expected) {
                return Err(ModelError::config(name, format!("is not {expected}, which is not supported")));
            }
        }
        match fields.text("position_embedding_type")? {
            None | Some("absolute") => Ok(()),
            Some(other) if self.rope.is_none() => {
                let problem = format!("is `{other}`; only absolute positions are supported");
                Err(ModelError::config("position_embedding_type", problem))
            }
            Some(_) => Ok(()),
        }
    }
}
