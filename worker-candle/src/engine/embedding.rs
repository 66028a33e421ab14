//! `EmbeddingEngine` on an encoder, or on a decoder whose hidden states are used instead of its logits.

use impetus_runtime::{
    engine::{EmbeddingEngine, EmbeddingLimits, StepError, TokenId, Vectors},
    huggingface::Pooling,
};

use super::input;
use crate::{
    decoder::{KvCache, Trunk},
    encoder::Encoder,
    plan::Plan,
};

/// A network and how its hidden states become vectors.
pub(crate) struct Embedder {
    network: Network,
    pooling: Pooling,
    limits: EmbeddingLimits,
}

/// What computes hidden states.
pub(crate) enum Network {
    /// Each token sees all others.
    Encoder(Encoder),
    /// Each token sees those before it.
    Decoder {
        /// The decoder without its output matrix.
        trunk: Trunk,
        /// A passing cache with a slot for each input of a call.
        cache: KvCache,
    },
}

impl Embedder {
    pub(crate) fn new(network: Network, pooling: Pooling, limits: EmbeddingLimits) -> Self {
        Self { network, pooling, limits }
    }
}

impl EmbeddingEngine for Embedder {
    fn limits(&self) -> EmbeddingLimits {
        self.limits
    }

    fn embed(&mut self, inputs: &[&[TokenId]], vectors: &mut Vectors) -> Result<(), StepError> {
        input::check(self.limits, inputs.iter().copied())?;
        let plan = Plan::of_inputs(inputs);
        let rows =
            self.network.hidden(&plan).map_err(|error| StepError::Fatal { reason: error.to_string() })?;
        let width = self.limits.dimensions as usize;
        let mut vector = vec![0.0; width];
        for chunk in &plan.chunks {
            self.pooling.pool(&rows[chunk.rows.start * width..chunk.rows.end * width], &mut vector);
            vectors.push(&vector);
        }
        Ok(())
    }
}

impl Network {
    /// The last hidden state of each of the plan's rows.
    fn hidden(&mut self, plan: &Plan) -> candle_core::Result<Vec<f32>> {
        match self {
            Self::Encoder(encoder) => encoder.forward(plan),
            Self::Decoder { trunk, cache } => {
                let mut rows = trunk.stream(plan, cache)?;
                trunk.normalise(&mut rows);
                Ok(rows)
            }
        }
    }

    /// Bytes of all weights as they are held.
    pub(crate) fn bytes(&self) -> u64 {
        match self {
            Self::Encoder(encoder) => encoder.bytes(),
            Self::Decoder { trunk, .. } => trunk.layers_bytes() + trunk.embedding_bytes(),
        }
    }

    /// Numbers of one vector.
    pub(crate) fn dimensions(&self) -> usize {
        match self {
            Self::Encoder(encoder) => encoder.width(),
            Self::Decoder { trunk, .. } => trunk.width(),
        }
    }
}
