//! What tells one completion endpoint from the other: the fields that only it reads, and how it writes a choice.

use impetus_proto::{
    Error,
    worker::{FinishReason, generate_request::Input},
};
use serde::Serialize;

use super::{field::Fields, ignored::Ignored, parameter::Parameter};

/// A completion endpoint.
pub(super) trait Shape: 'static {
    const ID_PREFIX: &'static str;
    const OBJECT: &'static str;
    const CHUNK_OBJECT: &'static str;
    /// The API's own limit for a request that sets none; absent: as many as the context holds.
    const DEFAULT_MAX_TOKENS: Option<u32>;
    /// The parameters of this endpoint alone that are not offered.
    const UNOFFERED: &'static [Parameter];

    /// Takes what is to be continued.
    fn input(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Input, Error>;

    /// What stands in a stream before any text of the choice `index`, if the endpoint has such a thing.
    fn opening(index: u32) -> Option<impl Serialize>;

    /// A step of the choice `index`: text, its end, or neither.
    fn chunk(index: u32, text: Option<&str>, finish_reason: Option<&'static str>) -> impl Serialize;

    /// The choice `index` as a whole.
    fn whole(index: u32, text: &str, finish_reason: &'static str) -> impl Serialize;
}

/// OpenAI's word for why a choice ended.
pub(super) fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::Stop | FinishReason::Unspecified => "stop",
    }
}
