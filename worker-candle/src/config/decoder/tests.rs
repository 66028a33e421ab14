use serde_json::{Value, json};

use super::{DecoderConfig, FeedForwardConfig};
use crate::{
    config::{Activation, ModelConfig},
    error::ModelError,
};

fn parse(config: &Value) -> Result<DecoderConfig, ModelError> {
    match ModelConfig::parse(config)? {
        ModelConfig::Decoder(decoder) => Ok(decoder),
        other => panic!("{other:?} is no decoder"),
    }
}

fn llama() -> Value {
    json!({"model_type": "llama", "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
        "intermediate_size": 128, "vocab_size": 100})
}

fn with(mut config: Value, changes: &Value) -> Value {
    for (name, value) in changes.as_object().expect("changes are an object") {
        config[name] = value.clone();
    }
    config
}

#[test]
fn what_is_wrong_is_named() {
    let check = |changes: Value, expected: &[&str]| {
        let error = parse(&with(llama(), &changes)).expect_err("the config is wrong").to_string();
        assert!(expected.iter().all(|word| error.contains(word)), "{changes}: {error}");
    };
    check(json!({"model_type": null}), &["model_type", "missing"]);
    check(json!({"hidden_size": null}), &["hidden_size", "missing"]);
    check(json!({"hidden_size": -1}), &["hidden_size", "-1"]);
    check(json!({"hidden_size": 1e30}), &["hidden_size"]);
    check(json!({"num_hidden_layers": 1_000_000}), &["num_hidden_layers", "1024"]);
    check(json!({"vocab_size": u64::MAX}), &["vocab_size"]);
    check(json!({"num_key_value_heads": 3}), &["num_key_value_heads", "4 heads"]);
    check(json!({"rms_norm_eps": 0}), &["rms_norm_eps", "positive"]);
    check(json!({"hidden_act": "swiglu"}), &["hidden_act", "swiglu", "silu"]);
    check(json!({"tie_word_embeddings": "yes"}), &["tie_word_embeddings"]);
    check(json!({"rope_theta": 0}), &["rope_theta"]);
    check(
        json!({"rope_scaling": {"rope_type": "ntk", "factor": 2}}),
        &["rope_type", "ntk", "dynamic, llama3"],
    );
    check(json!({"use_bidirectional_attention": true}), &["use_bidirectional_attention", "causal"]);
    check(json!({"rope_scaling": {"type": "linear"}}), &["factor", "missing"]);
    check(
        json!({"rope_scaling": {"type": "longrope", "short_factor": [1], "long_factor": [1]}}),
        &["short_factor", "8"],
    );
    check(json!({"partial_rotary_factor": 0.01}), &["partial_rotary_factor"]);
    check(json!({"sliding_window": 8, "layer_types": ["full_attention"]}), &["layer_types", "4"]);
    check(json!({"sliding_window": 8, "layer_types": ["mamba", "", "", ""]}), &["layer_types", "mamba"]);
    check(json!({"quantization_config": {"quant_method": "gptq"}}), &["gptq", "GGUF"]);
    check(
        json!({"model_type": "mixtral", "num_local_experts": 2, "num_experts_per_tok": 3}),
        &["num_experts_per_tok", "2 experts"],
    );
    assert!(parse(&json!([])).is_err());
}

#[test]
fn windows_and_rotation_differ_by_layer() {
    let check = |changes: Value, windows: [Option<usize>; 4], ropes: [Option<usize>; 4]| {
        let config = parse(&with(llama(), &changes)).expect("the config is right");
        let found: Vec<_> = config.layers.iter().map(|layer| layer.window).collect();
        assert_eq!(found, windows, "{changes}");
        let found: Vec<_> = config.layers.iter().map(|layer| layer.rope).collect();
        assert_eq!(found, ropes, "{changes}");
    };
    let same = [Some(0); 4];
    check(json!({}), [None; 4], same);
    check(json!({"sliding_window": 8}), [None; 4], same);
    check(json!({"model_type": "mistral", "sliding_window": 8}), [Some(8); 4], same);
    check(json!({"model_type": "mistral", "sliding_window": null}), [None; 4], same);
    check(json!({"model_type": "qwen2", "sliding_window": 8, "max_window_layers": 1}), [None; 4], same);
    check(
        json!({"model_type": "qwen2", "sliding_window": 8, "max_window_layers": 3, "use_sliding_window": true}),
        [None, None, None, Some(8)],
        same,
    );
    check(json!({"model_type": "gemma2", "sliding_window": 8}), [Some(8), None, Some(8), None], same);
    check(
        json!({"model_type": "gemma3_text", "sliding_window": 8, "sliding_window_pattern": 3}),
        [Some(8), Some(8), None, Some(8)],
        [Some(1), Some(1), Some(0), Some(1)],
    );
    check(
        json!({"model_type": "smollm3", "no_rope_layer_interval": 4}),
        [None; 4],
        [Some(0), Some(0), Some(0), None],
    );
    check(
        json!({"model_type": "smollm3", "no_rope_layers": [0, 1, 1, 1]}),
        [None; 4],
        [None, Some(0), Some(0), Some(0)],
    );
}

#[test]
fn a_model_of_text_and_images_has_its_decoder_apart() {
    let text = json!({"model_type": "gemma3_text", "hidden_size": 64, "intermediate_size": 96,
        "num_hidden_layers": 2, "rope_scaling": {"rope_type": "linear", "factor": 8.0}});
    let config = parse(&json!({"model_type": "gemma3", "text_config": text})).unwrap();
    assert_eq!((config.heads, config.kv_heads, config.head_size), (8, 4, 256));
    assert_eq!((config.vocabulary, config.tied), (262_208, true));
    assert_eq!(config.activation, Activation::GeluTanh);
    assert_eq!((config.attention_soft_cap, config.final_soft_cap), (None, None));
    let bases: Vec<_> = config.ropes.iter().map(|rope| rope.base).collect();
    assert_eq!(bases, [1e6, 1e4]);
}

#[test]
fn experts_are_where_the_config_puts_them() {
    let changes = json!({"model_type": "qwen3_moe", "num_experts": 8, "num_experts_per_tok": 2,
        "moe_intermediate_size": 16, "mlp_only_layers": [3], "decoder_sparse_step": 2});
    let config = parse(&with(llama(), &changes)).unwrap();
    let dense: Vec<_> = config
        .layers
        .iter()
        .map(|layer| matches!(layer.feed_forward, FeedForwardConfig::Dense { .. }))
        .collect();
    assert_eq!(dense, [true, false, true, true]);
    assert_eq!(config.head_size, 16);
}
