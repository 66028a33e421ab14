//! Folders with random weights, for tests.

use std::{collections::HashMap, path::Path};

use candle_core::{Device, Tensor};
use tempfile::TempDir;

use crate::error::ModelError;

/// What is particular to each family of decoders, for a `config.json` of four layers and heads of eight.
pub(crate) const FAMILIES: [&str; 13] = [
    r#"{"model_type": "llama", "rope_scaling": {"rope_type": "llama3", "factor": 8.0,
        "original_max_position_embeddings": 16}}"#,
    r#"{"model_type": "mistral"}"#,
    r#"{"model_type": "qwen2", "use_sliding_window": true, "max_window_layers": 2}"#,
    r#"{"model_type": "qwen3"}"#,
    r#"{"model_type": "smollm3", "no_rope_layers": [1, 1, 1, 0]}"#,
    r#"{"model_type": "phi3", "rope_scaling": {"type": "longrope", "short_factor": [1, 2, 3, 4],
        "long_factor": [2, 3, 4, 5]}, "original_max_position_embeddings": 32}"#,
    r#"{"model_type": "granite", "embedding_multiplier": 2.0, "residual_multiplier": 0.5}"#,
    r#"{"model_type": "gemma"}"#,
    r#"{"model_type": "gemma2"}"#,
    r#"{"model_type": "gemma3_text"}"#,
    r#"{"model_type": "mixtral", "num_local_experts": 5, "num_experts_per_tok": 2}"#,
    r#"{"model_type": "qwen2_moe", "num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
        "shared_expert_intermediate_size": 24}"#,
    r#"{"model_type": "qwen3_moe", "num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 16,
        "shared_expert_intermediate_size": 24}"#,
];

/// A folder with the weights that `load` asks for. What is asked for is learnt from the loader's complaints: first a
/// tensor is missing, then it has another shape than it should have.
pub(crate) fn random_folder<T>(load: impl Fn(&Path) -> Result<T, ModelError>) -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let mut tensors = HashMap::from([("none".to_owned(), random(&[1]))]);
    loop {
        candle_core::safetensors::save(&tensors, place.path().join("model.safetensors")).unwrap();
        match load(place.path()) {
            Ok(_) => return place,
            Err(ModelError::MissingTensor { name, .. }) => tensors.insert(name, random(&[1])),
            Err(ModelError::Shape { name, expected, .. }) => tensors.insert(name, random(&expected)),
            Err(error) => panic!("{error}"),
        };
    }
}

fn random(shape: &[usize]) -> Tensor {
    let spread = if shape.len() == 1 { 0.3 } else { 1.5 / (shape[shape.len() - 1] as f32).sqrt() };
    Tensor::randn(0.1_f32, spread, shape, &Device::Cpu).unwrap()
}
