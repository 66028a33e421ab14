//! What tells one completion endpoint from the other: the fields that only it reads, and how it writes a choice.

use std::fmt;

use impetus_proto::{
    Error,
    worker::{self, Echo, FinishReason, Logprobs, generate_request::Input},
};
use serde::Serialize;

use super::parameter::Parameter;
use crate::{
    dialect::{field::Fields, fold::Choice, ignored::Ignored},
    upstream::Delta,
};

/// A completion endpoint, and how one request wants its choices written.
pub(super) trait Shape: fmt::Debug + Clone + PartialEq + Send + Sync + Sized + 'static {
    const ID_PREFIX: &'static str;
    const OBJECT: &'static str;
    const CHUNK_OBJECT: &'static str;
    /// The field that has what is to be continued.
    const INPUT: &'static str;
    /// The API's own limit for a request that sets none; absent: as many as the context holds.
    const DEFAULT_MAX_TOKENS: Option<u32>;
    /// The parameters of this endpoint alone that are not offered.
    const UNOFFERED: &'static [Parameter];

    /// What a stream remembers of a choice from one chunk to the next.
    type Said: Default + Send;
    /// A choice within a chunk.
    type Chunk: Serialize + Send;
    /// A choice that is whole.
    type Whole: Serialize + Send;

    /// Takes the fields that only this endpoint has.
    fn read(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Asked<Self>, Error>;

    /// What stands in a stream before any output of the choice `index`, if the endpoint has such a thing.
    fn opening(&self, index: u32) -> Option<Self::Chunk>;

    /// A step of the choice `index` that carries nothing.
    fn silence(&self, index: u32) -> Self::Chunk;

    /// The prompt, where the request wants it echoed.
    fn prompt(&self, index: u32, said: &mut Self::Said, prompt: worker::Prompt) -> Option<Self::Chunk>;

    /// Tells what some tokens of the choice `index` add to it.
    fn delta(&self, index: u32, said: &mut Self::Said, delta: Delta, tell: impl FnMut(Self::Chunk));

    /// The end of the choice `index`.
    fn end(&self, index: u32, reason: FinishReason) -> Self::Chunk;

    /// The choice `index` as a whole.
    fn whole(&self, index: u32, choice: Choice) -> Self::Whole;
}

/// What an endpoint has taken of a request.
#[derive(Debug, PartialEq)]
pub(super) struct Asked<S> {
    pub(super) shape: S,
    /// What is to be continued; each is answered with choices of its own.
    pub(super) inputs: Vec<Input>,
    /// How many completions of each input to make, of which the most probable ones are the answer; absent: no more
    /// than the answer has.
    pub(super) best_of: Option<u32>,
    pub(super) logprobs: Option<Logprobs>,
    pub(super) echo: Option<Echo>,
    /// Where each function that the model may call stands in the request.
    pub(super) functions: Vec<String>,
}

/// OpenAI's word for why a choice ended.
pub(super) fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Stop | FinishReason::Unspecified => "stop",
    }
}
