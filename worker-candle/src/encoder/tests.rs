//! Every family with random weights keeps the law of embedding engines.

use std::path::Path;

use impetus_runtime::{
    engine::{
        EmbeddingEngine, EmbeddingLimits, Progress, StepError, TokenId, Vectors, conformance::check_embedding,
    },
    huggingface::{Folder, Pooling},
};
use serde_json::{Value, json};

use crate::{
    config::{EncoderConfig, ModelConfig},
    encoder::Encoder,
    engine::{Embedder, Network},
    error::ModelError,
    option::Options,
    testing::random_folder,
    weights::Weights,
};

const VOCABULARY: u32 = 50;
const LIMITS: EmbeddingLimits = EmbeddingLimits {
    context_tokens: 100,
    tokens_per_step: 400,
    inputs_per_step: 8,
    padded: false,
    dimensions: 32,
    vocabulary: VOCABULARY,
};

fn parse(source: &Value) -> EncoderConfig {
    match ModelConfig::parse(source) {
        Ok(ModelConfig::Encoder(config)) => config,
        other => panic!("{other:?}"),
    }
}

fn load(config: &EncoderConfig, source: &Value, path: &Path) -> Result<Encoder, ModelError> {
    let weights = Weights::open(&Folder::open(path, path)?, source, Options::default())?;
    Encoder::load(config, &weights, &Progress::new(|_| {}))
}

fn engine(changes: &Value) -> Embedder {
    let mut source = json!({"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4,
        "intermediate_size": 48, "vocab_size": VOCABULARY, "max_position_embeddings": 128});
    for (name, value) in changes.as_object().expect("changes are an object") {
        source[name] = value.clone();
    }
    let config = parse(&source);
    let place = random_folder(|path| load(&config, &source, path));
    let encoder = load(&config, &source, place.path()).unwrap();
    Embedder::new(Network::Encoder(encoder), Pooling::default(), LIMITS)
}

#[test]
fn every_family_keeps_the_law() {
    let inputs: Vec<Vec<TokenId>> = [1, 3, 8, 9, 40, 100, 17]
        .iter()
        .map(|&n: &u32| (0..n).map(|idx| TokenId((idx * 7 + n) % VOCABULARY)).collect())
        .collect();
    for changes in [
        json!({"model_type": "bert"}),
        json!({"model_type": "roberta"}),
        json!({"model_type": "xlm-roberta"}),
        json!({"model_type": "distilbert", "dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 48}),
        json!({"model_type": "mpnet"}),
        json!({"model_type": "nomic_bert"}),
        json!({"model_type": "modernbert", "local_attention": 10, "norm_bias": true}),
    ] {
        if let Err(violation) = check_embedding(&mut engine(&changes), &inputs, 0.0) {
            panic!("{changes}: {violation}");
        }
    }
}

/// The engine refuses what it cannot compute, by the input's place.
#[test]
fn impossible_inputs_are_rejected() {
    let mut engine = engine(&json!({"model_type": "bert", "num_hidden_layers": 1}));
    let mut check = |input: &[TokenId], expected: &str| match engine
        .embed(&[&[TokenId(1)], input], &mut Vectors::new(LIMITS.dimensions))
    {
        Err(StepError::Rejected { slots, reason }) => {
            assert_eq!(slots.iter().map(|slot| slot.0).collect::<Vec<_>>(), [1]);
            assert!(reason.contains(expected), "{reason}");
        }
        other => panic!("{other:?}"),
    };
    check(&[], "0 tokens");
    check(&[TokenId(1); 101], "101 tokens for a model of 100");
    check(&[TokenId(VOCABULARY)], "token 50");
}
