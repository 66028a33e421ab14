//! How probable tokens were.

use impetus_proto::{
    Error,
    worker::{Logprobs, TokenLogprobs},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::dialect::{
    field::Fields,
    openai::logprobs::{MAX_TOP, finite, text},
};

/// A token of the completion.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OllamaLogprob")]
pub(super) struct Logprob {
    #[serde(flatten)]
    token: Token,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    top_logprobs: Vec<Token>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OllamaTokenLogprob")]
struct Token {
    token: String,
    logprob: f32,
    bytes: Vec<u8>,
}

impl From<TokenLogprobs> for Logprob {
    fn from(said: TokenLogprobs) -> Self {
        let top = said.top.into_iter().map(|top| Token::of(top.text, top.logprob));
        Self { token: Token::of(said.text, said.logprob), top_logprobs: top.collect() }
    }
}

impl Token {
    fn of(bytes: Vec<u8>, logprob: f32) -> Self {
        Self { token: text(&bytes, ""), logprob: finite(logprob), bytes }
    }
}

/// Takes `logprobs` and `top_logprobs`.
pub(super) fn take(fields: &mut Fields<'_>) -> Result<Option<Logprobs>, Error> {
    let is_asked = fields.flag("logprobs")?.unwrap_or(false);
    let top = fields.integer("top_logprobs", 0..=MAX_TOP)?.unwrap_or(0) as u32;
    if top > 0 && !is_asked {
        let message = "top_logprobs needs logprobs to be true";
        return Err(Error::invalid("top_logprobs", message));
    }
    Ok(is_asked.then_some(Logprobs { top }))
}
