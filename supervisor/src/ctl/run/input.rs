//! Inputs of several lines: between two `"""`, or with a backslash at the end of each line but the last.

/// The marks around a block.
const MARK: &str = "\"\"\"";

/// What was typed of an input so far.
#[derive(Debug, Default)]
pub(super) struct Input {
    lines: Vec<String>,
    is_block: bool,
}

/// A whole input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Typed {
    pub(super) text: String,
    /// Whether it was marked as a text, so that it is no command whatever it begins with.
    pub(super) is_block: bool,
}

impl Input {
    /// Takes in a line, which may be several that were pasted; answers with the input when it is whole.
    pub(super) fn push(&mut self, line: &str) -> Option<Typed> {
        let mut line = line;
        if self.lines.is_empty()
            && !self.is_block
            && let Some(rest) = line.trim_start().strip_prefix(MARK)
        {
            self.is_block = true;
            line = rest;
        }
        if self.is_block {
            let end = line.trim_end().strip_suffix(MARK);
            self.lines.push(end.unwrap_or(line).to_owned());
            return end.map(|_| self.take());
        }
        if let Some(begin) = line.strip_suffix('\\') {
            self.lines.push(begin.to_owned());
            return None;
        }
        self.lines.push(line.to_owned());
        Some(self.take())
    }

    /// Whether more is to come.
    pub(super) fn is_open(&self) -> bool {
        self.is_block || !self.lines.is_empty()
    }

    /// Drops what was typed.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn take(&mut self) -> Typed {
        let Self { lines, is_block } = std::mem::take(self);
        let text = lines.join("\n");
        // The lines of the marks themselves are no part of the text.
        let text = if is_block { text.trim_matches('\n').to_owned() } else { text };
        Typed { text, is_block }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_whole_when_it_is() {
        let check = |lines: &[&str], expected: &str, is_block: bool| {
            let mut input = Input::default();
            let (last, before) = lines.split_last().unwrap();
            for line in before {
                assert_eq!(input.push(line), None, "{lines:?} at {line:?}");
                assert!(input.is_open());
            }
            assert_eq!(input.push(last), Some(Typed { text: expected.into(), is_block }), "{lines:?}");
            assert!(!input.is_open());
        };
        check(&["hello"], "hello", false);
        check(&[""], "", false);
        check(&["a\\", "b"], "a\nb", false);
        check(&["a\\", "b\\", ""], "a\nb\n", false);
        check(&["\"\"\"a\"\"\""], "a", true);
        check(&["\"\"\"", "a", "", "/b", "\"\"\""], "a\n\n/b", true);
        check(&["\"\"\"a", "b\\", "c\"\"\" "], "a\nb\\\nc", true);
        check(&["say \"\"\" here"], "say \"\"\" here", false);
        check(&["pasted\nlines"], "pasted\nlines", false);
        check(&["\"\"\"pasted\nlines\"\"\""], "pasted\nlines", true);
        check(&["a\\", "\"\"\"b"], "a\n\"\"\"b", false);
    }

    #[test]
    fn what_was_typed_can_be_dropped() {
        let mut input = Input::default();
        input.push("\"\"\"a");
        input.clear();
        assert_eq!(input.push("b").map(|typed| typed.text).as_deref(), Some("b"));
    }
}
