//! A request's body, understood.

use impetus_proto::{
    Error,
    worker::{Chat, GenerateRequest, Sampling, Stopping, generate_request::Input},
};

use super::{
    conversation::{self, Conversation},
    setting,
    thinking::{self, Shown, Thinking},
    tool::{self, Tools},
};
use crate::dialect::{field::Fields, ignored::Ignored, names::Names};

/// The largest count of anything, since engines count in signed 32-bit integers.
const MAX_COUNT: i64 = i32::MAX as i64;

const MAX_STOPS: usize = 64;
const MAX_STOP_BYTES: usize = 1024;

/// A request's body, understood.
#[derive(Debug, PartialEq)]
pub(super) struct Params {
    /// What the client named; empty means the default model.
    pub(super) model: String,
    /// What the worker gets.
    pub(super) generate: GenerateRequest,
    pub(super) is_streamed: bool,
    /// What becomes of the model's thoughts.
    pub(super) thoughts: Shown,
    /// The client asks for edits of the context, and is told which were made.
    pub(super) has_edits: bool,
    pub(super) names: Names,
    pub(super) ignored: Ignored,
}

impl Params {
    /// Reads the body of a request for a message.
    pub(super) fn read(body: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let max_tokens = fields.integer("max_tokens", 1..=MAX_COUNT)?.ok_or_else(|| {
            let message = "max_tokens is missing; it must be the most tokens that the answer may have";
            Error::invalid("max_tokens", message)
        })?;
        Self::of(fields, Some(max_tokens as u32))
    }

    /// Reads the body of a request whose tokens are to be counted.
    pub(super) fn read_to_count(body: &[u8]) -> Result<Self, Error> {
        let mut fields = Fields::of_body(body)?;
        let max_tokens = fields.integer("max_tokens", 0..=MAX_COUNT)?;
        Self::of(fields, max_tokens.map(|tokens| tokens as u32))
    }

    fn of(mut fields: Fields<'_>, max_tokens: Option<u32>) -> Result<Self, Error> {
        let mut ignored = Ignored::default();
        let model = fields.text("model")?.unwrap_or_default();
        let Conversation { messages, continue_last, found } = conversation::take(&mut fields, &mut ignored)?;
        let Tools { json, choice, paths } = tool::take(&mut fields, &found, &mut ignored)?;
        let output = setting::output(&mut fields, &mut ignored)?;
        let Thinking { reasoning, shown } = thinking::take(&mut fields, output.effort, &mut ignored)?;
        let chat = Chat {
            messages,
            tools_json: json,
            continue_last,
            tool_choice: choice,
            reasoning: Some(reasoning),
            ..Chat::default()
        };
        let generate = GenerateRequest {
            input: Some(Input::Chat(chat)),
            sampling: Some(sampling(&mut fields)?),
            stopping: Some(Stopping { max_tokens, stop: stop(&mut fields)?, ..Stopping::default() }),
            structure: output.structure,
            ..GenerateRequest::default()
        };
        let is_streamed = fields.flag("stream")?.unwrap_or(false);
        let has_edits = setting::edits(&mut fields, &mut ignored)?;
        setting::accept(&mut fields, &mut ignored)?;
        ignored.add("", &fields);
        let names = Names { input: "messages", structure: output.param, functions: paths };
        Ok(Self { model, generate, is_streamed, thoughts: shown, has_edits, names, ignored })
    }
}

/// Reads a body for a message and leaves it at that.
pub(in crate::dialect) fn check_message(body: &[u8]) -> Result<(), Error> {
    Params::read(body).map(drop)
}

/// Reads a body to be counted and leaves it at that.
pub(in crate::dialect) fn check_count(body: &[u8]) -> Result<(), Error> {
    Params::read_to_count(body).map(drop)
}

/// The error in the client's words.
pub(super) fn renamed(names: &Names, error: Error) -> Error {
    let mut error = names.of(error);
    if error.param.starts_with("tools[") {
        error.param = error.param.replace(".parameters", ".input_schema");
    }
    error
}

/// Takes the sampling parameters; what is absent has the API's default.
fn sampling(fields: &mut Fields<'_>) -> Result<Sampling, Error> {
    Ok(Sampling {
        seed: rand::random(),
        temperature: fields.number("temperature", 0.0..=1.0)?.unwrap_or(1.0),
        top_p: Some(fields.number("top_p", 0.0..=1.0)?.unwrap_or(1.0)),
        top_k: fields.integer("top_k", 0..=MAX_COUNT)?.unwrap_or(0) as u32,
        ..Sampling::default()
    })
}

fn stop(fields: &mut Fields<'_>) -> Result<Vec<String>, Error> {
    let name = "stop_sequences";
    let stops = fields.take::<Vec<String>>(name, "an array of strings")?.unwrap_or_default();
    let is_fit = |stop: &String| (1..=MAX_STOP_BYTES).contains(&stop.len());
    if stops.len() > MAX_STOPS || !stops.iter().all(is_fit) {
        let message = format!("{name} must have at most {MAX_STOPS} strings of 1 to {MAX_STOP_BYTES} bytes");
        return Err(Error::invalid(name, message));
    }
    Ok(stops)
}

#[cfg(test)]
mod tests;
