//! Reading what stands before and between arguments, in text that is still growing.

/// Reads from the beginning of a text.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    text: &'a str,
    at: usize,
    last: bool,
}

/// Why something was not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Miss {
    /// The text ends too early; it may yet come.
    Short,
    /// The text is something else.
    Wrong,
}

impl<'a> Reader<'a> {
    /// A reader of `text`, to which nothing will be added if it is the `last`.
    pub(super) fn new(text: &'a str, last: bool) -> Self {
        Self { text, at: 0, last }
    }

    /// Bytes read.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Reads white space, if there is any.
    pub(super) fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    /// Reads `literal`.
    pub(super) fn literal(&mut self, literal: &str) -> Result<(), Miss> {
        self.one_of(&[literal]).map(|_| ())
    }

    /// Reads the first of `literals` that is there, and says its place among them.
    pub(super) fn one_of(&mut self, literals: &[&str]) -> Result<usize, Miss> {
        let rest = self.rest();
        if let Some(which) = literals.iter().position(|literal| rest.starts_with(literal)) {
            self.at += literals[which].len();
            return Ok(which);
        }
        let may_come = literals.iter().any(|literal| literal.starts_with(rest));
        Err(if may_come && !self.last { Miss::Short } else { Miss::Wrong })
    }

    /// Reads what stands before the first of `ends`, which may not be longer than `max_bytes`.
    pub(super) fn until(&mut self, ends: &[char], max_bytes: usize) -> Result<&'a str, Miss> {
        let rest = self.rest();
        match rest.find(ends) {
            Some(bytes) if bytes <= max_bytes => {
                self.at += bytes;
                Ok(&rest[..bytes])
            }
            None if rest.len() <= max_bytes && !self.last => Err(Miss::Short),
            _ => Err(Miss::Wrong),
        }
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }
}

#[cfg(test)]
mod tests {
    use super::{Miss, Reader};

    #[test]
    fn a_reader_says_whether_waiting_helps() {
        let check = |text: &str, expected: Result<(&str, usize), Miss>| {
            let read = |last| {
                let mut reader = Reader::new(text, last);
                reader.space();
                reader.literal("<f ")?;
                let name = reader.until(&['>', '"'], 3)?;
                reader.one_of(&[">", "\">"])?;
                Ok((name, reader.at()))
            };
            assert_eq!(read(false), expected, "{text:?}");
            assert_eq!(read(true), expected.map_err(|_| Miss::Wrong), "{text:?}, the last");
        };
        check(" \n<f abc>d", Ok(("abc", 9)));
        check("<f é\">", Ok(("é", 7)));
        check("", Err(Miss::Short));
        check(" <f", Err(Miss::Short));
        check("<f ab", Err(Miss::Short));
        check("<f ab\"", Err(Miss::Short));
        check("<g", Err(Miss::Wrong));
        check("<f ab\"x", Err(Miss::Wrong));
        check("<f abcd", Err(Miss::Wrong));
        check("<f abcd>", Err(Miss::Wrong));
    }
}
