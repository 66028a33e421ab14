//! `include`: what a response is to say beyond what it says by itself.

use impetus_proto::Error;

use crate::dialect::openai::{field::Fields, ignored::Ignored};

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
        let mut include = Self::default();
        for name in names {
            match name.as_str() {
                "message.output_text.logprobs" => include.logprobs = true,
                "reasoning.encrypted_content" => include.sealed_reasoning = true,
                absent if ABSENT.contains(&absent) => {}
                other => ignored.name("include.", other),
            }
        }
        Ok(include)
    }
}
