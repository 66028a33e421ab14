//! What a sequence tells its reader.

use std::time::Duration;

use smallvec::SmallVec;

use crate::{
    engine::TokenId,
    output::{Part, Parts, Stopped},
    sampling::Score,
};

/// One thing that it tells.
#[derive(Debug, PartialEq)]
pub enum Event {
    /// How probable each token of the prompt is, before anything else. The first one has none before it: its score
    /// says nothing.
    Prompt(Vec<(TokenId, Score)>),
    /// Tokens were sampled.
    Tokens(Said),
    /// The sequence was over when it came in: a replay of tokens that had ended it.
    Over {
        /// The position behind the last token.
        index: u32,
        /// How it ended.
        ending: Ending,
    },
    /// The sequence could not go on. The text says why.
    Failed(String),
}

/// The tokens of one completion that came of one step: most often one, and those that were guessed before it. They may
/// add nothing yet: half a character, or the beginning of what may be a stop or a tag.
#[derive(Debug, Default, PartialEq)]
pub struct Said {
    /// The position of the first one in the completion.
    pub index: u32,
    /// The tokens.
    pub tokens: SmallVec<[TokenId; 4]>,
    /// What they add to the output.
    pub parts: Parts,
    /// How probable each was, where that is asked for.
    pub scores: Vec<Score>,
    /// Set when the last of them was the last of all.
    pub ending: Option<Box<Ending>>,
}

/// How a sequence ended by itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Ending {
    /// Why.
    pub reason: FinishReason,
    /// What was held back until now.
    pub rest: Vec<Part>,
    /// Whether tools were called.
    pub called: bool,
    /// Tokens by kind.
    pub usage: Usage,
    /// Where the time went.
    pub timings: Timings,
}

/// Why a sequence ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FinishReason {
    /// The model's end token.
    End,
    /// This stop string.
    StopString(String),
    /// `max_tokens`, or the slot's context.
    Length,
}

/// Tokens of a sequence by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Of the prompt.
    pub prompt_tokens: u32,
    /// Of the prompt, not computed for it: a slot held them, or they were kept.
    pub cached_tokens: u32,
    /// Of the completion.
    pub completion_tokens: u32,
    /// Of the completion, thought before the answer.
    pub reasoning_tokens: u32,
}

/// Where a sequence's time went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timings {
    /// From submission to a slot.
    pub queue: Duration,
    /// From the slot to the first token.
    pub prefill: Duration,
    /// From the first token to the last.
    pub decode: Duration,
}

impl From<Stopped> for FinishReason {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::EndToken => Self::End,
            Stopped::StopString(text) => Self::StopString(text),
        }
    }
}
