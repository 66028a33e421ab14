//! Where a JSON value ends, in text that arrives in pieces.

/// Follows one JSON value byte by byte. It does not check the value: it tells where it ends, or that it is none.
#[derive(Debug, Clone, Default)]
pub(in crate::output) struct Extent {
    depth: u32,
    in_string: bool,
    escaped: bool,
    scalar: bool,
}

/// What a byte is to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::output) enum Place {
    /// Part of it.
    Within,
    /// Its last one.
    Last,
    /// The first one behind it.
    Behind,
    /// Of no JSON value.
    Wrong,
}

impl Extent {
    /// Takes the next byte; the first one is not white space.
    pub(in crate::output) fn push(&mut self, byte: u8) -> Place {
        if self.in_string {
            return self.push_string(byte);
        }
        if self.scalar && !matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'-' | b'.') {
            return Place::Behind;
        }
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' if self.depth == 0 => return Place::Wrong,
            b'}' | b']' => {
                self.depth -= 1;
                if self.depth == 0 {
                    return Place::Last;
                }
            }
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'-' | b'.' => self.scalar = self.depth == 0,
            b' ' | b'\t' | b'\n' | b'\r' | b',' | b':' if self.depth > 0 => {}
            _ => return Place::Wrong,
        }
        Place::Within
    }

    fn push_string(&mut self, byte: u8) -> Place {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => {
                self.in_string = false;
                if self.depth == 0 {
                    return Place::Last;
                }
            }
            _ => {}
        }
        Place::Within
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_where_they_end() {
        let check = |text: &str, expected: Option<&str>| {
            let mut extent = Extent::default();
            let end = text.bytes().enumerate().find_map(|(at, byte)| match extent.push(byte) {
                Place::Within => None,
                Place::Last => Some(Some(&text[..=at])),
                Place::Behind => Some(Some(&text[..at])),
                Place::Wrong => Some(None),
            });
            assert_eq!(end.flatten(), expected, "{text}");
        };
        check(r#"{"a": "}\"]", "b": [1, {}]} x"#, Some(r#"{"a": "}\"]", "b": [1, {}]}"#));
        check(r#""a\\" "#, Some(r#""a\\""#));
        check("-1.5e3,", Some("-1.5e3"));
        check("null}", Some("null"));
        check("[[]]]", Some("[[]]"));
        check("}", None);
        check("{<", None);
    }
}
