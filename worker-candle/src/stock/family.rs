//! The families that candle-transformers has and this crate's decoder does not.

use std::sync::Arc;

use candle_core::{DType, Device, Error, Result, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{
    falcon, glm4_new, granitemoehybrid, helium, lfm2, mamba, olmo, olmo2, phi, recurrent_gemma, starcoder2,
};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::sequence::{Forward, Sequence, Stock};

/// A family, and how its model is made.
pub(super) struct Family {
    pub(super) model_type: &'static str,
    /// candle-transformers' name for it.
    pub(super) module: &'static str,
    pub(super) load: fn(Value, VarBuilder) -> Result<Box<dyn Sequence>>,
    /// Several tokens at once can follow others.
    pub(super) appends: bool,
    /// Tokens that the model's tables hold, whatever the config says.
    pub(super) longest_context: Option<usize>,
    /// The embedding is the output matrix too where the config does not say.
    pub(super) tied: bool,
    /// Settings that the model takes for granted.
    pub(super) assumed: &'static [(&'static str, Assumed)],
    /// Settings by their newer names, and by those that the model reads.
    pub(super) renamed: &'static [(&'static str, &'static str)],
    /// Tensors that the model asks for, and what files may call them instead.
    pub(super) aliases: &'static [(&'static str, &'static str)],
}

/// The value of a setting.
#[derive(Debug, Clone, Copy)]
pub(super) enum Assumed {
    Flag(bool),
    Number(u64),
}

const PLAIN: Family = Family {
    model_type: "",
    module: "",
    load: |_, _| candle_core::bail!("there is no such model"),
    appends: true,
    longest_context: None,
    tied: false,
    assumed: &[],
    renamed: &[],
    aliases: &[],
};

const FAMILIES: &[Family] = &[
    Family {
        model_type: "phi",
        module: "phi",
        load: |config, tensors| {
            stock(
                config,
                |config| phi::Model::new(&config, tensors),
                |model, tokens, _| model.forward(tokens),
            )
        },
        appends: false,
        assumed: &[("tie_word_embeddings", Assumed::Flag(false))],
        ..PLAIN
    },
    Family {
        model_type: "falcon",
        module: "falcon",
        load: |config, tensors| {
            let load = |config: falcon::Config| {
                config.validate()?;
                falcon::Falcon::load(tensors, config)
            };
            stock(config, load, |model, tokens, _| model.forward(tokens))
        },
        appends: false,
        longest_context: Some(5000),
        assumed: &[("alibi", Assumed::Flag(false)), ("new_decoder_architecture", Assumed::Flag(false))],
        aliases: &[("lm_head.weight", "transformer.word_embeddings.weight")],
        ..PLAIN
    },
    Family {
        model_type: "starcoder2",
        module: "starcoder2",
        load: |config, tensors| {
            stock(config, |config| starcoder2::Model::new(&config, tensors), starcoder2::Model::forward)
        },
        tied: true,
        assumed: &[("tie_word_embeddings", Assumed::Flag(true))],
        ..PLAIN
    },
    Family {
        model_type: "olmo",
        module: "olmo",
        load: |config, tensors| {
            stock(config, |config| olmo::Model::new(&config, tensors), olmo::Model::forward)
        },
        ..PLAIN
    },
    Family {
        model_type: "olmo2",
        module: "olmo2",
        load: |config, tensors| {
            stock(config, |config| olmo2::Model::new(&config, tensors), olmo2::Model::forward)
        },
        ..PLAIN
    },
    Family {
        model_type: "helium",
        module: "helium",
        load: |config, tensors| {
            stock(config, |config| helium::Model::new(&config, tensors), helium::Model::forward)
        },
        ..PLAIN
    },
    Family {
        model_type: "glm4",
        module: "glm4_new",
        load: |config, tensors| {
            let load = |config| glm4_new::ModelForCausalLM::new(&config, tensors);
            stock(config, load, glm4_new::ModelForCausalLM::forward)
        },
        ..PLAIN
    },
    Family {
        model_type: "recurrent_gemma",
        module: "recurrent_gemma",
        appends: false,
        load: |config, tensors| {
            let load = |config| recurrent_gemma::Model::new(&config, tensors.pp("model"));
            stock(config, load, recurrent_gemma::Model::forward)
        },
        tied: true,
        ..PLAIN
    },
    Family {
        model_type: "lfm2",
        module: "lfm2",
        appends: false,
        load: |config, tensors| {
            let width = lfm2_width(&config);
            let mut config = read::<lfm2::Lfm2Config>(config)?.into_config(false);
            config.intermediate_size = width.unwrap_or(config.intermediate_size);
            let cache = lfm2::Cache::new(true, DType::F32, &config, &Device::Cpu)?;
            let model = Arc::new(lfm2::Model::new(&config, tensors)?);
            let forward: Forward<(Arc<lfm2::Model>, lfm2::Cache)> =
                |(model, cache), tokens, position| model.forward(tokens, position, cache);
            Ok(Box::new(Stock::new((model, cache), forward)))
        },
        tied: true,
        renamed: &[("tie_word_embeddings", "tie_embedding")],
        ..PLAIN
    },
    Family {
        model_type: "granitemoehybrid",
        module: "granitemoehybrid",
        load: |mut config, tensors| {
            use granitemoehybrid::{GraniteMoeHybrid, GraniteMoeHybridCache, GraniteMoeHybridConfig};
            if config["position_embedding_type"] != "rope" {
                candle_core::bail!(
                    "config.json: `position_embedding_type` is not rope, which alone is supported"
                );
            }
            // Newer files say what kind of attention.
            for kind in config["layer_types"].as_array_mut().into_iter().flatten() {
                if kind == "full_attention" {
                    *kind = "attention".into();
                }
            }
            let config = read::<GraniteMoeHybridConfig>(config)?.into_config(false);
            let cache = GraniteMoeHybridCache::new(true, DType::F32, &config, &Device::Cpu)?;
            let model = Arc::new(GraniteMoeHybrid::load(tensors, &config)?);
            let forward: Forward<(Arc<GraniteMoeHybrid>, GraniteMoeHybridCache)> =
                |(model, cache), tokens, position| model.forward(tokens, position, cache);
            Ok(Box::new(Stock::new((model, cache), forward)))
        },
        tied: true,
        assumed: &[("tie_word_embeddings", Assumed::Flag(true)), ("num_local_experts", Assumed::Number(0))],
        ..PLAIN
    },
    Family {
        model_type: "mamba",
        module: "mamba",
        load: |config, tensors| Ok(Box::new(Recurrent::load(&read(config)?, &tensors)?)),
        tied: true,
        assumed: &[
            ("state_size", Assumed::Number(16)),
            ("conv_kernel", Assumed::Number(4)),
            ("expand", Assumed::Number(2)),
            ("tie_word_embeddings", Assumed::Flag(true)),
        ],
        renamed: &[("hidden_size", "d_model"), ("num_hidden_layers", "n_layer")],
        aliases: &[("backbone.embedding.weight", "backbone.embeddings.weight")],
        ..PLAIN
    },
];

