//! Every family with random weights keeps the laws of the engine seam.

use std::path::Path;

use impetus_runtime::{
    engine::{
        Batch, EmbeddingLimits, Limits, Progress, Rows, SlotId, StepError, TextEngine, TokenId, Want,
        conformance::{Tolerance, check, check_embedding},
    },
    huggingface::{Folder, Pooling},
};
use serde_json::{Value, json};

use crate::{
    config::{DecoderConfig, ModelConfig},
    decoder::{Decoder, KvCache, Trunk},
    engine::{CandleEngine, Embedder, Network},
    error::ModelError,
    option::Options,
    testing::{FAMILIES, random_folder},
    weights::Weights,
};

const CONTEXT_TOKENS: u32 = 64;
const VOCABULARY: u32 = 50;

fn parse(source: &Value) -> DecoderConfig {
    match ModelConfig::parse(source) {
        Ok(ModelConfig::Decoder(config)) => config,
        other => panic!("{other:?}"),
    }
}

fn load(config: &DecoderConfig, source: &Value, path: &Path) -> Result<Decoder, ModelError> {
    let weights = Weights::open(&Folder::open(path, path)?, source, Options::default())?;
    Decoder::load(config, &weights, CONTEXT_TOKENS as usize, &Progress::new(|_| {}))
}

fn keeps_the_laws(changes: &Value) {
    let mut source = json!({"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4,
        "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 48, "vocab_size": VOCABULARY,
        "max_position_embeddings": CONTEXT_TOKENS, "sliding_window": 6});
    for (name, value) in changes.as_object().expect("changes are an object") {
        source[name] = value.clone();
    }
    let config = parse(&source);
    let place = random_folder(|path| load(&config, &source, path));
    let decoder = load(&config, &source, place.path()).unwrap();
    let limits = Limits {
        slots: 4,
        context_tokens: CONTEXT_TOKENS,
        tokens_per_step: 256,
        chunk_rows: 256,
        chunks_per_step: 4,
        vocabulary: VOCABULARY,
    };
    let cache = KvCache::new(4, config.layers.len(), config.kv_heads * config.head_size, 0);
    let mut engine = CandleEngine::new(decoder, cache, limits);
    let prompts: Vec<Vec<TokenId>> = (0..4_u32)
        .map(|n| (0..8 + n * 9).map(|idx| TokenId((idx * 7 + n * 3) % VOCABULARY)).collect())
        .collect();
    let tolerance = Tolerance { batched: 0.0, cut: 1e-4 };
    if let Err(violation) = check(&mut engine, &prompts, tolerance) {
        panic!("{changes}: {violation}");
    }
}

#[test]
fn every_family_keeps_the_laws() {
    for family in FAMILIES {
        keeps_the_laws(&serde_json::from_str(family).unwrap());
    }
}

#[test]
fn hidden_states_make_vectors() {
    let source = json!({"model_type": "qwen3", "hidden_size": 32, "num_hidden_layers": 3,
        "num_attention_heads": 4, "head_dim": 8, "intermediate_size": 48, "vocab_size": VOCABULARY});
    let config = parse(&source);
    let trunk = |path: &Path| {
        let weights = Weights::open(&Folder::open(path, path)?, &source, Options::default())?;
        Trunk::load(&config, &weights, CONTEXT_TOKENS as usize, &Progress::new(|_| {}))
    };
    let place = random_folder(trunk);
    let limits = EmbeddingLimits {
        context_tokens: CONTEXT_TOKENS,
        tokens_per_step: 256,
        inputs_per_step: 4,
        padded: false,
        dimensions: 32,
        vocabulary: VOCABULARY,
    };
    let cache = KvCache::passing(4, config.kv_heads * config.head_size);
    let network = Network::Decoder { trunk: trunk(place.path()).unwrap(), cache };
    let mut engine = Embedder::new(network, Pooling::default(), limits);
    let inputs: Vec<Vec<TokenId>> =
        [3_u32, 20, 1, 64].map(|n| (0..n).map(|idx| TokenId((idx * 7 + n) % VOCABULARY)).collect()).to_vec();
    check_embedding(&mut engine, &inputs, 0.0).unwrap();
}

/// The engine refuses what it cannot compute and keeps what it holds.
#[test]
fn impossible_chunks_are_rejected_by_slot() {
    let source = json!({"model_type": "llama", "hidden_size": 8, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": VOCABULARY});
    let config = parse(&source);
    let place = random_folder(|path| load(&config, &source, path));
    let decoder = load(&config, &source, place.path()).unwrap();
    let limits = Limits {
        slots: 2,
        context_tokens: 4,
        tokens_per_step: 8,
        chunk_rows: 8,
        chunks_per_step: 2,
        vocabulary: VOCABULARY,
    };
    let mut engine = CandleEngine::new(decoder, KvCache::new(2, 1, 8, 64), limits);
    let mut check = |position: u32, tokens: &[u32], expected: &str| {
        let tokens: Vec<_> = tokens.iter().copied().map(TokenId).collect();
        let mut batch = Batch::default();
        batch.push(SlotId(0), 0, &[TokenId(1)], Want::Last);
        batch.push(SlotId(1), position, &tokens, Want::Last);
        match engine.step(&batch, &mut Rows::new(VOCABULARY)) {
            Err(StepError::Rejected { slots, reason }) => {
                assert_eq!(slots, [SlotId(1)]);
                assert!(reason.contains(expected), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    };
    check(1, &[1], "holds 0");
    check(0, &[1, 2, 3, 4, 5], "a slot of 4");
    check(0, &[1, VOCABULARY], "token 50");
}
