//! Text that arrives in pieces, in which tags are looked for.

/// What has arrived and is not yet said.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    text: String,
    /// Bytes of it that were taken.
    taken: usize,
}

/// What there is of tags in a text. The first tag that is complete counts; of several that begin at the same place,
/// the longest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The tag of this index begins here.
    Tag {
        /// The byte.
        at: usize,
        /// Among the tags looked for.
        tag: usize,
    },
    /// There is none before this byte; what comes from there on may be the beginning of one.
    Free(usize),
}

impl Buffer {
    /// Takes more text in.
    pub(super) fn push(&mut self, text: &str) {
        if self.taken > 0 {
            self.text.drain(..self.taken);
            self.taken = 0;
        }
        self.text.push_str(text);
    }

    /// What is not taken yet.
    pub(super) fn rest(&self) -> &str {
        &self.text[self.taken..]
    }

    /// Takes the next `bytes`, which end with a whole character.
    pub(super) fn take(&mut self, bytes: usize) -> &str {
        let from = self.taken;
        self.taken += bytes;
        &self.text[from..self.taken]
    }

    /// Takes all of it.
    pub(super) fn take_all(&mut self) -> &str {
        self.take(self.rest().len())
    }

    /// Takes the white space at its beginning; whether something else follows.
    pub(super) fn skip_space(&mut self) -> bool {
        let rest = self.rest();
        let space = rest.len() - rest.trim_start().len();
        self.taken += space;
        !self.rest().is_empty()
    }

    /// The first of `tags`. Where no more text is coming (`last`) the beginning of a tag is none.
    pub(super) fn find(&self, tags: &[&str], last: bool) -> Found {
        let rest = self.rest();
        for (at, _) in rest.char_indices() {
            let here = &rest.as_bytes()[at..];
            if !last && tags.iter().any(|tag| here.len() < tag.len() && tag.as_bytes().starts_with(here)) {
                return Found::Free(at);
            }
            let complete = |tag: &&str| !tag.is_empty() && here.starts_with(tag.as_bytes());
            let longest =
                tags.iter().enumerate().filter(|(_, tag)| complete(tag)).max_by_key(|(_, tag)| tag.len());
            if let Some((tag, _)) = longest {
                return Found::Tag { at, tag };
            }
        }
        Found::Free(rest.len())
    }

    /// Whether it begins with `tag`, which is then taken; none: it may still come to.
    pub(super) fn take_tag(&mut self, tag: &str, last: bool) -> Option<bool> {
        let rest = self.rest();
        if rest.starts_with(tag) {
            self.taken += tag.len();
            return Some(true);
        }
        if !last && tag.starts_with(rest) { None } else { Some(false) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_found_and_their_beginnings_kept() {
        let check = |text: &str, last: bool, expected: Found| {
            let mut buffer = Buffer::default();
            buffer.push(text);
            assert_eq!(buffer.find(&["<a>", "<ab>", "<a><c"], last), expected, "{text} {last}");
        };
        check("x<a", false, Found::Free(1));
        check("x<a", true, Found::Free(3));
        check("é<ab>", false, Found::Tag { at: 2, tag: 1 });
        check("<a>", false, Found::Free(0));
        check("<a>", true, Found::Tag { at: 0, tag: 0 });
        check("<a>x", false, Found::Tag { at: 0, tag: 0 });
        check("<a><c", false, Found::Tag { at: 0, tag: 2 });
        check("x < y", false, Found::Free(5));
    }

    #[test]
    fn what_is_taken_is_gone() {
        let mut buffer = Buffer::default();
        buffer.push(" \n<tag>re");
        assert!(buffer.skip_space());
        assert_eq!(buffer.take_tag("<tag>", false), Some(true));
        assert_eq!(buffer.take_tag("rest", false), None);
        buffer.push("st of it");
        assert_eq!(buffer.take(4), "rest");
        assert_eq!(buffer.take_tag("rest", false), Some(false));
        assert_eq!(buffer.take_all(), " of it");
        assert!(!buffer.skip_space());
    }
}
