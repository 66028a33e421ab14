//! A mixture of experts: each token goes to the few that a router chooses (arXiv:2101.03961).

use std::ops::Range;

use crate::{
    config::{DecoderConfig, ExpertNames, Experts},
    decoder::{GatedNames, PROJECTIONS, gated},
    error::ModelError,
    layer::{FeedForward, Linear, Part, sigmoid},
    plan::Segment,
    weights::Weights,
};

/// A router and its experts.
pub(crate) struct MixtureOfExperts {
    router: Linear,
    experts: Vec<FeedForward>,
    /// The expert of all tokens, and the gate that weighs it.
    shared: Option<(FeedForward, Linear)>,
    per_token: usize,
    normalised: bool,
    width: usize,
}

impl MixtureOfExperts {
    pub(crate) fn load(
        weights: &Weights,
        layer: &str,
        config: &DecoderConfig,
        experts: &Experts,
    ) -> Result<Self, ModelError> {
        let (prefix, names) = match experts.names {
            ExpertNames::Mixtral => {
                (format!("{layer}.block_sparse_moe"), GatedNames { gate: "w1", up: "w3", down: "w2" })
            }
            ExpertNames::Qwen => (format!("{layer}.mlp"), PROJECTIONS),
        };
        // Routing decides by small differences: it is never quantized.
        let exact = |name: &str, rows| {
            Linear::load(weights, &[Part::new(format!("{prefix}.{name}"), rows)], config.width, false, None)
        };
        let shared = match experts.shared_width {
            None => None,
            Some(width) => {
                let name = format!("{prefix}.shared_expert");
                let expert = gated(weights, &name, &PROJECTIONS, config, width)?;
                Some((expert, exact("shared_expert_gate", 1)?))
            }
        };
        Ok(Self {
            router: exact("gate", experts.count)?,
            experts: (0..experts.count)
                .map(|idx| {
                    let name = format!("{prefix}.experts.{idx}");
                    gated(weights, &name, &names, config, experts.width)
                })
                .collect::<Result<_, _>>()?,
            shared,
            per_token: experts.per_token,
            normalised: experts.normalised,
            width: config.width,
        })
    }

    pub(crate) fn bytes(&self) -> u64 {
        let shared = self.shared.as_ref().map_or(0, |(expert, gate)| expert.bytes() + gate.bytes());
        self.router.bytes() + shared + self.experts.iter().map(FeedForward::bytes).sum::<u64>()
    }

    pub(crate) fn forward(&self, inputs: &[f32], segments: &[Segment]) -> candle_core::Result<Vec<f32>> {
        let routes = self.router.forward(inputs, segments)?;
        let mut outputs = self.shared(inputs, segments)?;
        let chosen: Vec<_> = routes
            .chunks_exact(self.experts.len())
            .map(|row| choose(row, self.per_token, self.normalised))
            .collect();
        for segment in segments {
            for idx in 0..self.experts.len() {
                self.send(idx, inputs, segment, &chosen, &mut outputs)?;
            }
        }
        Ok(outputs)
    }

    /// What the shared expert says, or nothing.
    fn shared(&self, inputs: &[f32], segments: &[Segment]) -> candle_core::Result<Vec<f32>> {
        let Some((expert, gate)) = &self.shared else { return Ok(vec![0.0; inputs.len()]) };
        let mut outputs = expert.forward(inputs, segments)?;
        let gates = gate.forward(inputs, segments)?;
        for (row, gate) in outputs.chunks_exact_mut(self.width).zip(gates) {
            let share = sigmoid(gate);
            for value in row {
                *value *= share;
            }
        }
        Ok(outputs)
    }

    /// Adds what expert `idx` says about those of the segment's rows that chose it.
    fn send(
        &self,
        idx: usize,
        inputs: &[f32],
        segment: &Segment,
        chosen: &[Vec<(usize, f32)>],
        outputs: &mut [f32],
    ) -> candle_core::Result<()> {
        let rows: Vec<(usize, f32)> = segment
            .rows
            .clone()
            .filter_map(|row| chosen[row].iter().find(|(e, _)| *e == idx).map(|&(_, share)| (row, share)))
            .collect();
        if rows.is_empty() {
            return Ok(());
        }
        let range = |row: usize| -> Range<usize> { row * self.width..(row + 1) * self.width };
        let gathered: Vec<f32> = rows.iter().flat_map(|&(row, _)| &inputs[range(row)]).copied().collect();
        let alone = Segment { rows: 0..rows.len(), wide: segment.wide };
        let said = self.experts[idx].forward(&gathered, &[alone])?;
        for (&(row, share), said) in rows.iter().zip(said.chunks_exact(self.width)) {
            outputs[range(row)].iter_mut().zip(said).for_each(|(value, said)| *value += share * said);
        }
        Ok(())
    }
}

/// The `per_token` experts of a token by its router's logits, and their shares, which add up to one where they are
/// `normalised`.
pub(crate) fn choose(logits: &[f32], per_token: usize, normalised: bool) -> Vec<(usize, f32)> {
    let largest = logits.iter().fold(f32::NEG_INFINITY, |largest, &logit| largest.max(logit));
    let mut shares: Vec<_> = logits.iter().map(|logit| (logit - largest).exp()).enumerate().collect();
    let sum: f32 = shares.iter().map(|(_, share)| share).sum();
    // Equal shares go to the lower index, as a stable order has it.
    shares.sort_by(|(_, a), (_, b)| b.total_cmp(a));
    shares.truncate(per_token);
    let sum = if normalised { shares.iter().map(|(_, share)| share).sum() } else { sum };
    for (_, share) in &mut shares {
        *share /= sum;
    }
    shares
}
