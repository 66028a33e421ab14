use serde_json::{Value, json};

use super::EncoderConfig;
use crate::config::ModelConfig;

fn bert() -> Value {
    json!({"model_type": "bert", "hidden_size": 64, "num_hidden_layers": 4, "num_attention_heads": 4,
        "intermediate_size": 128, "vocab_size": 100, "max_position_embeddings": 514})
}

fn with(changes: &Value) -> Value {
    let mut config = bert();
    for (name, value) in changes.as_object().expect("changes are an object") {
        config[name] = value.clone();
    }
    config
}

fn parse(changes: &Value) -> EncoderConfig {
    match ModelConfig::parse(&with(changes)) {
        Ok(ModelConfig::Encoder(config)) => config,
        other => panic!("{changes}: {other:?}"),
    }
}

#[test]
fn what_is_wrong_is_named() {
    let check = |changes: Value, expected: &[&str]| {
        let error = ModelConfig::parse(&with(&changes)).expect_err("the config is wrong").to_string();
        assert!(expected.iter().all(|word| error.contains(word)), "{changes}: {error}");
    };
    check(json!({"hidden_size": null}), &["hidden_size", "missing"]);
    check(json!({"num_hidden_layers": 1_000_000}), &["num_hidden_layers", "1024"]);
    check(json!({"num_attention_heads": 7}), &["num_attention_heads", "64"]);
    check(json!({"hidden_act": "quick_gelu"}), &["hidden_act", "quick_gelu"]);
    check(json!({"is_decoder": true}), &["is_decoder"]);
    check(json!({"position_embedding_type": "relative_key"}), &["relative_key"]);
    check(json!({"model_type": "roberta", "max_position_embeddings": 2}), &["max_position_embeddings", "2"]);
    check(json!({"model_type": "distilbert"}), &["dim", "missing"]);
    check(json!({"model_type": "mpnet", "relative_attention_num_buckets": 1}), &["buckets"]);
    check(json!({"model_type": "nomic_bert", "prenorm": true}), &["prenorm"]);
    check(json!({"model_type": "modernbert", "layer_types": ["full_attention"]}), &["layer_types", "4"]);
}

#[test]
fn positions_begin_where_the_family_has_them() {
    let check = |changes: Value, positions: Option<(usize, usize)>, context: usize| {
        let config = parse(&changes);
        assert_eq!((config.positions, config.context), (positions, context), "{changes}");
    };
    check(json!({}), Some((514, 0)), 514);
    check(json!({"model_type": "roberta"}), Some((514, 2)), 512);
    check(json!({"model_type": "xlm-roberta", "pad_token_id": 3}), Some((514, 4)), 510);
    check(json!({"model_type": "nomic_bert"}), None, 514);
}

#[test]
fn windows_and_rotation_differ_by_layer() {
    let check = |changes: Value, expected: [Option<usize>; 4]| {
        let config = parse(&changes);
        let found: Vec<_> = config.layers.iter().map(|layer| layer.reach).collect();
        assert_eq!(found, expected, "{changes}");
        let bases: Vec<_> =
            config.layers.iter().map(|layer| layer.rope.map(|rope| config.ropes[rope].base)).collect();
        let by_reach = |reach: &Option<usize>| Some(if reach.is_some() { 1e4 } else { 1.6e5 });
        assert_eq!(bases, expected.iter().map(by_reach).collect::<Vec<_>>(), "{changes}");
    };
    check(json!({"model_type": "modernbert"}), [None, Some(64), Some(64), None]);
    check(
        json!({"model_type": "modernbert", "global_attn_every_n_layers": 2, "local_attention": 10}),
        [None, Some(5), None, Some(5)],
    );
    let kinds = ["sliding_attention", "full_attention", "sliding_attention", "full_attention"];
    check(json!({"model_type": "modernbert", "layer_types": kinds}), [Some(64), None, Some(64), None]);
}

#[test]
fn both_ways_to_write_a_nomic_config_mean_the_same() {
    let old = json!({"model_type": "nomic_bert", "n_embd": 64, "n_layer": 2, "n_head": 4, "n_inner": 128,
        "vocab_size": 100, "n_positions": 256, "layer_norm_epsilon": 1e-12, "activation_function": "swiglu",
        "rotary_emb_base": 1000, "rotary_emb_fraction": 1.0});
    let new = json!({"model_type": "nomic_bert", "hidden_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "intermediate_size": 128, "vocab_size": 100, "max_position_embeddings": 256,
        "layer_norm_eps": 1e-12, "hidden_act": "silu",
        "rope_parameters": {"rope_type": "default", "rope_theta": 1000.0}});
    let texts = [old, new].map(|config| format!("{:?}", ModelConfig::parse(&config).unwrap()));
    assert_eq!(texts[0], texts[1]);
}
