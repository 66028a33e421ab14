//! From a row of logits to a token, on the host and alike for every engine.
//!
//! The order is fixed: logit bias, repetition, frequency and presence penalties, DRY, the ban of what would end the
//! completion too early, and then whatever constrains the output. The distribution so far is what log probabilities
//! are of: a token that a grammar forces has one of zero, as it has with OpenAI and vLLM. Then the token is
//!
//! - the most probable one, if the temperature is zero and does not vary;
//! - with mirostat, drawn from what that leaves of the distribution at the temperature, without any other filter;
//! - otherwise drawn at the temperature from what top-n-sigma, top-k, typical, top-p, min-p and XTC leave, in this
//!   order. A dynamic temperature is that of what they leave.
//!
//! This is llama.cpp's default order but for three things. Its DRY comes before the other filters as well, but its logit
//! bias and penalties do not apply with mirostat; here they do, since they were asked for. Its dynamic temperature is
//! left out with mirostat; here it is that of the whole distribution. And it constrains the token after it has been
//! chosen, and again if the grammar refuses it; here all that follows sees tokens that are allowed and nothing else.
//!
//! The result is a function of the logits, the tokens seen and (seed, choice, position) alone; ties go to the lower
//! token. XTC draws a number of its own for each position.

mod candidate;
mod dry;
mod filter;
pub mod grammar;
mod logprob;
mod mirostat;
mod params;
mod penalty;
mod random;
mod shortcut;
pub(crate) mod softmax;
mod temperature;
#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use dry::DryParams;
pub use logprob::{MAX_TOP, Score};
pub use mirostat::MirostatParams;
pub use params::{SamplingError, SamplingParams, XtcParams};
pub use temperature::DynamicTemperatureParams;

use crate::engine::{TokenId, Vocabulary};
use candidate::Candidate;
use dry::Dry;
use mirostat::Mirostat;
use penalty::Penalties;

/// The logit of what would end a completion too early: less than any other, and more than that of what a constraint
/// forbids, so that a completion that cannot go on ends all the same.
const BANNED: f32 = -1e30;

/// The largest top-k whose candidates are found without collecting the others first.
const MAX_LISTED: usize = 256;

/// Chooses the tokens of one sequence.
///
/// For each position [`prepare`](Self::prepare), then [`choose`](Self::choose) or, for a token that is given,
/// [`impose`](Self::impose), then [`accept`](Self::accept).
#[derive(Debug)]
pub struct Sampler {
    params: SamplingParams,
    choice: u32,
    penalties: Penalties,
    dry: Option<Dry>,
    mirostat: Option<Mirostat>,
    /// Positions before which `ends` are banned.
    open_tokens: u32,
    ends: Vec<TokenId>,
    candidates: Vec<Candidate>,
    /// Scratch of what draws from a whole row.
    parts: Vec<f64>,
}

