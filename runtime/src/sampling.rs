//! From a row of logits to a token, on the host and alike for every engine.
//!
//! The order is fixed: logit bias, penalties, greedy if the temperature is zero, then top-k, typical, top-p, min-p,
//! temperature, draw. The result is a function of the logits, the tokens seen and (seed, choice, position) alone;
//! ties go to the lower token.

mod filter;
pub mod grammar;
mod params;
mod penalty;
mod random;
#[cfg(test)]
mod tests;

pub use params::{SamplingError, SamplingParams};

use crate::engine::TokenId;
use filter::Candidate;
use penalty::Penalties;

/// Chooses the tokens of one sequence.
#[derive(Debug)]
pub struct Sampler {
    params: SamplingParams,
    choice: u32,
    penalties: Penalties,
    candidates: Vec<Candidate>,
}

/// A row of logits from which no token can be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SampleError {
    /// Every logit is NaN or minus infinity: the engine computed nonsense, or everything is banned.
    #[error(
        "no token can be chosen at position {position}: all {vocabulary} logits are NaN or minus infinity; \
         the model file may be damaged"
    )]
    NoCandidate {
        /// The position that was asked for.
        position: u32,
        /// Width of the row of logits.
        vocabulary: usize,
    },
}

impl Sampler {
    /// A sampler for one choice of a request, for rows of `vocabulary` logits. Fails if `params` are out of range.
    pub fn new(params: SamplingParams, choice: u32, vocabulary: u32) -> Result<Self, SamplingError> {
        params.validate(vocabulary)?;
        let penalties = Penalties::new(&params);
        Ok(Self { params, choice, penalties, candidates: Vec::new() })
    }

    /// Lets the repetition penalty see the prompt. Called once, before the first [`accept`](Self::accept).
    pub fn observe_prompt(&mut self, prompt: &[TokenId]) {
        self.penalties.observe_prompt(prompt);
    }

    /// Chooses the token at `position` of the completion. `logits` are changed in place; the choice is not
    /// remembered before [`accept`](Self::accept) says so.
    pub fn sample(&mut self, logits: &mut [f32], position: u32) -> Result<TokenId, SampleError> {
        for &(token, bias) in &self.params.logit_bias {
            if let Some(logit) = logits.get_mut(token.0 as usize) {
                *logit += bias;
            }
        }
        self.penalties.apply(logits);
        let chosen = if self.params.temperature == 0.0 {
            greedy(logits)
        } else {
            let uniform = random::uniform(self.params.seed, self.choice, position);
            self.filter(logits);
            filter::draw(&mut self.candidates, self.params.temperature, uniform)
        };
        chosen.ok_or(SampleError::NoCandidate { position, vocabulary: logits.len() })
    }

    /// Remembers a token of the completion, sampled or replayed, for the penalties.
    pub fn accept(&mut self, token: TokenId) {
        self.penalties.accept(token);
    }

    fn filter(&mut self, logits: &[f32]) {
        filter::collect(logits, &mut self.candidates);
        if self.params.top_k > 0 {
            filter::top_k(&mut self.candidates, self.params.top_k as usize);
        }
        if let Some(p) = self.params.typical_p.filter(|p| *p < 1.0) {
            filter::typical(&mut self.candidates, p);
        }
        if let Some(p) = self.params.top_p.filter(|p| *p < 1.0) {
            filter::top_p(&mut self.candidates, p);
        }
        if let Some(p) = self.params.min_p.filter(|p| *p > 0.0) {
            filter::min_p(&mut self.candidates, p);
        }
    }
}

/// The token of the largest logit, the lowest of equals; none if no logit counts.
fn greedy(logits: &[f32]) -> Option<TokenId> {
    let mut best = None;
    let mut highest = f32::NEG_INFINITY;
    for (token, &logit) in logits.iter().enumerate() {
        // A NaN compares false and never wins.
        if logit > highest {
            highest = logit;
            best = Some(TokenId(token as u32));
        }
    }
    best
}
