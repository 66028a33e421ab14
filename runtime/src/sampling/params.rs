//! What a request asks of the sampler, checked here whatever a gateway has checked before.

use impetus_proto::worker;

use super::{DryParams, DynamicTemperatureParams, MAX_TOP, MirostatParams};
use crate::engine::TokenId;

/// The most texts that DRY may break at, and the longest, in bytes.
const MAX_BREAKERS: usize = 32;
const MAX_BREAKER_BYTES: usize = 64;

/// The most entries that `logit_bias` may have.
const MAX_LOGIT_BIASES: usize = 4096;

/// How the tokens of one request are chosen. The default is greedy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SamplingParams {
    /// The seed of the random numbers.
    pub seed: u64,
    /// Divides the logits before the draw; zero is greedy.
    pub temperature: f32,
    /// Keep this many of the most probable tokens; zero keeps all.
    pub top_k: u32,
    /// Keep the most probable tokens that together reach this probability.
    pub top_p: Option<f32>,
    /// Keep tokens at least this fraction as probable as the most probable one.
    pub min_p: Option<f32>,
    /// Keep the tokens closest to the expected information that together reach this probability.
    pub typical_p: Option<f32>,
    /// Positive logits of tokens seen are divided by it, negative ones multiplied; one is off.
    pub repetition_penalty: Option<f32>,
    /// Subtracted from a token's logit once per occurrence in the completion.
    pub frequency_penalty: f32,
    /// Subtracted from a token's logit if it occurs in the completion.
    pub presence_penalty: f32,
    /// How many of the last tokens the penalties see. Absent: 64 (prompt and completion) for repetition, the whole
    /// completion for the other two.
    pub penalty_last_tokens: Option<u32>,
    /// Added to the logits of these tokens before anything else.
    pub logit_bias: Vec<(TokenId, f32)>,
    /// Penalises what continues a repetition.
    pub dry: Option<DryParams>,
    /// Now and then leaves out the most probable tokens.
    pub xtc: Option<XtcParams>,
    /// Replaces the filters.
    pub mirostat: Option<MirostatParams>,
    /// Lets the temperature follow the distribution.
    pub dynamic_temperature: Option<DynamicTemperatureParams>,
    /// Keep logits within so many standard deviations of the largest one; zero is off.
    pub top_n_sigma: Option<f32>,
    /// Say how probable each token was, and list so many of the most probable ones.
    pub logprobs: Option<u32>,
}

/// What a request asks of XTC.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct XtcParams {
    /// How often it is applied; zero is off.
    pub probability: f32,
    /// The least probability of a top choice.
    pub threshold: f32,
}

/// A sampling parameter that cannot be honoured.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SamplingError {
    /// A number outside its range.
    #[error("{parameter} is {value}; it must be {expected}")]
    OutOfRange {
        /// The parameter's name, as clients send it.
        parameter: &'static str,
        /// What was asked for.
        value: f32,
        /// The range, in words.
        expected: &'static str,
    },
    /// A version of mirostat that nobody has described.
    #[error("mirostat is {version}; it must be 1 or 2, or left out")]
    UnknownMirostat {
        /// The version that was asked for.
        version: u32,
    },
    /// Texts to break repetitions at that cannot be honoured.
    #[error(
        "dry_sequence_breakers may be {MAX_BREAKERS} texts of 1 to {MAX_BREAKER_BYTES} bytes; here are {count}, \
         the longest of {bytes} bytes"
    )]
    Breakers {
        /// How many there are.
        count: usize,
        /// Bytes of the longest, or zero if one is empty.
        bytes: usize,
    },
    /// More alternatives of each token than are listed.
    #[error("top_logprobs is {count}; it must be from 0 to {MAX_TOP}")]
    TooManyLogprobs {
        /// How many were asked for.
        count: u32,
    },
    /// More logit biases than are supported.
    #[error("logit_bias has {count} entries; at most {MAX_LOGIT_BIASES} are supported")]
    TooManyBiases {
        /// How many there are.
        count: usize,
    },
    /// A logit bias for a token that the model does not have.
    #[error("logit_bias names token {token}; this model's tokens are 0 to {}", vocabulary.saturating_sub(1))]
    UnknownToken {
        /// The token that was named.
        token: u32,
        /// How many tokens the model has.
        vocabulary: u32,
    },
}

impl SamplingError {
    /// The name of the parameter that is wrong.
    pub fn parameter(&self) -> &'static str {
        match self {
            Self::OutOfRange { parameter, .. } => parameter,
            Self::UnknownMirostat { .. } => "mirostat",
            Self::Breakers { .. } => "dry_sequence_breakers",
            Self::TooManyLogprobs { .. } => "top_logprobs",
            Self::TooManyBiases { .. } | Self::UnknownToken { .. } => "logit_bias",
        }
    }
}

