//! A request to generate, understood: what chats and completions have in common.

use impetus_proto::{
    Error,
    worker::{GenerateRequest, Reasoning, generate_request::Input},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    format,
    line::Piece,
    logprob,
    option::{self, Options},
    preset::Preset,
    think,
};
use crate::dialect::{
    field::Fields,
    ignored::Ignored,
    keep_alive,
    parameter::{Parameter, refuse},
};

/// What both endpoints define and neither offers.
const UNOFFERED: &[Parameter] = &[
    // A prompt that does not fit is refused, and an answer ends with its context.
    ("truncate", &["false"]),
    ("shift", &["false"]),
    ("_debug_render_only", &["false"]),
];

/// One of the endpoints that generate.
pub(in crate::dialect) trait Endpoint: Send + Sized + 'static {
    /// What the parameters of this endpoint alone are that are not offered.
    const UNOFFERED: &'static [Parameter];

    /// What an answer, or a line of one, has beside what all have.
    type Said: Serialize + JsonSchema + Send;

    /// Takes what is to be continued.
    fn read(
        fields: &mut Fields<'_>,
        preset: Option<&Preset>,
        reasoning: Option<Reasoning>,
        ignored: &mut Ignored,
    ) -> Result<Asked, Error>;

    /// A piece of an answer, or all of it.
    fn said(piece: Piece) -> Self::Said;
}

/// What an endpoint has taken of a request.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::dialect) struct Asked {
    /// Absent: the model is to be loaded, or unloaded.
    pub(super) input: Option<Input>,
    /// A chat template, which can only be the model's own.
    pub(super) template: Option<String>,
}

/// See the module.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Params {
    pub(super) asked: Asked,
    /// What the worker gets, but for the input.
    pub(super) generate: GenerateRequest,
    pub(super) is_streamed: bool,
    /// Seconds that the model is to stay loaded afterwards; negative: it stays; absent: as configured.
    pub(super) keep_alive: Option<i64>,
    /// Tokens of the context that is asked for; absent: as many as there are.
    pub(super) num_ctx: Option<u32>,
    /// The model is to think, so that it has to be one that can.
    pub(super) thinks: bool,
    pub(super) ignored: Ignored,
}

/// Reads the rest of a body whose `model` is taken.
pub(super) fn read<E: Endpoint>(fields: &mut Fields<'_>, preset: Option<&Preset>) -> Result<Params, Error> {
    let mut ignored = Ignored::default();
    let reasoning = think::take(fields)?;
    let thinks = reasoning.as_ref().is_some_and(|reasoning| reasoning.enabled == Some(true));
    let asked = E::read(fields, preset, reasoning, &mut ignored)?;
    let structure = format::take(fields)?;
    let logprobs = logprob::take(fields)?;
    let is_streamed = fields.flag("stream")?.unwrap_or(true);
    let keep_alive = keep_alive::take(fields)?;
    let Options { sampling, stopping, num_ctx } = option::take(fields, preset, &mut ignored)?;
    refuse(fields, E::UNOFFERED)?;
    refuse(fields, UNOFFERED)?;
    ignored.add("", fields);
    let generate = GenerateRequest {
        sampling: Some(sampling),
        stopping: Some(stopping),
        structure,
        logprobs,
        ..GenerateRequest::default()
    };
    Ok(Params { asked, generate, is_streamed, keep_alive, num_ctx, thinks, ignored })
}
