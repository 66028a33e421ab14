//! A mixture of experts on a device (arXiv:2101.03961). The router's choice is made by the processor: which rows go to
//! which expert decides what is computed.

use candle_core::{Result, Tensor};
use candle_nn::ops::sigmoid;

use super::{Loader, layer::Gated, linear::Linear};
use crate::{
    config::{ExpertNames, Experts},
    decoder::{GatedNames, PROJECTIONS, choose},
    error::ModelError,
};

/// A router and its experts.
pub(super) struct MixtureOfExperts {
    router: Linear,
    experts: Vec<Gated>,
    /// The expert of all tokens, and the gate that weighs it.
    shared: Option<(Gated, Linear)>,
    per_token: usize,
    normalised: bool,
}

impl MixtureOfExperts {
    pub(super) fn load(
        loader: &Loader,
        layer: &str,
        experts: &Experts,
    ) -> std::result::Result<Self, ModelError> {
        let (prefix, names) = match experts.names {
            ExpertNames::Mixtral => {
                (format!("{layer}.block_sparse_moe"), GatedNames { gate: "w1", up: "w3", down: "w2" })
            }
            ExpertNames::Qwen => (format!("{layer}.mlp"), PROJECTIONS),
        };
        let plain = |name: &str, rows| {
            loader.linear(&[(format!("{prefix}.{name}"), rows)], loader.config.width, false)
        };
        let shared = match experts.shared_width {
            None => None,
            Some(width) => {
                let expert = Gated::load(loader, &format!("{prefix}.shared_expert"), &PROJECTIONS, width)?;
                Some((expert, plain("shared_expert_gate", 1)?))
            }
        };
        let expert = |idx| Gated::load(loader, &format!("{prefix}.experts.{idx}"), &names, experts.width);
        Ok(Self {
            router: plain("gate", experts.count)?,
            experts: (0..experts.count).map(expert).collect::<std::result::Result<_, _>>()?,
            shared,
            per_token: experts.per_token,
            normalised: experts.normalised,
        })
    }

    pub(super) fn bytes(&self) -> u64 {
        let shared = self.shared.as_ref().map_or(0, |(expert, gate)| expert.bytes() + gate.bytes());
        self.router.bytes() + shared + self.experts.iter().map(Gated::bytes).sum::<u64>()
    }

    pub(super) fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        let mut outputs = match &self.shared {
            None => rows.zeros_like()?,
            Some((expert, gate)) => expert.forward(rows)?.broadcast_mul(&sigmoid(&gate.forward(rows)?)?)?,
        };
        let mut sent: Vec<(Vec<u32>, Vec<f32>)> = vec![Default::default(); self.experts.len()];
        for (row, logits) in self.router.forward(rows)?.to_vec2::<f32>()?.iter().enumerate() {
            for (expert, share) in choose(logits, self.per_token, self.normalised) {
                sent[expert].0.push(row as u32);
                sent[expert].1.push(share);
            }
        }
        for (expert, (places, shares)) in self.experts.iter().zip(sent) {
            if places.is_empty() {
                continue;
            }
            let shares = Tensor::from_slice(&shares, (shares.len(), 1), rows.device())?;
            let places = Tensor::new(places, rows.device())?;
            let said = expert.forward(&rows.index_select(&places, 0)?)?.broadcast_mul(&shares)?;
            outputs = outputs.index_add(&places, &said, 0)?;
        }
        Ok(outputs)
    }
}
