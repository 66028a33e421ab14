//! Mirostat (Basu et al. 2021, <https://arxiv.org/abs/2007.14966>): candidates are cut so that the surprise of what is
//! chosen stays near a target.
//!
//! The bound, mu, moves with every token by how surprising that token was, so it is a function of the tokens and of
//! their logits. A sequence that goes on with another worker's tokens has no logits for them, therefore those of the
//! resumed tokens are computed again and shown to [`learn`](Mirostat::learn)
//! (docs/adr/0013-samplers-that-remember-logits.md).

use impetus_proto::worker;

use super::{
    candidate::{self, Candidate},
    filter,
};

/// How many of the most probable tokens version 1 estimates the distribution's exponent from; the paper's choice.
const ESTIMATED_FROM: usize = 100;

/// What a request asks of mirostat.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MirostatParams {
    /// 1 or 2.
    pub version: u32,
    /// The surprise aimed at, in bits.
    pub tau: f32,
    /// How fast the bound follows.
    pub eta: f32,
}

/// The state of one sequence.
#[derive(Debug)]
pub(super) struct Mirostat {
    params: MirostatParams,
    /// The most surprise that is allowed, in bits.
    mu: f64,
}

impl Mirostat {
    pub(super) fn new(params: MirostatParams) -> Self {
        Self { params, mu: 2.0 * f64::from(params.tau) }
    }

    /// Cuts `candidates` of a row of `vocabulary` logits: version 1 keeps so many of the most probable as it estimates
    /// to have the surprise mu, version 2 those that are no more surprising than mu.
    pub(super) fn cut(&self, candidates: &mut Vec<Candidate>, vocabulary: usize) {
        match self.params.version {
            1 => filter::top_k(candidates, self.count(candidates, vocabulary)),
            _ => filter::at_most(candidates, self.mu * std::f64::consts::LN_2),
        }
    }

    /// Moves the bound by the surprise of `token` among the `candidates` left; one that is none of them was chosen
    /// by somebody else and moves nothing.
    pub(super) fn learn(&mut self, candidates: &[Candidate], token: u32) {
        let Some(chosen) = candidates.iter().find(|candidate| candidate.token == token) else { return };
        let surprise = candidate::information(candidates, chosen) / std::f64::consts::LN_2;
        self.mu -= f64::from(self.params.eta) * (surprise - f64::from(self.params.tau));
    }

    /// Version 1: how many candidates a distribution by Zipf's law needs to have the surprise mu (algorithm 1).
    fn count(&self, candidates: &[Candidate], vocabulary: usize) -> usize {
        let best = candidate::best(candidates, ESTIMATED_FROM);
        let (mut products, mut squares) = (0.0, 0.0);
        for (idx, pair) in best.windows(2).enumerate() {
            let t = ((idx + 2) as f64 / (idx + 1) as f64).ln();
            products += t * f64::from(pair[0] - pair[1]);
            squares += t * t;
        }
        if squares == 0.0 {
            return 1;
        }
        let exponent = products / squares;
        let epsilon = exponent - 1.0;
        let log_size = (vocabulary as f64).ln();
        // epsilon / (1 - N^-epsilon), which is 1 / ln(N) where epsilon is nothing.
        let scale =
            if epsilon.abs() < 1e-9 { 1.0 / log_size } else { epsilon / -(-epsilon * log_size).exp_m1() };
        let count = (scale * self.mu.exp2()).powf(1.0 / exponent);
        // Saturates; what is no number is zero.
        (count as usize).max(1)
    }
}

impl From<&worker::Mirostat> for MirostatParams {
    fn from(wire: &worker::Mirostat) -> Self {
        Self { version: wire.version, tau: wire.tau, eta: wire.eta }
    }
}
