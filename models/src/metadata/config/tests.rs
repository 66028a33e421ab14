//! Settings of real families are understood; what no model has is named.

use proptest::prelude::*;

use super::*;

fn settings(json: &str) -> Settings {
    Settings::read(json.as_bytes(), &Config::KEYS).unwrap()
}

fn config(json: &str) -> Config {
    Config { model: settings(json), ..Config::default() }
}

fn describe(config: &Config) -> Result<Metadata, Broken> {
    let weights = Weights {
        quantization: Some("BF16".to_owned()),
        parameters: 1_000,
        bytes: 2_000,
        tensors: Some(200),
        embeds: false,
        ranks: false,
    };
    Metadata::from_config(config, &weights)
}

/// Layers, heads, KV heads, lengths of key and value, embedding, context, vocabulary.
fn shape(metadata: &Metadata) -> ([u32; 7], Option<u32>) {
    let Metadata { layers, heads, kv_heads, key_length, value_length, embedding_length, .. } = *metadata;
    let shape =
        [layers, heads, kv_heads, key_length, value_length, embedding_length, metadata.context_tokens];
    (shape, metadata.vocabulary)
}

#[test]
fn a_decoder_is_described() {
    let config = Config {
        tokenizer: Settings::read(
            &br#"{"chat_template": "{{ messages }}", "model_max_length": 1e30}"#[..],
            &Config::TOKENIZER_KEYS,
        )
        .unwrap(),
        ..config(
            r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": 16,
                "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 2048, "head_dim": 64,
                "max_position_embeddings": 131072, "vocab_size": 128256, "torch_dtype": "bfloat16"}"#,
        )
    };
    let metadata = describe(&config).unwrap();
    assert_eq!(metadata.architecture, "llama");
    assert_eq!((metadata.task, metadata.quantization.as_str()), (Task::Generate, "BF16"));
    assert_eq!((metadata.parameters, metadata.tensor_bytes), (1_000, 2_000));
    assert_eq!(shape(&metadata), ([16, 32, 8, 64, 64, 2048, 131_072], Some(128_256)));
    assert_eq!(metadata.chat_template.as_deref(), Some("{{ messages }}"));
    assert_eq!(config.dtype(), Some("BF16"));
}

#[test]
fn families_name_things_differently() {
    fn check(json: &str, expected: [u32; 7]) {
        assert_eq!(shape(&describe(&config(json)).unwrap()).0, expected, "{json}");
    }
    check(
        r#"{"model_type": "gpt2", "n_layer": 12, "n_head": 12, "n_embd": 768, "n_positions": 1024}"#,
        [12, 12, 12, 64, 64, 768, 1024],
    );
    check(
        r#"{"model_type": "gemma3", "text_config": {"num_hidden_layers": 4, "num_attention_heads": 8,
            "num_key_value_heads": 1, "head_dim": 256, "hidden_size": 640}, "hidden_size": 9,
            "max_position_embeddings": 32768}"#,
        [4, 8, 1, 256, 256, 640, 32_768],
    );
    check(
        r#"{"model_type": "falcon", "multi_query": true, "num_attention_heads": 71, "num_kv_heads": 71,
            "hidden_size": 4544}"#,
        [0, 71, 1, 64, 64, 4544, 0],
    );
    check(
        r#"{"model_type": "falcon", "multi_query": true, "new_decoder_architecture": true,
            "num_attention_heads": 128, "num_kv_heads": 8, "hidden_size": 8192}"#,
        [0, 128, 8, 64, 64, 8192, 0],
    );
    check(
        r#"{"model_type": "deepseek_v2", "num_attention_heads": 16, "hidden_size": 2048,
            "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128}"#,
        [0, 16, 16, 192, 128, 2048, 0],
    );
    check(
        r#"{"model_type": "t5", "num_layers": 6, "num_heads": 8, "d_kv": 64, "d_model": 512}"#,
        [6, 8, 8, 64, 64, 512, 0],
    );
    check(
        r#"{"model_type": "openelm", "num_attention_heads": [12, 16], "num_key_value_heads": [3, 4, 1]}"#,
        [0, 16, 4, 0, 0, 0, 0],
    );
    check(
        r#"{"model_type": "x", "num_hidden_layers": 2.0, "hidden_size": null, "head_dim": "big"}"#,
        [2, 0, 0, 0, 0, 0, 0],
    );
}

