//! How `tokenizer.json` writes bytes as text, read off its decoder.

use serde_json::Value;

/// The mark that stands for a space in SentencePiece vocabularies.
const SPACE_MARK: char = '\u{2581}';

/// How the strings of a vocabulary stand for bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    /// Each character is a byte, by GPT-2's table.
    ByteLevel,
    /// Text with a mark for spaces; `<0x0A>` may stand for a byte.
    Marked { byte_fallback: bool },
    /// The text itself.
    Literal,
}

impl Coding {
    /// The coding of a `tokenizer.json`.
    pub(super) fn of(source: &Value) -> Self {
        let after = steps(&source["decoder"], "decoders");
        let before = steps(&source["pre_tokenizer"], "pretokenizers");
        let has = |steps: &[&Value], kind: &str| steps.iter().any(|step| step["type"] == kind);
        let marks = |step: &&Value| {
            step["type"] == "Metaspace" || step["pattern"]["String"].as_str() == Some("\u{2581}")
        };
        if has(&after, "ByteLevel") || (after.is_empty() && has(&before, "ByteLevel")) {
            return Self::ByteLevel;
        }
        let byte_fallback = has(&after, "ByteFallback");
        if byte_fallback || after.iter().chain(&before).any(marks) {
            return Self::Marked { byte_fallback };
        }
        Self::Literal
    }

    /// Appends the bytes that `token` stands for.
    pub(super) fn append(self, token: &str, bytes: &mut Vec<u8>) {
        match self {
            Self::ByteLevel => {
                let start = bytes.len();
                for char in token.chars() {
                    let Some(byte) = byte_level(char) else {
                        // Not of the table: the token was added as text.
                        bytes.truncate(start);
                        bytes.extend_from_slice(token.as_bytes());
                        return;
                    };
                    bytes.push(byte);
                }
            }
            Self::Marked { byte_fallback } => match fallback_byte(token).filter(|_| byte_fallback) {
                Some(byte) => bytes.push(byte),
                None => bytes.extend_from_slice(token.replace(SPACE_MARK, " ").as_bytes()),
            },
            Self::Literal => bytes.extend_from_slice(token.as_bytes()),
        }
    }
}

/// A step of the tokenizer, or the steps of a sequence of them.
fn steps<'a>(step: &'a Value, list: &str) -> Vec<&'a Value> {
    match step[list].as_array() {
        Some(steps) => steps.iter().collect(),
        None if step.is_object() => vec![step],
        None => Vec::new(),
    }
}

/// GPT-2's table: printable bytes are themselves, the others follow from U+0100 on.
fn byte_level(char: char) -> Option<u8> {
    let code = u32::from(char);
    match code {
        0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff => Some(code as u8),
        0x100..=0x120 => Some((code - 0x100) as u8),
        0x121..=0x142 => Some((code - 0x121 + 0x7f) as u8),
        0x143 => Some(0xad),
        _ => None,
    }
}

/// The byte of `<0x..>`.
fn fallback_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    let is_byte = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    is_byte.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn gpt2s_table_reaches_every_byte_once() {
        let mut bytes: Vec<u8> = (0..0x200).filter_map(|code| byte_level(char::from_u32(code)?)).collect();
        bytes.sort_unstable();
        assert_eq!(bytes, (0..=255).collect::<Vec<u8>>());
        assert_eq!(byte_level('Ġ'), Some(b' '));
        assert_eq!(byte_level('Ċ'), Some(b'\n'));
    }

    #[test]
    fn tokens_become_their_bytes() {
        let check = |coding: Coding, token: &str, expected: &[u8]| {
            let mut bytes = b"x".to_vec();
            coding.append(token, &mut bytes);
            assert_eq!(&bytes[1..], expected, "{coding:?} {token}");
        };
        check(Coding::ByteLevel, "Ġé", b" \xe9");
        check(Coding::ByteLevel, "a日", "a日".as_bytes());
        check(Coding::Marked { byte_fallback: true }, "\u{2581}\u{2581}a", b"  a");
        check(Coding::Marked { byte_fallback: true }, "<0xE6>", b"\xe6");
        check(Coding::Marked { byte_fallback: false }, "<0xE6>", b"<0xE6>");
        check(Coding::Marked { byte_fallback: true }, "<0x+6>", b"<0x+6>");
        check(Coding::Literal, "a", b"a");
    }

    #[test]
    fn the_decoder_says_how_bytes_are_written() {
        let check = |source: Value, expected: Coding| assert_eq!(Coding::of(&source), expected, "{source}");
        check(json!({"decoder": {"type": "ByteLevel"}}), Coding::ByteLevel);
        check(
            json!({"decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": "\u{2581}"}, "content": " "},
                {"type": "ByteFallback"}, {"type": "Fuse"}]}}),
            Coding::Marked { byte_fallback: true },
        );
        check(json!({"decoder": {"type": "Metaspace"}}), Coding::Marked { byte_fallback: false });
        check(
            json!({"decoder": null, "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                {"type": "Split"}, {"type": "ByteLevel"}]}}),
            Coding::ByteLevel,
        );
        check(json!({}), Coding::Literal);
    }
}
