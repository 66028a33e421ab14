//! Bytes that arrive in pieces, made text without ever splitting a character.

/// Joins pieces of UTF-8. The text is what `String::from_utf8_lossy` makes of all bytes together: a character is
/// held until it is complete, and bytes that can belong to none become U+FFFD.
#[derive(Debug, Clone, Default)]
pub struct Detokenizer {
    /// The beginning of a character, three bytes at most between calls.
    pending: Vec<u8>,
}

impl Detokenizer {
    /// Appends to `text` what `bytes` complete.
    pub fn push(&mut self, bytes: &[u8], text: &mut String) {
        if self.pending.is_empty() {
            let held = append_complete(bytes, text);
            self.pending.extend_from_slice(held);
        } else {
            self.pending.extend_from_slice(bytes);
            let held = append_complete(&self.pending, text).len();
            self.pending.drain(..self.pending.len() - held);
        }
    }

    /// Appends to `text` what is still held: nothing, or U+FFFD for a character that never became complete.
    pub fn finish(&mut self, text: &mut String) {
        if !self.pending.is_empty() {
            self.pending.clear();
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
}

/// Appends all of `bytes` but the character that they end in the middle of, which is returned.
fn append_complete<'a>(bytes: &'a [u8], text: &mut String) -> &'a [u8] {
    let mut passed = 0;
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        let invalid = chunk.invalid();
        passed += chunk.valid().len() + invalid.len();
        let ends_early = || std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
        if passed == bytes.len() && ends_early() {
            return invalid;
        }
        if !invalid.is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    &[]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Detokenizer;

    fn joined(pieces: &[Vec<u8>]) -> String {
        let mut detokenizer = Detokenizer::default();
        let mut text = String::new();
        for piece in pieces {
            detokenizer.push(piece, &mut text);
        }
        detokenizer.finish(&mut text);
        text
    }

    #[test]
    fn characters_are_held_until_complete() {
        let check = |pieces: &[&[u8]], expected: &[&str]| {
            let mut detokenizer = Detokenizer::default();
            for (piece, expected) in pieces.iter().zip(expected) {
                let mut text = String::new();
                detokenizer.push(piece, &mut text);
                assert_eq!(text, *expected, "after {piece:x?} of {pieces:x?}");
            }
            let mut rest = String::new();
            detokenizer.finish(&mut rest);
            assert_eq!(rest, expected[pieces.len()], "at the end of {pieces:x?}");
        };
        check(&[b"abc"], &["abc", ""]);
        check(&[b"\xe2", b"\x82", b"\xac!"], &["", "", "\u{20ac}!", ""]);
        check(&[b"x\xf0\x9f", b"\x98\x80"], &["x", "\u{1f600}", ""]);
        check(&[b"\xf0\x9f\x98"], &["", "\u{fffd}"]);
        check(&[b"\xe2\x82", b"a"], &["", "\u{fffd}a", ""]);
        check(&[b"\xff", b"\x80a"], &["\u{fffd}", "\u{fffd}a", ""]);
    }

    /// Bytes that are likely to be almost UTF-8.
    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let character = prop_oneof![any::<char>(), Just('\u{20ac}'), Just('\u{1f600}')];
        let part = prop_oneof![
            4 => character.prop_map(|c| c.to_string().into_bytes()),
            1 => any::<u8>().prop_map(|byte| vec![byte]),
            1 => Just(vec![0xf0, 0x9f]),
        ];
        prop::collection::vec(part, 0..24).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn pieces_give_the_text_of_the_whole(bytes in bytes(), cuts in prop::collection::vec(0..64_usize, 0..12)) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<Vec<u8>> = cuts.windows(2).map(|cut| bytes[cut[0]..cut[1]].to_vec()).collect();
            prop_assert_eq!(joined(&pieces), String::from_utf8_lossy(&bytes));
        }
    }
}