/// A token that was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Sampled {
    /// The token.
    pub token: TokenId,
    /// How probable it was, where the request asks.
    pub score: Option<Score>,
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
    /// A sampler for one choice of a request. Fails if `params` are out of range for this vocabulary.
    pub fn new(
        params: SamplingParams,
        choice: u32,
        vocabulary: Arc<dyn Vocabulary>,
    ) -> Result<Self, SamplingError> {
        params.validate(vocabulary.size())?;
        let penalties = Penalties::new(&params);
        let dry = params.dry.clone().filter(|dry| dry.multiplier > 0.0).map(|dry| Dry::new(dry, vocabulary));
        let mirostat = params.mirostat.map(Mirostat::new);
        let (ends, candidates, parts) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { params, choice, penalties, dry, mirostat, open_tokens: 0, ends, candidates, parts })
    }

    /// The same sampler, which chooses none of `ends` at the first `tokens` positions unless nothing else is allowed.
    #[must_use]
    pub fn open_for(mut self, tokens: u32, ends: Vec<TokenId>) -> Self {
        (self.open_tokens, self.ends) = (tokens, ends);
        self
    }

    /// Whether what is chosen depends on the logits of former positions, so that a completion which is continued with
    /// tokens of another worker needs the rows of those tokens again.
    pub fn remembers_logits(&self) -> bool {
        self.mirostat.is_some() && !self.is_greedy()
    }

    /// Lets the penalties see the prompt. Called once, before the first [`accept`](Self::accept).
    pub fn observe_prompt(&mut self, prompt: &[TokenId]) {
        self.penalties.observe_prompt(prompt);
        if let Some(dry) = &mut self.dry {
            for &token in prompt {
                dry.push(token);
            }
        }
    }

    /// Applies to `logits`, those of `position` of the completion, what comes before a constraint.
    pub fn prepare(&mut self, logits: &mut [f32], position: u32) {
        for &(token, bias) in &self.params.logit_bias {
            if let Some(logit) = logits.get_mut(token.0 as usize) {
                *logit += bias;
            }
        }
        self.penalties.apply(logits);
        if let Some(dry) = &mut self.dry {
            dry.apply(logits);
        }
        if position < self.open_tokens {
            for token in &self.ends {
                if let Some(logit) = logits.get_mut(token.0 as usize).filter(|logit| **logit > BANNED) {
                    *logit = BANNED;
                }
            }
        }
    }

    /// Chooses the token at `position` from prepared logits.
    pub fn choose(&mut self, logits: &[f32], position: u32) -> Result<Sampled, SampleError> {
        let token = if self.is_greedy() {
            greedy(logits)
        } else {
            // Once, and not when the plain way is first needed, which is rarely.
            self.candidates.clear();
            self.candidates.reserve(logits.len());
            let uniform = random::uniform(self.params.seed, self.choice, position);
            self.draw_from_all(logits, uniform).or_else(|| {
                self.narrow(logits, position);
                let drawn = candidate::draw(&mut self.candidates, uniform);
                self.learn(drawn);
                drawn
            })
        };
        let token = token.ok_or(SampleError::NoCandidate { position, vocabulary: logits.len() })?;
        Ok(Sampled { token, score: self.score(logits, token) })
    }

    /// Takes `token` for chosen at `position`: another one decided, or a former worker did.
    pub fn impose(&mut self, logits: &[f32], position: u32, token: TokenId) -> Sampled {
        if self.remembers_logits() {
            self.narrow(logits, position);
            self.learn(Some(token));
        }
        Sampled { token, score: self.score(logits, token) }
    }

    /// Remembers a token of the completion, sampled or replayed, for the penalties.
    pub fn accept(&mut self, token: TokenId) {
        self.penalties.accept(token);
        if let Some(dry) = &mut self.dry {
            dry.push(token);
        }
    }

    /// Whether choosing a token takes more than looking at each logit once.
    pub(crate) fn is_costly(&self) -> bool {
        !self.is_greedy() || self.params.logprobs.is_some()
    }

    /// Draws where nothing but the temperature matters; none where the plain way has to.
    fn draw_from_all(&mut self, logits: &[f32], uniform: f64) -> Option<TokenId> {
        let params = &self.params;
        let is_plain =
            self.mirostat.is_none() && params.has_no_filter() && params.dynamic_temperature.is_none();
        if !is_plain || params.temperature <= 0.0 {
            return None;
        }
        shortcut::draw(logits, params.temperature, uniform, &mut self.parts)
    }

    /// Leaves the candidates of `position`, their logits at the temperature.
    fn narrow(&mut self, logits: &[f32], position: u32) {
        let Self { params, mirostat, candidates, .. } = self;
        if mirostat.is_some() || !collect_few(params, logits, candidates) {
            candidate::collect(logits, candidates);
            if mirostat.is_none() {
                filter(params, candidates);
            }
        }
        if mirostat.is_none()
            && let Some(xtc) = params.xtc
            && random::other_uniform(params.seed, self.choice, position) < f64::from(xtc.probability)
        {
            filter::exclude_top(candidates, xtc.threshold);
        }
        let temperature = temperature::of(candidates, params.temperature, params.dynamic_temperature);
        candidate::scale(candidates, temperature);
        if let Some(mirostat) = mirostat {
            mirostat.cut(candidates, logits.len());
        }
    }

    fn learn(&mut self, token: Option<TokenId>) {
        if let (Some(mirostat), Some(token)) = (&mut self.mirostat, token) {
            mirostat.learn(&self.candidates, token.0);
        }
    }

    fn score(&self, logits: &[f32], token: TokenId) -> Option<Score> {
        self.params.logprobs.map(|top| Score::of(logits, token, top))
    }

    fn is_greedy(&self) -> bool {
        let varies = self.params.dynamic_temperature.is_some_and(|dynamic| dynamic.range > 0.0);
        self.params.temperature == 0.0 && !varies
    }
}

fn filter(params: &SamplingParams, candidates: &mut Vec<Candidate>) {
    if let Some(n) = params.top_n_sigma.filter(|n| *n > 0.0) {
        filter::top_n_sigma(candidates, n);
    }
    if params.top_k > 0 {
        filter::top_k(candidates, params.top_k as usize);
    }
    if let Some(p) = params.typical_p.filter(|p| *p < 1.0) {
        filter::typical(candidates, p);
    }
    if let Some(p) = params.top_p.filter(|p| *p < 1.0) {
        filter::top_p(candidates, p);
    }
    if let Some(p) = params.min_p.filter(|p| *p > 0.0) {
        filter::min_p(candidates, p);
    }
}

/// Fills `candidates` with what the filters leave, where the first of them finds that without collecting the others;
/// false: it does not.
fn collect_few(params: &SamplingParams, logits: &[f32], candidates: &mut Vec<Candidate>) -> bool {
    let top_k = params.top_k as usize;
    let has_sigma = params.top_n_sigma.is_some_and(|n| n > 0.0);
    let is_typical = params.typical_p.is_some_and(|p| p < 1.0);
    let (top_p, min_p) = (params.top_p.filter(|p| *p < 1.0), params.min_p.filter(|p| *p > 0.0));
    if has_sigma {
        return false;
    }
    if top_k > 0 {
        candidates.clear();
        if top_k <= MAX_LISTED {
            candidate::collect_best(logits, top_k, candidates);
        }
        let found = !candidates.is_empty();
        if found {
            filter(params, candidates);
        }
        return found;
    }
    match (top_p, min_p) {
        _ if is_typical => false,
        (Some(p), min_p) => {
            let found = shortcut::nucleus(logits, p, candidates);
            if let Some(p) = min_p.filter(|_| found) {
                filter::min_p(candidates, p);
            }
            found
        }
        (None, Some(p)) => shortcut::probable(logits, p, candidates),
        (None, None) => false,
    }
}

/// The token of the largest logit, the lowest of equals; none if no logit counts.
fn greedy(logits: &[f32]) -> Option<TokenId> {
    let (mut first, mut highest) = (0, f32::NEG_INFINITY);
    for (part, logits) in logits.chunks(softmax::PART).enumerate() {
        let largest = softmax::largest(logits);
        if largest > highest {
            (first, highest) = (part * softmax::PART, largest);
        }
    }
    // A NaN equals nothing, and minus infinity does not count.
    let is_best = |logit: &f32| *logit >= highest && highest > f32::NEG_INFINITY;
    logits[first..].iter().position(is_best).map(|nth| TokenId((first + nth) as u32))
}
