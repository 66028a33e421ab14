//! What of a file's own text goes into messages.

/// The most characters of a name from a file that a message shows.
const CHARACTERS: usize = 64;

/// At most 64 characters of a text from a file, for messages.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().take(CHARACTERS).collect()
}
