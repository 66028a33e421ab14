//! `include`: what a response is to say beyond what it says by itself.

use impetus_proto::Error;
use serde_json::{Map, Value};

use crate::dialect::{field::Fields, ignored::Ignored};

const LOGPROBS: &str = "message.output_text.logprobs";
const SEALED_REASONING: &str = "reasoning.encrypted_content";

/// Before names that have no effect.
const PREFIX: &str = "include.";

/// What the API can include, as far as a response here could have it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::dialect::openai::responses) struct Include {
    /// How probable the tokens of messages were.
    pub(in crate::dialect::openai::responses) logprobs: bool,
    /// Thoughts in a form in which clients hand them back.
    pub(in crate::dialect::openai::responses) sealed_reasoning: bool,
}

/// What belongs to OpenAI's own tools and to images, of which there are none in a response here: there is nothing to
/// include, so that accepting it honours it.
const ABSENT: &[&str] = &[
    "code_interpreter_call.outputs",
    "computer_call_output.output.image_url",
    "file_search_call.results",
    "message.input_image.image_url",
    "web_search_call.action.sources",
    "web_search_call.results",
];

impl Include {
    /// Takes `include`. What nobody defines is named in `ignored`.
    pub(super) fn take(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Self, Error> {
        let names: Vec<String> = fields.take("include", "an array of strings")?.unwrap_or_default();
        Ok(Self::of(names, ignored))
    }

    /// What these names ask for. What nobody defines is named in `ignored`.
    pub(in crate::dialect::openai::responses) fn of(names: Vec<String>, ignored: &mut Ignored) -> Self {
        let mut include = Self::default();
        for name in names {
            match name.as_str() {
                LOGPROBS => include.logprobs = true,
                SEALED_REASONING => include.sealed_reasoning = true,
                absent if ABSENT.contains(&absent) => {}
                other => ignored.name(PREFIX, other),
            }
        }
        include
    }

    /// Names in `ignored` what is asked for and was not when this response was made: nobody can tell it any more.
    pub(in crate::dialect::openai::responses) fn name_missing(
        self,
        object: &Map<String, Value>,
        ignored: &mut Ignored,
    ) {
        let items = || object.get("output").and_then(Value::as_array).into_iter().flatten();
        let of_type = |item: &Value, name: &str| item.get("type").is_some_and(|is| is == name);
        let parts = |item: &Value| item.get("content").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_unscored = |part: &Value| {
            let is_empty = |name: &str, none: Value| part.get(name).is_none_or(|value| *value == none);
            !is_empty("text", "".into()) && is_empty("logprobs", Value::Array(Vec::new()))
        };
        if self.logprobs
            && items().any(|item| of_type(item, "message") && parts(item).iter().any(is_unscored))
        {
            ignored.name(PREFIX, LOGPROBS);
        }
        let is_open = |item: &Value| of_type(item, "reasoning") && item.get("encrypted_content").is_none();
        if self.sealed_reasoning && items().any(is_open) {
            ignored.name(PREFIX, SEALED_REASONING);
        }
    }
}