impl SamplingParams {
    /// Checks every parameter, for a model of `vocabulary` tokens.
    pub fn validate(&self, vocabulary: u32) -> Result<(), SamplingError> {
        within("temperature", self.temperature, 0.0, 100.0, "from 0 to 100")?;
        for (parameter, value) in [("top_p", self.top_p), ("typical_p", self.typical_p)] {
            // Zero keeps nothing by its formula; the filters keep the best token, as everybody expects.
            within(parameter, value.unwrap_or(1.0), 0.0, 1.0, "from 0 to 1")?;
        }
        within("min_p", self.min_p.unwrap_or(0.0), 0.0, 1.0, "from 0 to 1")?;
        let repetition = self.repetition_penalty.unwrap_or(1.0);
        within("repetition_penalty", repetition, 0.01, 100.0, "from 0.01 to 100")?;
        within("frequency_penalty", self.frequency_penalty, -2.0, 2.0, "from -2 to 2")?;
        within("presence_penalty", self.presence_penalty, -2.0, 2.0, "from -2 to 2")?;
        within("top_n_sigma", self.top_n_sigma.unwrap_or(0.0), 0.0, 1e6, "0 or more")?;
        self.validate_groups()?;
        if let Some(count) = self.logprobs.filter(|count| *count > MAX_TOP) {
            return Err(SamplingError::TooManyLogprobs { count });
        }
        if self.logit_bias.len() > MAX_LOGIT_BIASES {
            return Err(SamplingError::TooManyBiases { count: self.logit_bias.len() });
        }
        for &(token, bias) in &self.logit_bias {
            within("logit_bias", bias, -100.0, 100.0, "from -100 to 100")?;
            if token.0 >= vocabulary {
                return Err(SamplingError::UnknownToken { token: token.0, vocabulary });
            }
        }
        Ok(())
    }

    /// Whether every token that is possible may be chosen.
    pub(super) fn has_no_filter(&self) -> bool {
        let is_whole = |p: Option<f32>| p.is_none_or(|p| p >= 1.0);
        self.top_k == 0
            && is_whole(self.top_p)
            && is_whole(self.typical_p)
            && self.min_p.is_none_or(|p| p <= 0.0)
            && self.top_n_sigma.is_none_or(|n| n <= 0.0)
            && self.xtc.is_none()
    }

    fn validate_groups(&self) -> Result<(), SamplingError> {
        if let Some(dry) = &self.dry {
            within("dry_multiplier", dry.multiplier, 0.0, 100.0, "from 0 to 100")?;
            if dry.multiplier > 0.0 {
                within("dry_base", dry.base, 1.0, 100.0, "from 1 to 100")?;
            }
            let lengths = || dry.breakers.iter().map(String::len);
            let is_empty = lengths().any(|bytes| bytes == 0);
            let longest = lengths().max().unwrap_or(0);
            if is_empty || longest > MAX_BREAKER_BYTES || dry.breakers.len() > MAX_BREAKERS {
                let bytes = if is_empty { 0 } else { longest };
                return Err(SamplingError::Breakers { count: dry.breakers.len(), bytes });
            }
        }
        if let Some(xtc) = self.xtc {
            within("xtc_probability", xtc.probability, 0.0, 1.0, "from 0 to 1")?;
            within("xtc_threshold", xtc.threshold, 0.0, 1.0, "from 0 to 1")?;
        }
        if let Some(mirostat) = self.mirostat {
            if !(1..=2).contains(&mirostat.version) {
                return Err(SamplingError::UnknownMirostat { version: mirostat.version });
            }
            within("mirostat_tau", mirostat.tau, 0.0, 100.0, "from 0 to 100")?;
            within("mirostat_eta", mirostat.eta, 0.0, 1.0, "from 0 to 1")?;
        }
        if let Some(dynamic) = self.dynamic_temperature {
            within("dynatemp_range", dynamic.range, 0.0, 100.0, "from 0 to 100")?;
            within("dynatemp_exponent", dynamic.exponent, 0.0, 100.0, "from 0 to 100")?;
        }
        Ok(())
    }
}

impl From<&worker::Sampling> for SamplingParams {
    fn from(wire: &worker::Sampling) -> Self {
        Self {
            seed: wire.seed,
            temperature: wire.temperature,
            top_k: wire.top_k,
            top_p: wire.top_p,
            min_p: wire.min_p,
            typical_p: wire.typical_p,
            repetition_penalty: wire.repetition_penalty,
            frequency_penalty: wire.frequency_penalty,
            presence_penalty: wire.presence_penalty,
            penalty_last_tokens: wire.penalty_last_tokens,
            logit_bias: wire.logit_bias.iter().map(|entry| (TokenId(entry.token), entry.bias)).collect(),
            dry: wire.dry.as_ref().map(DryParams::from),
            xtc: wire.xtc.as_ref().map(XtcParams::from),
            mirostat: wire.mirostat.as_ref().map(MirostatParams::from),
            dynamic_temperature: wire.dynamic_temperature.as_ref().map(DynamicTemperatureParams::from),
            top_n_sigma: wire.top_n_sigma,
            logprobs: None,
        }
    }
}

impl From<&worker::Xtc> for XtcParams {
    fn from(wire: &worker::Xtc) -> Self {
        Self { probability: wire.probability, threshold: wire.threshold }
    }
}

fn within(
    parameter: &'static str,
    value: f32,
    low: f32,
    high: f32,
    expected: &'static str,
) -> Result<(), SamplingError> {
    // NaN is in no range.
    if (low..=high).contains(&value) {
        Ok(())
    } else {
        Err(SamplingError::OutOfRange { parameter, value, expected })
    }
}
