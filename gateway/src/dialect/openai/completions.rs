//! `POST /v1/completions`

use axum::{Extension, body::Body, extract::State, http::Request, response::Response};
use bytes::Bytes;
use impetus_proto::{Error, worker::GenerateRequest};
use serde::Serialize;

use super::{
    answer::{Delivery, Envelope, Params, Shape, answer},
    chat_completions::finish_reason,
    error::Refusal,
    field::Fields,
    fold::Completed,
    ignored::Ignored,
    parameter, prompt, sampling,
    stream::{Chunks, frame},
    usage::{ChunkUsage, Timings, Usage},
};
use crate::{record::Record, server, server::Gateway, upstream::Finished};

/// The API's own limit for a request that sets none.
const DEFAULT_MAX_TOKENS: u32 = 16;

/// Continues a text.
pub(super) async fn create(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let body = server::read_body(request, gateway.limits).await?;
    let params = params(&body)?;
    drop(body);
    answer::<CompletionShape>(&gateway, record, params).await
}

/// A request's body, understood.
fn params(body: &[u8]) -> Result<Params, Error> {
    let mut fields = Fields::of_body(body)?;
    let mut ignored = Ignored::default();
    let model = fields.text("model")?.unwrap_or_default();
    let input = prompt::prompt(&mut fields)?;
    let delivery = Delivery::take(&mut fields, &mut ignored)?;
    let sampling = sampling::sampling(&mut fields)?;
    let stopping = sampling::stopping(&mut fields, DEFAULT_MAX_TOKENS)?;
    parameter::refuse_of_completion(&mut fields)?;
    parameter::accept_bookkeeping(&mut fields)?;
    ignored.add("", &fields);
    let generate = GenerateRequest {
        input: Some(input),
        sampling: Some(sampling),
        stopping: Some(stopping),
        ..GenerateRequest::default()
    };
    Ok(Params { model, generate, delivery, ignored })
}

pub(super) struct CompletionShape;

pub(super) struct CompletionChunks {
    envelope: Envelope,
    include_usage: bool,
}

#[derive(Serialize)]
struct Chunk<'a> {
    #[serde(flatten)]
    envelope: &'a Envelope,
    choices: &'a [Choice<'a>],
    #[serde(skip_serializing_if = "ChunkUsage::is_unasked")]
    usage: ChunkUsage,
    #[serde(skip_serializing_if = "Option::is_none")]
    timings: Option<Timings>,
}

#[derive(Serialize)]
struct Choice<'a> {
    text: &'a str,
    index: u32,
    logprobs: Option<()>,
    finish_reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    envelope: Envelope,
    choices: [Choice<'a>; 1],
    usage: Usage,
    timings: Timings,
}

impl Shape for CompletionShape {
    const ID_PREFIX: &'static str = "cmpl-";
    const OBJECT: &'static str = "text_completion";
    const CHUNK_OBJECT: &'static str = "text_completion";
    type Chunks = CompletionChunks;

    fn chunks(envelope: Envelope, include_usage: bool) -> CompletionChunks {
        CompletionChunks { envelope, include_usage }
    }

    fn whole(envelope: Envelope, completed: &Completed) -> impl Serialize {
        let finish_reason = Some(finish_reason(&completed.finished));
        Whole {
            envelope,
            choices: [Choice { text: &completed.text, index: 0, logprobs: None, finish_reason }],
            usage: Usage::of(&completed.finished),
            timings: Timings::of(&completed.finished),
        }
    }
}

impl CompletionChunks {
    fn choice(&self, text: &str, finish_reason: Option<&str>) -> Bytes {
        let choice = Choice { text, index: 0, logprobs: None, finish_reason };
        let usage = ChunkUsage::before_the_end(self.include_usage);
        frame(&Chunk { envelope: &self.envelope, choices: &[choice], usage, timings: None })
    }
}

impl Chunks for CompletionChunks {
    fn opening(&self) -> Option<Bytes> {
        None
    }

    fn text(&self, text: &str) -> Bytes {
        self.choice(text, None)
    }

    fn heartbeat(&self) -> Bytes {
        self.choice("", None)
    }

    fn finish(&self, finished: &Finished) -> Bytes {
        self.choice("", Some(finish_reason(finished)))
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
