//! `POST /v1/chat/completions`

use impetus_proto::{
    Error,
    worker::{Chat, generate_request::Input},
};
use serde::Serialize;

use super::{
    field::Fields,
    ignored::Ignored,
    message,
    parameter::{self, Parameter},
    shape::Shape,
};

/// Generates the next message of a chat.
pub(super) struct ChatCompletions;

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Answer<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Answer<'a> {
    role: &'a str,
    content: &'a str,
    refusal: Option<()>,
}

impl Shape for ChatCompletions {
    const ID_PREFIX: &'static str = "chatcmpl-";
    const OBJECT: &'static str = "chat.completion";
    const CHUNK_OBJECT: &'static str = "chat.completion.chunk";
    const DEFAULT_MAX_TOKENS: Option<u32> = None;
    const UNOFFERED: &'static [Parameter] = parameter::CHAT;

    fn input(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Input, Error> {
        Ok(Input::Chat(Chat { messages: message::messages(fields, ignored)?, ..Chat::default() }))
    }

    fn opening(index: u32) -> Option<impl Serialize> {
        let delta = Delta { role: Some("assistant"), content: Some("") };
        Some(ChunkChoice { index, delta, logprobs: None, finish_reason: None })
    }

    fn chunk(index: u32, text: Option<&str>, finish_reason: Option<&'static str>) -> impl Serialize {
        ChunkChoice { index, delta: Delta { role: None, content: text }, logprobs: None, finish_reason }
    }

    fn whole(index: u32, text: &str, finish_reason: &'static str) -> impl Serialize {
        let message = Answer { role: "assistant", content: text, refusal: None };
        Choice { index, message, logprobs: None, finish_reason }
    }
}

#[cfg(test)]
mod tests;
