//! The decoder on candle's tensors, wherever candle can have them: what computes on GPUs. The processor has kernels of
//! its own and uses this in tests alone, which hold what a GPU would be told against what those give.
//!
//! Weights stay in the file's type and on the device, as do keys and values; a step sends its tokens there and
//! gets the wanted logits back. Weights are multiplied in their type, everything else is F32.

mod attention;
mod cache;
mod choice;
mod experts;
mod layer;
mod linear;
#[cfg(test)]
mod tests;

use candle_core::{DType, Device, Result, Tensor};
use impetus_runtime::engine::{Progress, StepError};

use self::{
    attention::Rotation,
    layer::Layer,
    linear::{Linear, Norm},
};
pub(crate) use self::{cache::DeviceCache, choice::DeviceChoice};
use crate::{
    config::DecoderConfig,
    decoder::{OUTPUTS, PREFIXES},
    engine::Decode,
    error::{ModelError, words},
    plan::Plan,
    weights::Weights,
};

/// A decoder's weights on a device.
pub(crate) struct DeviceDecoder {
    device: Device,
    embedding: Tensor,
    layers: Vec<Layer>,
    norm: Norm,
    output: Linear,
    rotations: Vec<Rotation>,
    embedding_scale: Option<f64>,
    logits_divisor: Option<f64>,
    final_soft_cap: Option<f64>,
    bytes: u64,
}

/// Where tensors are loaded from, and to.
struct Loader<'a> {
    weights: &'a Weights,
    device: &'a Device,
    config: &'a DecoderConfig,
}

impl DeviceDecoder {
    /// Loads a decoder for slots of `context_tokens` to `device`.
    pub(crate) fn load(
        config: &DecoderConfig,
        weights: &Weights,
        device: &Device,
        context_tokens: usize,
        progress: &Progress,
    ) -> std::result::Result<Self, ModelError> {
        let prefix = weights.prefix_of("embed_tokens.weight", &PREFIXES)?;
        let loader = Loader { weights, device, config };
        let name = format!("{prefix}embed_tokens");
        let embedding = loader.tensor(&format!("{name}.weight"), &[config.vocabulary, config.width])?;
        let mut layers = Vec::new();
        for (idx, layer) in config.layers.iter().enumerate() {
            layers.push(Layer::load(&loader, &format!("{prefix}layers.{idx}"), layer)?);
            progress.report((idx + 1) as f32 / (config.layers.len() + 1) as f32);
        }
        let norm = loader.norm(&format!("{prefix}norm"), config.width)?;
        let (output, output_bytes) = if config.tied {
            (Linear::of(embedding.clone(), None), 0)
        } else {
            let has_weight = |name: &&str| weights.has(&format!("{name}.weight"));
            let name = OUTPUTS.into_iter().find(has_weight).unwrap_or(OUTPUTS[0]);
            let output = loader.linear(&[(name.to_owned(), config.vocabulary)], config.width, false)?;
            let bytes = output.bytes();
            (output, bytes)
        };
        let rotations = config.ropes.iter().map(|rope| Rotation::new(rope, context_tokens)).collect();
        let bytes = linear::bytes(&embedding) + output_bytes + layers.iter().map(Layer::bytes).sum::<u64>();
        progress.report(1.0);
        Ok(Self {
            device: device.clone(),
            embedding,
            layers,
            norm,
            output,
            rotations,
            embedding_scale: config.embedding_scale,
            logits_divisor: config.logits_divisor,
            final_soft_cap: config.final_soft_cap,
            bytes,
        })
    }

    /// Bytes of all weights as they are held.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where the weights are.
    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    fn forward(&self, plan: &Plan, cache: &mut DeviceCache) -> Result<Vec<f32>> {
        let tokens = Tensor::new(plan.tokens.as_slice(), &self.device)?;
        let mut stream = self.embedding.index_select(&tokens, 0)?.to_dtype(DType::F32)?;
        if let Some(scale) = self.embedding_scale {
            stream = (stream * scale)?;
        }
        let angles = self.rotations.iter().map(|rotation| rotation.angles(&plan.positions, &self.device));
        let angles = angles.collect::<Result<Vec<_>>>()?;
        for (idx, layer) in self.layers.iter().enumerate() {
            stream = layer.forward(&stream, plan, &angles, (cache, idx))?;
        }
        if plan.wanted.is_empty() {
            return Ok(Vec::new());
        }
        let wanted: Vec<u32> = plan.wanted.iter().map(|&row| row as u32).collect();
        let wanted = stream.index_select(&Tensor::new(wanted, &self.device)?, 0)?;
        let mut logits = self.output.forward(&self.norm.forward(&wanted)?)?;
        if let Some(divisor) = self.logits_divisor {
            logits = (logits / divisor)?;
        }
        if let Some(cap) = self.final_soft_cap {
            logits = ((logits / cap)?.tanh()? * cap)?;
        }
        logits.flatten_all()?.to_vec1()
    }
}

impl Decode for DeviceDecoder {
    type Cache = DeviceCache;

    fn decode(&self, plan: &Plan, cache: &mut DeviceCache) -> std::result::Result<Vec<f32>, StepError> {
        self.forward(plan, cache).map_err(|error| {
            let reason = words(&error);
            // Nothing was committed: the slots still hold what they held.
            if is_memory(&reason) { StepError::KvFull } else { StepError::Fatal { reason } }
        })
    }
}

/// Whether the driver's words mean that the device's memory is used up.
fn is_memory(words: &str) -> bool {
    let words = words.to_ascii_lowercase();
    ["out of memory", "out_of_memory", "outofmemory"].iter().any(|known| words.contains(known))
}
