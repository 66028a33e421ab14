//! The text that a custom tool takes, as the one argument of the function that stands for it.

use std::collections::HashMap;

/// The one argument of a custom tool.
pub(super) const INPUT: &str = "input";

/// The longest that is written for one character in JSON, but for its last byte: `\ud83d\ude0` of `\ud83d\ude00`.
const MAX_ESCAPE_BYTES: usize = 11;

/// The arguments of the function that stands for a custom tool.
pub(in crate::dialect::openai::responses) fn custom_arguments(input: &str) -> String {
    serde_json::json!({ INPUT: input }).to_string()
}

/// The text that a custom tool was called with, as far as it goes where the arguments are cut; whatever the arguments are
/// where they are not what was asked for.
pub(in crate::dialect::openai::responses) fn custom_input(arguments: &str) -> String {
    let read = serde_json::from_str::<HashMap<String, String>>(arguments);
    let whole = read.ok().and_then(|mut read| read.remove(INPUT));
    whole.or_else(|| begun_input(arguments)).unwrap_or_else(|| arguments.to_owned())
}

/// The text within arguments of which the end may be missing.
fn begun_input(arguments: &str) -> Option<String> {
    let name = format!("\"{INPUT}\"");
    let mut rest = arguments;
    for expected in ["{", &name, ":"] {
        rest = rest.trim_start();
        if rest.len() < expected.len() && expected.starts_with(rest) {
            return Some(String::new());
        }
        rest = rest.strip_prefix(expected)?;
    }
    let text = rest.trim_start();
    if text.is_empty() {
        return Some(String::new());
    }
    // Whatever comes behind the text is not read.
    if let Some(Ok(whole)) = serde_json::Deserializer::from_str(text).into_iter().next() {
        return Some(whole);
    }
    let whole_chars = |n_cut: usize| text.get(..text.len().checked_sub(n_cut)?);
    (0..=MAX_ESCAPE_BYTES)
        .filter_map(whole_chars)
        .find_map(|begun| serde_json::from_str(&format!("{begun}\"")).ok())
}

#[cfg(test)]
mod tests;
