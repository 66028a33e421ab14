//! `choices[].logprobs` of a completion.

use std::collections::BTreeMap;

use impetus_proto::worker::{self, TokenLogprobs};
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::{finite, text};

/// Before the bytes of a token that is not whole characters.
const BYTES: &str = "bytes:";

/// Lists of what is known of each token, all of one length.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(in crate::dialect::openai) struct CompletionLogprobs {
    tokens: Vec<String>,
    /// Null for the first token of all, which nothing stands before.
    token_logprobs: Vec<Option<f32>>,
    #[schemars(with = "Vec<Option<BTreeMap<String, f32>>>")]
    top_logprobs: Vec<Option<Top>>,
    /// Where the token begins in the choice's text, in characters.
    text_offset: Vec<usize>,
}

/// Tokens and their log probabilities, as an object.
#[derive(Debug)]
struct Top(Vec<(String, f32)>);

impl CompletionLogprobs {
    /// Adds the tokens of an echoed prompt. A token that its text does not show, as one that begins every text, stands
    /// where the next one begins.
    pub(in crate::dialect::openai) fn add_prompt(&mut self, prompt: &worker::Prompt) {
        let mut rest = prompt.text.as_bytes();
        let mut offset = 0;
        for (i, token) in prompt.logprobs.iter().enumerate() {
            self.push(token, offset, i > 0);
            if let Some(behind) = rest.strip_prefix(&token.text[..]) {
                rest = behind;
                offset += n_chars(&token.text);
            }
        }
    }

    /// Adds tokens that were generated, the first of which begins at `offset`; answers where the last one ends.
    pub(in crate::dialect::openai) fn add(&mut self, tokens: &[TokenLogprobs], offset: usize) -> usize {
        tokens.iter().fold(offset, |offset, token| {
            self.push(token, offset, true);
            offset + n_chars(&token.text)
        })
    }

    fn push(&mut self, token: &TokenLogprobs, offset: usize, is_known: bool) {
        self.tokens.push(text(&token.text, BYTES));
        self.token_logprobs.push(is_known.then(|| finite(token.logprob)));
        self.top_logprobs.push(is_known.then(|| Top::of(token)));
        self.text_offset.push(offset);
    }
}

impl Top {
    /// The most probable tokens, and the one itself wherever it stands.
    fn of(token: &TokenLogprobs) -> Self {
        let listed = token.top.iter().map(|top| (&top.text, top.logprob));
        let mut entries: Vec<(String, f32)> = Vec::with_capacity(token.top.len() + 1);
        for (bytes, logprob) in listed.chain([(&token.text, token.logprob)]) {
            let text = text(bytes, BYTES);
            if entries.iter().all(|(known, _)| *known != text) {
                entries.push((text, finite(logprob)));
            }
        }
        Self(entries)
    }
}

impl Serialize for Top {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(text, logprob)| (text, logprob)))
    }
}

/// Characters that begin in `bytes`, which need not be whole ones.
pub(in crate::dialect::openai) fn n_chars(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte & 0b1100_0000 != 0b1000_0000).count()
}