/// A Mamba: it takes one token at a time, and its state does not grow.
struct Recurrent {
    model: Arc<mamba::Model>,
    state: mamba::State,
}

impl Family {
    /// The family of this `model_type`.
    pub(super) fn of(model_type: &str) -> Option<&'static Self> {
        FAMILIES.iter().find(|family| family.model_type == model_type)
    }
}

impl From<Assumed> for Value {
    fn from(assumed: Assumed) -> Self {
        match assumed {
            Assumed::Flag(flag) => flag.into(),
            Assumed::Number(number) => number.into(),
        }
    }
}

impl Recurrent {
    fn load(config: &mamba::Config, tensors: &VarBuilder) -> Result<Self> {
        let state = mamba::State::new(1, config, DType::F32, &Device::Cpu)?;
        Ok(Self { model: Arc::new(mamba::Model::new(config, tensors.pp("backbone"))?), state })
    }
}

impl Sequence for Recurrent {
    fn append(&mut self, tokens: &[u32], _position: usize) -> Result<Vec<f32>> {
        let mut logits = Vec::new();
        for &token in tokens {
            let token = Tensor::new(&[token], &Device::Cpu)?;
            logits = self.model.forward(&token, &mut self.state)?.flatten_all()?.to_vec1()?;
        }
        Ok(logits)
    }

    fn fork(&self) -> Box<dyn Sequence> {
        let mamba::State { hs, prev_xs, pos } = &self.state;
        let state = mamba::State { hs: hs.clone(), prev_xs: prev_xs.clone(), pos: *pos };
        Box::new(Self { model: Arc::clone(&self.model), state })
    }
}

/// The `model_type`s of all families.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    FAMILIES.iter().map(|family| family.model_type)
}

fn stock<C: DeserializeOwned, M: Clone + 'static>(
    config: Value,
    load: impl FnOnce(C) -> Result<M>,
    forward: Forward<M>,
) -> Result<Box<dyn Sequence>> {
    Ok(Box::new(Stock::new(load(read(config)?)?, forward)))
}

/// The settings as a model's own type.
fn read<C: DeserializeOwned>(config: Value) -> Result<C> {
    serde_json::from_value(config).map_err(|error| Error::Msg(format!("config.json: {error}")))
}

/// The width of an LFM2's feed-forward networks, which its settings give before they are adjusted.
fn lfm2_width(config: &Value) -> Option<usize> {
    let asked = config["block_ff_dim"].as_u64().or(config["intermediate_size"].as_u64())?;
    if config["block_auto_adjust_ff_dim"] == false {
        return usize::try_from(asked).ok();
    }
    let multiplier = config["block_ffn_dim_multiplier"].as_f64().unwrap_or(1.0);
    let multiple = config["block_multiple_of"].as_u64().unwrap_or(256).max(1);
    let adjusted = (multiplier * (2 * asked / 3) as f64) as u64;
    usize::try_from(adjusted.div_ceil(multiple).checked_mul(multiple)?).ok()
}
