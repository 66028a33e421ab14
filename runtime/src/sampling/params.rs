//! What a request asks of the sampler, checked here whatever a gateway has checked before.

use impetus_proto::worker;

use crate::engine::TokenId;

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
}

/// A sampling parameter that cannot be honoured.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SamplingError {
    /// A number outside its range.
    #[error("{parameter} is {value}; it must be {expected}")]
    OutOfRange {
        /// The parameter's name, as in the protocol.
        parameter: &'static str,
        /// What was asked for.
        value: f32,
        /// The range, in words.
        expected: &'static str,
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
        }
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
