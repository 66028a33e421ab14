//! The bundled model as a Hugging Face folder, and engines over it.

use std::{collections::BTreeMap, path::Path};

use impetus_runtime::engine::{Backend, Model, ModelSpec, Progress};
use impetus_worker_candle::Candle;
use serde_json::json;
use tempfile::TempDir;

/// A folder with the bundled weights, tokenizer and template, and the settings that the exporter writes.
pub(crate) fn folder() -> TempDir {
    let place = tempfile::tempdir().expect("a folder can be made");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundled/tiny");
    for (from, to) in [
        ("impetus-tiny-safetensors/model.safetensors", "model.safetensors"),
        ("tokenizer.json", "tokenizer.json"),
        ("chat_template.jinja", "chat_template.jinja"),
    ] {
        std::fs::copy(source.join(from), place.path().join(to)).expect("the bundled model is there");
    }
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 256,
        "intermediate_size": 512, "num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2,
        "head_dim": 64, "hidden_act": "silu", "max_position_embeddings": 2048, "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0, "rope_scaling": null, "vocab_size": 1024, "tie_word_embeddings": true,
        "bos_token_id": 0, "eos_token_id": 2
    });
    std::fs::write(place.path().join("config.json"), config.to_string()).expect("a file can be written");
    let tokens = json!({"add_bos_token": false, "bos_token": null, "eos_token": "<|im_end|>"});
    std::fs::write(place.path().join("tokenizer_config.json"), tokens.to_string())
        .expect("a file can be written");
    place
}

/// The model in `path`, loaded.
pub(crate) fn load(
    path: &Path,
    (slots, context_tokens): (u32, u32),
    options: &[(&str, &str)],
    progress: impl Fn(f32) + Send + Sync + 'static,
) -> Model {
    let mut backend = Candle::start(2).expect("candle comes up");
    let spec = ModelSpec {
        path: path.to_owned(),
        root: path.to_owned(),
        slots,
        context_tokens,
        threads: 2,
        options: options
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
    };
    backend.load(&spec, &Progress::new(progress)).expect("the model loads")
}