#[test]
fn what_a_token_goes_through_is_summed_up() {
    fn check(json: &str, expected: u32) {
        assert_eq!(describe(&config(json)).unwrap().feed_forward_length, expected, "{json}");
    }
    check(r#"{"model_type": "x"}"#, 0);
    check(r#"{"model_type": "x", "intermediate_size": 100}"#, 100);
    check(r#"{"model_type": "x", "intermediate_size": [10, 90, 20]}"#, 90);
    check(r#"{"model_type": "mixtral", "intermediate_size": 100, "num_experts_per_tok": 2}"#, 200);
    let qwen = r#"{"model_type": "qwen3_moe", "intermediate_size": 100, "moe_intermediate_size": 30,
        "num_experts_per_tok": 8}"#;
    check(qwen, 240);
}

#[test]
fn genai_settings_are_understood() {
    let genai = settings(
        r#"{"model": {"type": "phi3", "context_length": 4096, "vocab_size": 32064, "decoder":
            {"filename": "model.onnx", "num_hidden_layers": 32, "num_attention_heads": 32,
             "num_key_value_heads": 32, "head_size": 96, "hidden_size": 3072}}}"#,
    );
    let config = Config { genai, ..Config::default() };
    assert!(config.is_model());
    assert_eq!(config.decoder_file(), Some("model.onnx"));
    let metadata = describe(&config).unwrap();
    assert_eq!(metadata.architecture, "phi3");
    assert_eq!(shape(&metadata), ([32, 32, 32, 96, 96, 3072, 4096], Some(32_064)));
}

#[test]
fn embedding_models_are_told() {
    let json = r#"{"model_type": "xlm-roberta", "architectures": ["XLMRobertaModel"],
        "max_position_embeddings": 514}"#;
    let metadata = describe(&config(json)).unwrap();
    assert_eq!((metadata.task, metadata.context_tokens), (Task::Embed, 512));
    let sentence = Settings::read(&br#"{"max_seq_length": 256}"#[..], &Config::SENTENCE_KEYS).unwrap();
    let metadata = describe(&Config { sentence, ..config(json) }).unwrap();
    assert_eq!(metadata.context_tokens, 256);
    let causal = r#"{"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"]}"#;
    assert_eq!(describe(&config(causal)).unwrap().task, Task::Generate);
    assert_eq!(describe(&Config { pools: true, ..config(causal) }).unwrap().task, Task::Embed);
}

#[test]
fn cross_encoders_are_told() {
    let json = r#"{"model_type": "xlm-roberta", "architectures": ["XLMRobertaForSequenceClassification"],
        "max_position_embeddings": 514}"#;
    let metadata = describe(&config(json)).unwrap();
    assert_eq!((metadata.task, metadata.context_tokens), (Task::Rerank, 512));
    let tokenizer = Settings::read(&br#"{"model_max_length": 256}"#[..], &Config::TOKENIZER_KEYS).unwrap();
    let metadata = describe(&Config { tokenizer, ..config(json) }).unwrap();
    assert_eq!(metadata.context_tokens, 256);
    assert_eq!(describe(&Config { pools: true, ..config(json) }).unwrap().task, Task::Embed);
}

#[test]
fn quantizations_are_named() {
    fn check(json: &str, expected: Option<(&str, Option<u64>)>) {
        let found = config(json).quantization();
        let found = found.as_ref().map(|quantization| (quantization.name.as_str(), quantization.bits));
        assert_eq!(found, expected, "{json}");
    }
    check(r#"{"quantization": {"group_size": 64, "bits": 4}}"#, Some(("MLX 4-bit", Some(4))));
    check(
        r#"{"quantization": {"bits": 8}, "quantization_config": {"bits": 8}}"#,
        Some(("MLX 8-bit", Some(8))),
    );
    check(r#"{"quantization_config": {"quant_method": "gptq", "bits": 4}}"#, Some(("GPTQ 4-bit", Some(4))));
    check(
        r#"{"quantization_config": {"quant_method": "bitsandbytes", "load_in_8bit": true}}"#,
        Some(("BITSANDBYTES 8-bit", Some(8))),
    );
    check(r#"{"quantization_config": {"quant_method": "fp8"}}"#, Some(("FP8", None)));
    check(r#"{"quantization_config": {"quant_method": "a b"}}"#, None);
    check(r#"{"quantization": {"bits": 1e9}}"#, Some(("MLX", None)));
    check("{}", None);
}

#[test]
fn the_default_template_is_taken() {
    fn check(json: &str, expected: Option<&str>) {
        let tokenizer = Settings::read(json.as_bytes(), &Config::TOKENIZER_KEYS).unwrap();
        let config = Config { tokenizer, ..config(r#"{"model_type": "x"}"#) };
        assert_eq!(describe(&config).unwrap().chat_template.as_deref(), expected);
    }
    check(r#"{"chat_template": "a"}"#, Some("a"));
    check(
        r#"{"chat_template": [{"name": "tools", "template": "t"}, {"name": "default", "template": "d"}]}"#,
        Some("d"),
    );
    check(r#"{"chat_template": [{"name": "tools", "template": "t"}]}"#, Some("t"));
    check(r#"{"chat_template": []}"#, None);
    check(r#"{"chat_template": 1}"#, None);
    check("{}", None);

    let read = |json: &str| Settings::read(json.as_bytes(), &Config::TOKENIZER_KEYS).unwrap();
    let mut config = Config {
        tokenizer: read(r#"{"chat_template": "t"}"#),
        templates: read(r#"{"chat_template": "j"}"#),
        ..config(r#"{"model_type": "x"}"#)
    };
    assert_eq!(describe(&config).unwrap().chat_template.as_deref(), Some("j"));
    config.template = Some("own".to_owned());
    assert_eq!(describe(&config).unwrap().chat_template.as_deref(), Some("own"));
}

#[test]
fn what_no_model_has_is_broken() {
    fn check(json: &str, expected: &str) {
        let message = describe(&config(json)).unwrap_err().to_string();
        assert!(message.contains(expected), "{message:?} lacks {expected:?}");
    }
    let with = |key: &str, value: &str| format!(r#"{{"model_type": "x", "{key}": {value}}}"#);
    check(r#"{"model_type": "a b"}"#, "\"model_type\" is not a short name");
    check(&format!(r#"{{"model_type": "{}"}}"#, "x".repeat(65)), "is not a short name");
    check(&with("num_hidden_layers", "10001"), "\"num_hidden_layers\" in config.json is 10001; 0 to 10000");
    check(&with("num_hidden_layers", "-1"), "is -1");
    check(&with("num_hidden_layers", "1.5"), "is 1.5");
    check(&with("num_hidden_layers", "201"), "201 layers are declared, but there are only 200 tensors");
    check(&with("num_attention_heads", "65537"), "is 65537");
    check(&with("num_attention_heads", "[4, -4]"), "is -4");
    check(&with("hidden_size", "18446744073709551615"), "is 18446744073709552000");
    check(&with("hidden_size", "1e300"), "0 to 16777216");
    check(&with("head_dim", "16777217"), "is 16777217");
    check(&with("max_position_embeddings", "4294967296"), "is 4294967296");
    check(&with("vocab_size", "67108865"), "is 67108865");
    let json = r#"{"model_type": "x", "num_attention_heads": 4, "num_key_value_heads": 5}"#;
    check(json, "is 5; no more than there are attention heads");
}

proptest! {
    #[test]
    fn whatever_is_set_stays_within_bounds(
        values in prop::collection::btree_map(prop::sample::select(&Config::KEYS[..]), value(), 1..12),
    ) {
        let settings: Vec<String> = values.iter().map(|(key, value)| format!("\"{key}\": {value}")).collect();
        let config = config(&format!("{{{}, \"model_type\": \"x\"}}", settings.join(", ")));
        if let Ok(metadata) = describe(&config) {
            prop_assert!(u64::from(metadata.layers) <= bounds::LAYERS);
            prop_assert!(u64::from(metadata.heads) <= bounds::HEADS);
            prop_assert!(metadata.heads == 0 || metadata.kv_heads <= metadata.heads);
            prop_assert!(u64::from(metadata.key_length) <= 2 * bounds::LENGTH);
            prop_assert!(u64::from(metadata.value_length) <= bounds::LENGTH);
            prop_assert!(!metadata.architecture.is_empty());
        }
    }
}

/// Values at which numbers go wrong, and such as are none; most are small numbers.
fn value() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        16 => 0i64..100,
        1 => Just(-1),
        1 => Just(1 << 24),
        1 => Just(u32::MAX.into()),
        1 => any::<i64>(),
    ];
    let words = ["true", "null", "{}", "[]", "\"a.b\"", "\"a b\"", "1e30", "0.5", "{\"hidden_size\": 7}"];
    prop_oneof![
        8 => number.clone().prop_map(|number| number.to_string()),
        1 => prop::collection::vec(number, 0..4).prop_map(|numbers| format!("{numbers:?}")),
        1 => prop::sample::select(words.to_vec()).prop_map(str::to_owned),
    ]
}
