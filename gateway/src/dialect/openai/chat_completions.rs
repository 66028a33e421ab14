//! `POST /v1/chat/completions`

use axum::{Extension, body::Body, extract::State, http::Request, response::Response};
use bytes::Bytes;
use impetus_proto::{
    Error,
    worker::{Chat, FinishReason, GenerateRequest, generate_request::Input},
};
use serde::Serialize;

use super::{
    answer::{Delivery, Envelope, Params, Shape, answer},
    error::Refusal,
    field::Fields,
    fold::Completed,
    ignored::Ignored,
    message, parameter, sampling,
    stream::{Chunks, frame},
    usage::{ChunkUsage, Timings, Usage},
};
use crate::{record::Record, server, server::Gateway, upstream::Finished};

/// Generates the next message of a chat.
pub(super) async fn create(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let body = server::read_body(request, gateway.limits).await?;
    let params = params(&body)?;
    drop(body);
    answer::<ChatShape>(&gateway, record, params).await
}

/// A request's body, understood.
fn params(body: &[u8]) -> Result<Params, Error> {
    let mut fields = Fields::of_body(body)?;
    let mut ignored = Ignored::default();
    let model = fields.text("model")?.unwrap_or_default();
    let messages = message::messages(&mut fields, &mut ignored)?;
    let delivery = Delivery::take(&mut fields, &mut ignored)?;
    let sampling = sampling::sampling(&mut fields)?;
    let stopping = sampling::stopping(&mut fields, 0)?;
    parameter::refuse_of_chat(&mut fields)?;
    parameter::accept_bookkeeping(&mut fields)?;
    ignored.add("", &fields);
    let generate = GenerateRequest {
        input: Some(Input::Chat(Chat { messages, ..Chat::default() })),
        sampling: Some(sampling),
        stopping: Some(stopping),
        ..GenerateRequest::default()
    };
    Ok(Params { model, generate, delivery, ignored })
}

/// OpenAI's word for why a completion ended.
pub(super) fn finish_reason(finished: &Finished) -> &'static str {
    match finished.reason {
        FinishReason::Length => "length",
        FinishReason::Stop | FinishReason::Unspecified => "stop",
    }
}

pub(super) struct ChatShape;

pub(super) struct ChatChunks {
    envelope: Envelope,
    include_usage: bool,
}

#[derive(Serialize)]
struct Chunk<'a> {
    #[serde(flatten)]
    envelope: &'a Envelope,
    choices: &'a [ChunkChoice<'a>],
    #[serde(skip_serializing_if = "ChunkUsage::is_unasked")]
    usage: ChunkUsage,
    #[serde(skip_serializing_if = "Option::is_none")]
    timings: Option<Timings>,
}

#[derive(Serialize)]
struct ChunkChoice<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'a str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    envelope: Envelope,
    choices: [Choice<'a>; 1],
    usage: Usage,
    timings: Timings,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Answer<'a>,
    logprobs: Option<()>,
    finish_reason: &'a str,
}

#[derive(Serialize)]
struct Answer<'a> {
    role: &'a str,
    content: &'a str,
    refusal: Option<()>,
}

impl Shape for ChatShape {
    const ID_PREFIX: &'static str = "chatcmpl-";
    const OBJECT: &'static str = "chat.completion";
    const CHUNK_OBJECT: &'static str = "chat.completion.chunk";
    type Chunks = ChatChunks;

    fn chunks(envelope: Envelope, include_usage: bool) -> ChatChunks {
        ChatChunks { envelope, include_usage }
    }

    fn whole(envelope: Envelope, completed: &Completed) -> impl Serialize {
        let message = Answer { role: "assistant", content: &completed.text, refusal: None };
        let finish_reason = finish_reason(&completed.finished);
        Whole {
            envelope,
            choices: [Choice { index: 0, message, logprobs: None, finish_reason }],
            usage: Usage::of(&completed.finished),
            timings: Timings::of(&completed.finished),
        }
    }
}

impl ChatChunks {
    fn delta(&self, delta: Delta<'_>, finish_reason: Option<&str>) -> Bytes {
        let choice = ChunkChoice { index: 0, delta, logprobs: None, finish_reason };
        let usage = ChunkUsage::before_the_end(self.include_usage);
        frame(&Chunk { envelope: &self.envelope, choices: &[choice], usage, timings: None })
    }
}

impl Chunks for ChatChunks {
    fn opening(&self) -> Option<Bytes> {
        Some(self.delta(Delta { role: Some("assistant"), content: Some("") }, None))
    }

    fn text(&self, text: &str) -> Bytes {
        self.delta(Delta { role: None, content: Some(text) }, None)
    }

    fn heartbeat(&self) -> Bytes {
        self.delta(Delta::default(), None)
    }

    fn finish(&self, finished: &Finished) -> Bytes {
        self.delta(Delta::default(), Some(finish_reason(finished)))
    }

    fn usage(&self, finished: &Finished) -> Option<Bytes> {
        self.include_usage.then(|| {
            let (usage, timings) = (ChunkUsage::Now(Usage::of(finished)), Some(Timings::of(finished)));
            frame(&Chunk { envelope: &self.envelope, choices: &[], usage, timings })
        })
    }
}

#[cfg(test)]
mod tests;
