//! How probable tokens were, in the two shapes that OpenAI has for it.

mod chat;
mod completion;

pub(super) use chat::ChatLogprobs;
pub(super) use completion::CompletionLogprobs;

/// The most alternatives of a token that can be asked for, as the API defines it.
pub(in crate::dialect) const MAX_TOP: i64 = 20;

/// What is said for a probability of nothing, since JSON knows no infinity.
const LEAST: f32 = -9999.0;

/// A log probability as JSON has it.
pub(in crate::dialect) fn finite(logprob: f32) -> f32 {
    logprob.max(LEAST)
}

/// A token's text; the bytes of one that is not whole characters are written as `\xe2`, behind `prefix`.
pub(in crate::dialect) fn text(bytes: &[u8], prefix: &str) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().fold(prefix.to_owned(), |mut text, byte| {
            use std::fmt::Write;
            // Writing to a string does not fail.
            let _ = write!(text, "\\x{byte:02x}");
            text
        }),
    }
}

#[cfg(test)]
mod tests;
