//! The lines of a Modelfile, and the values that go beyond one.

use std::{iter::Enumerate, str};

use super::ModelfileError;

/// What stands around values; the longer one first.
const QUOTES: [&str; 2] = ["\"\"\"", "\""];

/// What is left of a text.
pub(super) struct Lines<'a>(Enumerate<str::Lines<'a>>);

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self(text.lines().enumerate())
    }

    /// The next line that says something, and its number.
    pub(super) fn next_said(&mut self) -> Option<(usize, &'a str)> {
        let mut said = self.0.by_ref().map(|(index, line)| (index + 1, line.trim_start()));
        said.find(|(_, line)| !line.is_empty() && !line.starts_with('#'))
    }

    /// The value that begins with `first` on this line.
    pub(super) fn value(&mut self, line: usize, first: &'a str) -> Result<String, ModelfileError> {
        let Some(quote) = QUOTES.into_iter().find(|quote| first.starts_with(quote)) else {
            return Ok(first.trim_end().to_owned());
        };
        let (_, begun) = first.split_at(quote.len());
        if let Some(whole) = begun.trim_end().strip_suffix(quote) {
            return Ok(whole.to_owned());
        }
        let mut value = begun.to_owned();
        for (_, next) in self.0.by_ref() {
            value.push('\n');
            match next.trim_end().strip_suffix(quote) {
                Some(last) => return Ok(value + last),
                None => value.push_str(next),
            }
        }
        Err(ModelfileError::Open { line, quote })
    }
}
