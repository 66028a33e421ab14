//! llama.cpp's answer, and the pieces of a streamed one.

use schemars::JsonSchema;
use serde::Serialize;

use super::settings::Settings;
use crate::dialect::openai::usage::Timings;

/// An answer, or a piece of one.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NativeCompletion")]
pub(in crate::dialect::openai) struct Answer {
    index: u32,
    content: String,
    /// Ids are not told.
    tokens: [u32; 0],
    id_slot: i32,
    /// It is whole.
    stop: bool,
    tokens_predicted: u32,
    tokens_evaluated: u32,
    #[serde(flatten)]
    whole: Option<Whole>,
}

/// What only a whole answer has.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "NativeCompletionEnd")]
pub(super) struct Whole {
    pub(super) model: String,
    pub(super) generation_settings: Settings,
    pub(super) prompt: String,
    pub(super) has_new_line: bool,
    pub(super) truncated: bool,
    pub(super) stop_type: StopType,
    /// The stop string that ended it, if one did.
    pub(super) stopping_word: String,
    /// That the slot holds afterwards.
    pub(super) tokens_cached: u32,
    pub(super) timings: Timings,
}

/// Why it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum StopType {
    None,
    /// The model's own end token.
    Eos,
    /// A number of tokens, the context, time or an indentation.
    Limit,
    /// A stop string.
    Word,
}

impl Answer {
    /// A piece of an answer.
    pub(super) fn piece(content: String, tokens_predicted: u32, tokens_evaluated: u32) -> Self {
        let (tokens, whole) = ([], None);
        Self {
            index: 0,
            content,
            tokens,
            id_slot: -1,
            stop: false,
            tokens_predicted,
            tokens_evaluated,
            whole,
        }
    }

    /// A whole answer.
    pub(super) fn whole(content: String, whole: Whole, tokens_predicted: u32, tokens_evaluated: u32) -> Self {
        let piece = Self::piece(content, tokens_predicted, tokens_evaluated);
        Self { stop: true, whole: Some(whole), ..piece }
    }

    /// The same without its text, which a stream has said already.
    pub(super) fn without_text(self) -> Self {
        Self { content: String::new(), ..self }
    }
}
