//! `POST /v1/completions`

use impetus_proto::{Error, worker::generate_request::Input};
use serde::Serialize;

use super::{
    field::Fields,
    ignored::Ignored,
    parameter::{self, Parameter},
    prompt,
    shape::Shape,
};

/// Continues a text.
pub(super) struct Completions;

#[derive(Serialize)]
struct Choice<'a> {
    text: &'a str,
    index: u32,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

impl Shape for Completions {
    const ID_PREFIX: &'static str = "cmpl-";
    const OBJECT: &'static str = "text_completion";
    const CHUNK_OBJECT: &'static str = "text_completion";
    const DEFAULT_MAX_TOKENS: Option<u32> = Some(16);
    const UNOFFERED: &'static [Parameter] = parameter::COMPLETION;

    fn input(fields: &mut Fields<'_>, _: &mut Ignored) -> Result<Input, Error> {
        prompt::prompt(fields)
    }

    fn opening(_: u32) -> Option<impl Serialize> {
        None::<Choice<'static>>
    }

    fn chunk(index: u32, text: Option<&str>, finish_reason: Option<&'static str>) -> impl Serialize {
        Choice { text: text.unwrap_or_default(), index, logprobs: None, finish_reason }
    }

    fn whole(index: u32, text: &str, finish_reason: &'static str) -> impl Serialize {
        Self::chunk(index, Some(text), Some(finish_reason))
    }
}

#[cfg(test)]
mod tests;
