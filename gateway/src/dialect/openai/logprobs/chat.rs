//! `choices[].logprobs` of a chat completion.

use impetus_proto::worker::{TokenLogprobs, TopLogprob};
use schemars::JsonSchema;
use serde::Serialize;

use super::{finite, text};

/// Of every token that was generated, those of a thought and of calls among them.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::dialect::openai) struct ChatLogprobs {
    content: Vec<Token>,
    refusal: Option<()>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TokenLogprob")]
struct Token {
    token: String,
    logprob: f32,
    bytes: Vec<u8>,
    top_logprobs: Vec<Top>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "TopLogprob")]
struct Top {
    token: String,
    logprob: f32,
    bytes: Vec<u8>,
}

impl ChatLogprobs {
    pub(in crate::dialect::openai) fn of(tokens: Vec<TokenLogprobs>) -> Self {
        let content = tokens
            .into_iter()
            .map(|token| Token {
                token: text(&token.text, ""),
                logprob: finite(token.logprob),
                bytes: token.text,
                top_logprobs: token.top.into_iter().map(Top::of).collect(),
            })
            .collect();
        Self { content, refusal: None }
    }
}

impl Top {
    fn of(top: TopLogprob) -> Self {
        Self { token: text(&top.text, ""), logprob: finite(top.logprob), bytes: top.text }
    }
}
