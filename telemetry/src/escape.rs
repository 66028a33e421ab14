//! What a child prints may not move a terminal's cursor or forge a log line.

use std::{borrow::Cow, fmt::Write};

/// The text of one captured line with every control character except the tab, and every character that changes
/// the direction of text, written as `\u{1b}`; what is not UTF-8 becomes U+FFFD. A line break counts as a control
/// character: cut lines first. Backslashes stay as they are, so this cannot be undone.
pub fn escape(line: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(line);
    if !text.contains(is_hidden) {
        return text;
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hidden(c) {
            write!(escaped, "\\u{{{:x}}}", u32::from(c)).expect("writing to a String cannot fail");
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

fn is_hidden(c: char) -> bool {
    let reorders = matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    (c.is_control() && c != '\t') || reorders
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_written_out() {
        let check = |input: &[u8], expected: &str| assert_eq!(escape(input), expected, "{input:?}");
        check(b"plain\ttext \\n", "plain\ttext \\n");
        check("größe 日本 🙂".as_bytes(), "größe 日本 🙂");
        check(b"\x1b[2Jcleared\x07", "\\u{1b}[2Jcleared\\u{7}");
        check(b"a\r\nb\0", "a\\u{d}\\u{a}b\\u{0}");
        check("c1 \u{9b}31m".as_bytes(), "c1 \\u{9b}31m");
        check("\u{202e}gpj.exe".as_bytes(), "\\u{202e}gpj.exe");
        check(b"broken \xff utf", "broken \u{fffd} utf");
        check(b"", "");
    }

    #[test]
    fn a_clean_line_is_not_copied() {
        assert!(matches!(escape(b"clean"), Cow::Borrowed(_)));
    }
}
