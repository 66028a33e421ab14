//! Stock models with random weights keep the laws of the engine seam, as far as they can.

use std::hash::{DefaultHasher, Hash, Hasher};

use candle_core::{DType, Device, Result, Shape, Tensor};
use candle_nn::{Init, VarBuilder, var_builder::SimpleBackend};
use impetus_runtime::engine::{
    Batch, Limits, Rows, SlotId, StepError, TextEngine, TokenId, Want,
    conformance::{Tolerance, check},
};
use serde_json::{Value, json};

use super::{StockEngine, family::Family, setting};

const CONTEXT_TOKENS: u32 = 64;
const VOCABULARY: u32 = 50;
const LIMITS: Limits = Limits {
    slots: 3,
    context_tokens: CONTEXT_TOKENS,
    tokens_per_step: 256,
    chunk_rows: 1,
    chunks_per_step: 1,
    vocabulary: VOCABULARY,
};

/// Gives every tensor that is asked for, by its name's hash.
struct Random;

impl SimpleBackend for Random {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> Result<Tensor> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        let seed = hasher.finish();
        let spread = 1.0 / shape.dims().last().map_or(1.0, |&width| width as f32).sqrt();
        let value = |idx: usize| {
            let mixed = (seed ^ idx as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            ((mixed >> 40) as f32 / (1_u64 << 23) as f32 - 1.0) * spread + 0.05
        };
        let values: Vec<f32> = (0..shape.elem_count()).map(value).collect();
        Tensor::from_vec(values, shape, device)?.to_dtype(dtype)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        candle_core::bail!("{name} without a shape")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}

fn engine(changes: &Value) -> StockEngine {
    let mut config = json!({"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4,
        "intermediate_size": 48, "vocab_size": VOCABULARY, "hidden_act": "silu", "head_dim": 8,
        "rms_norm_eps": 1e-5, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}});
    for (name, value) in changes.as_object().expect("changes are an object") {
        config[name] = value.clone();
    }
    let family = Family::of(config["model_type"].as_str().unwrap()).expect("the family is known");
    let settings = setting::complete(&config, family, CONTEXT_TOKENS).unwrap();
    let tensors = VarBuilder::from_backend(Box::new(Random), DType::F32, Device::Cpu);
    StockEngine::new((family.load)(settings, tensors).unwrap(), family.appends, LIMITS)
}

#[test]
fn every_family_keeps_the_laws() {
    let prompts: Vec<Vec<TokenId>> = (0..3_u32)
        .map(|n| (0..8 + n * 9).map(|idx| TokenId((idx * 7 + n * 3) % VOCABULARY)).collect())
        .collect();
    for changes in [
        json!({"model_type": "phi", "hidden_act": "gelu_new", "layer_norm_eps": 1e-5, "qk_layernorm": false,
            "rope_parameters": {"partial_rotary_factor": 0.5}}),
        json!({"model_type": "falcon", "layer_norm_epsilon": 1e-5, "initializer_range": 0.02, "use_cache": true,
            "bos_token_id": 1, "eos_token_id": 1, "hidden_dropout": 0.0, "attention_dropout": 0.0, "alibi": false,
            "new_decoder_architecture": false, "multi_query": true, "parallel_attn": true, "bias": false}),
        json!({"model_type": "starcoder2", "norm_epsilon": 1e-5, "use_bias": true}),
        json!({"model_type": "olmo"}),
        json!({"model_type": "olmo2"}),
        json!({"model_type": "helium", "bos_token_id": 1, "eos_token_id": 2}),
        json!({"model_type": "glm4", "attention_bias": true, "num_key_value_heads": 2,
            "rope_parameters": {"partial_rotary_factor": 0.5}}),
        json!({"model_type": "recurrent_gemma", "num_key_value_heads": 1, "attention_window_size": 64,
            "conv1d_width": 4, "logits_soft_cap": 30.0, "hidden_activation": "gelu_pytorch_tanh",
            "block_types": ["recurrent", "recurrent", "attention"],
            "rope_parameters": {"partial_rotary_factor": 0.5}}),
        json!({"model_type": "lfm2", "num_key_value_heads": 2, "layer_types": ["conv", "full_attention", "conv"]}),
        json!({"model_type": "granitemoehybrid", "layer_types": ["attention", "attention", "attention"],
            "residual_multiplier": 0.5, "position_embedding_type": "rope"}),
        json!({"model_type": "mamba"}),
    ] {
        if let Err(violation) = check(&mut engine(&changes), &prompts, Tolerance { batched: 0.0, cut: 1e-3 })
        {
            panic!("{changes}: {violation}");
        }
    }
}

#[test]
fn what_a_stock_model_cannot_do_is_refused() {
    let check = |changes: Value, expected: &[&str]| {
        let mut config = json!({"vocab_size": 10});
        for (name, value) in changes.as_object().unwrap() {
            config[name] = value.clone();
        }
        let family = Family::of(config["model_type"].as_str().unwrap()).unwrap();
        let sizes = setting::sizes(&config).map(|_| ());
        let result = sizes.and_then(|()| setting::complete(&config, family, 8).map(|_| ()));
        let error = result.expect_err("it cannot be done").to_string();
        assert!(expected.iter().all(|word| error.contains(word)), "{changes}: {error}");
    };
    check(json!({"model_type": "olmo", "hidden_size": 1_u64 << 40}), &["hidden_size"]);
    check(
        json!({"model_type": "olmo", "max_position_embeddings": 1_u64 << 40}),
        &["max_position_embeddings"],
    );
    check(json!({"model_type": "olmo", "rope_scaling": {"type": "yarn"}}), &["rope_scaling", "yarn"]);
    check(json!({"model_type": "starcoder2", "tie_word_embeddings": false}), &["tie_word_embeddings"]);
    check(json!({"model_type": "mamba", "state_size": 32}), &["state_size", "16"]);
}

#[test]
fn a_cache_goes_back_to_nothing_or_stays() {
    let mut engine = engine(&json!({"model_type": "olmo"}));
    let tokens: Vec<TokenId> = (1..6).map(TokenId).collect();
    let mut batch = Batch::default();
    batch.push(SlotId(0), 0, &tokens, Want::Last);
    engine.step(&batch, &mut Rows::new(VOCABULARY)).unwrap();
    assert!(engine.kv_truncate(SlotId(0), 3).is_err());
    assert!(engine.kv_copy(SlotId(0), SlotId(1), 3).is_err());
    assert!(engine.kv_truncate(SlotId(0), 5).is_ok());
    assert!(engine.kv_copy(SlotId(0), SlotId(1), 5).is_ok());

    let next = |engine: &mut StockEngine, position: u32, expected: Option<&str>| {
        let mut batch = Batch::default();
        batch.push(SlotId(1), position, &[TokenId(1)], Want::Last);
        match (engine.step(&batch, &mut Rows::new(VOCABULARY)), expected) {
            (Ok(()), None) => {}
            (Err(StepError::Rejected { reason, .. }), Some(words)) => {
                assert!(reason.contains(words), "{reason}");
            }
            (other, _) => panic!("{other:?}"),
        }
    };
    next(&mut engine, 4, Some("holds 5"));
    next(&mut engine, 5, None);
    assert!(engine.kv_truncate(SlotId(1), 0).is_ok());
    next(&mut engine, 0, None);
}
