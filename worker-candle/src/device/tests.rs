//! What a GPU would be told to compute, computed by candle on the processor: it keeps the laws of the engine seam and
//! agrees with the processor's own kernels.

use std::path::Path;

use candle_core::Device;
use impetus_runtime::{
    engine::{
        Batch, Limits, Progress, Rows, SlotId, TextEngine, TokenId, Want,
        conformance::{Tolerance, check},
    },
    huggingface::Folder,
};
use serde_json::{Value, json};

use super::{DeviceCache, DeviceDecoder};
use crate::{
    config::{DecoderConfig, ModelConfig},
    decoder::{Decoder, KvCache},
    engine::CandleEngine,
    error::ModelError,
    option::Options,
    testing::{FAMILIES, random_folder},
    weights::Weights,
};

const CONTEXT_TOKENS: u32 = 64;
const VOCABULARY: u32 = 50;
const SLOTS: u32 = 4;

/// Both engines on the same random weights.
struct Pair {
    device: CandleEngine<DeviceDecoder>,
    own: CandleEngine<Decoder>,
}

impl Pair {
    fn of(changes: &Value) -> Self {
        let mut source = json!({"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4,
            "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 48, "vocab_size": VOCABULARY,
            "max_position_embeddings": CONTEXT_TOKENS, "sliding_window": 6});
        for (name, value) in changes.as_object().expect("changes are an object") {
            source[name] = value.clone();
        }
        let Ok(ModelConfig::Decoder(config)) = ModelConfig::parse(&source) else { panic!("{source}") };
        let place = random_folder(|path| own(&config, &source, path));
        let weights = weights(&source, place.path()).unwrap();
        let silent = Progress::new(|_| {});
        let decoder =
            DeviceDecoder::load(&config, &weights, &Device::Cpu, CONTEXT_TOKENS as usize, &silent).unwrap();
        let own = own(&config, &source, place.path()).unwrap();
        assert_eq!(decoder.bytes(), own.bytes(), "{changes}");
        let limits = Limits {
            slots: SLOTS,
            context_tokens: CONTEXT_TOKENS,
            tokens_per_step: 256,
            chunk_rows: 256,
            chunks_per_step: SLOTS,
            vocabulary: VOCABULARY,
        };
        let sizes = (SLOTS as usize, CONTEXT_TOKENS as usize);
        let heads = (config.kv_heads, config.head_size);
        let cache = DeviceCache::new(sizes, config.layers.len(), heads, Device::Cpu);
        let own_cache = KvCache::new(sizes.0, config.layers.len(), heads.0 * heads.1, 0);
        Self {
            device: CandleEngine::new(decoder, cache, limits),
            own: CandleEngine::new(own, own_cache, limits),
        }
    }

    /// The largest difference of what both say to the same batch, over the largest logit.
    fn difference(&mut self, batch: &Batch) -> f32 {
        let mut said = [Rows::new(VOCABULARY), Rows::new(VOCABULARY)];
        self.device.step(batch, &mut said[0]).unwrap();
        self.own.step(batch, &mut said[1]).unwrap();
        assert_eq!(said[0].len(), said[1].len());
        let rows = (0..said[0].len()).flat_map(|row| said[0].row(row).iter().zip(said[1].row(row)));
        let (difference, largest) = rows
            .fold((0.0_f32, f32::MIN_POSITIVE), |(difference, largest), (a, b)| {
                (difference.max((a - b).abs()), largest.max(b.abs()))
            });
        difference / largest
    }
}

fn weights(source: &Value, path: &Path) -> Result<Weights, ModelError> {
    Weights::open(&Folder::open(path, path)?, source, Options::default())
}

fn own(config: &DecoderConfig, source: &Value, path: &Path) -> Result<Decoder, ModelError> {
    Decoder::load(config, &weights(source, path)?, CONTEXT_TOKENS as usize, &Progress::new(|_| {}))
}

fn tokens(n: u32, seed: u32) -> Vec<TokenId> {
    (0..n).map(|idx| TokenId((idx * 7 + seed * 3) % VOCABULARY)).collect()
}

#[test]
fn every_family_keeps_the_laws_and_agrees_with_the_kernels() {
    for changes in FAMILIES.iter().map(|family| serde_json::from_str::<Value>(family).unwrap()) {
        let mut pair = Pair::of(&changes);
        let prompts: Vec<Vec<TokenId>> = (0..SLOTS).map(|n| tokens(8 + n * 9, n)).collect();
        if let Err(violation) = check(&mut pair.device, &prompts, Tolerance { batched: 1e-4, cut: 1e-4 }) {
            panic!("{changes}: {violation}");
        }
        for slot in 0..SLOTS {
            pair.device.kv_clear(SlotId(slot));
        }
        let mut batch = Batch::default();
        batch.push(SlotId(0), 0, &prompts[2], Want::All);
        batch.push(SlotId(1), 0, &prompts[0][..3], Want::Last);
        let prompt = pair.difference(&batch);
        batch.clear();
        batch.push(SlotId(1), 3, &prompts[0][3..], Want::Nothing);
        batch.push(SlotId(0), prompts[2].len() as u32, &prompts[1][..1], Want::Last);
        let next = pair.difference(&batch);
        assert!(prompt < 1e-3 && next < 1e-3, "{changes}: {prompt} and {next}");
    }
}

#[test]
fn what_one_has_saved_the_other_goes_on_from() {
    let mut pair = Pair::of(&json!({"model_type": "llama"}));
    let prompt = tokens(20, 1);
    let mut batch = Batch::default();
    batch.push(SlotId(0), 0, &prompt, Want::Last);
    pair.difference(&batch);
    let mut states = [Vec::new(), Vec::new()];
    pair.device.kv_save(SlotId(0), &mut states[0]).unwrap();
    pair.own.kv_save(SlotId(0), &mut states[1]).unwrap();
    assert_eq!(states[0].len(), states[1].len());
    pair.device.kv_load(SlotId(2), &states[1], 20).unwrap();
    pair.own.kv_load(SlotId(2), &states[0], 20).unwrap();
    batch.clear();
    batch.push(SlotId(2), 20, &prompt[..2], Want::All);
    assert!(pair.difference(&batch) < 1e-3);
    assert!(pair.device.kv_load(SlotId(3), &states[0], 19).is_err(), "a state of another size");
}
