//! A response, as the API writes it.

use impetus_proto::worker;
use serde::Serialize;

use super::{asked::Asked, id, output::Output};
use crate::{clock::unix_now, error::Failure};

/// A response at some time of its making.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Response {
    pub(super) id: String,
    object: &'static str,
    /// Unix time, in seconds.
    pub(super) created_at: u64,
    completed_at: Option<u64>,
    pub(super) status: Status,
    error: Option<ResponseError>,
    incomplete_details: Option<Incomplete>,
    pub(super) model: String,
    pub(super) output: Vec<Output>,
    #[serde(flatten)]
    pub(super) asked: Box<Asked>,
    usage: Option<Usage>,
}

/// How far a response is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Queued,
    InProgress,
    Completed,
    Incomplete,
    Failed,
    Cancelled,
}

#[derive(Debug, Clone, Serialize)]
struct ResponseError {
    code: &'static str,
    message: String,
}

#[derive(Debug, Clone, Serialize)]
struct Incomplete {
    reason: &'static str,
}

#[derive(Debug, Clone, Serialize)]
struct Usage {
    input_tokens: u32,
    input_tokens_details: InputDetails,
    output_tokens: u32,
    output_tokens_details: OutputDetails,
    total_tokens: u32,
}

#[derive(Debug, Clone, Serialize)]
struct InputDetails {
    cached_tokens: u32,
    /// None is ever paid for.
    cache_write_tokens: u32,
}

#[derive(Debug, Clone, Serialize)]
struct OutputDetails {
    reasoning_tokens: u32,
}

impl Response {
    /// A response that begins now.
    pub(super) fn begin(model: String, asked: Asked) -> Self {
        let status = if asked.background { Status::Queued } else { Status::InProgress };
        Self {
            id: id::new(id::RESPONSE),
            object: "response",
            created_at: unix_now(),
            completed_at: None,
            status,
            error: None,
            incomplete_details: None,
            model,
            output: Vec::new(),
            asked: Box::new(asked),
            usage: None,
        }
    }

    /// It has ended; `is_cut` when for want of tokens.
    pub(super) fn end(&mut self, is_cut: bool, usage: worker::Usage) {
        self.usage = Some(Usage::of(usage));
        if is_cut {
            self.status = Status::Incomplete;
            self.incomplete_details = Some(Incomplete { reason: "max_output_tokens" });
        } else {
            self.status = Status::Completed;
            self.completed_at = Some(unix_now());
        }
    }

    /// It goes no further.
    pub(super) fn fail(&mut self, failure: &Failure) {
        self.status = Status::Failed;
        self.error = Some(ResponseError { code: code_of(failure), message: failure.message.clone() });
    }
}

impl Status {
    /// Whether nothing more will happen.
    pub(super) fn is_final(self) -> bool {
        !matches!(self, Self::Queued | Self::InProgress)
    }

    /// The API's word.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::InProgress => "in_progress",
            Self::Completed => "completed",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Usage {
    fn of(usage: worker::Usage) -> Self {
        Self {
            input_tokens: usage.prompt_tokens,
            input_tokens_details: InputDetails { cached_tokens: usage.cached_tokens, cache_write_tokens: 0 },
            output_tokens: usage.completion_tokens,
            output_tokens_details: OutputDetails { reasoning_tokens: usage.reasoning_tokens },
            total_tokens: usage.prompt_tokens.saturating_add(usage.completion_tokens),
        }
    }
}

/// The API's few codes of what fails a response. Clients try again unless the prompt is at fault, and some make the
/// prompt shorter when told so.
fn code_of(failure: &Failure) -> &'static str {
    match failure.code {
        "context_length_exceeded" => "context_length_exceeded",
        _ if failure.status.as_u16() == 429 => "rate_limit_exceeded",
        _ if failure.status.is_client_error() => "invalid_prompt",
        _ => "server_error",
    }
}
