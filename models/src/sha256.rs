//! SHA-256 digests as people and servers write them. What computes them is not here.

use std::{fmt, str::FromStr};

/// A SHA-256. Never part of a path as it was written: it is bytes, not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(pub [u8; 32]);

/// A text is no SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 has 64 hexadecimal digits")]
pub struct NoSha256;

impl FromStr for Sha256 {
    type Err = NoSha256;

    /// 64 hexadecimal digits, perhaps after `sha256:`.
    fn from_str(text: &str) -> Result<Self, NoSha256> {
        from_hex(text.strip_prefix("sha256:").unwrap_or(text)).map(Self).ok_or(NoSha256)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The bytes of which `text` has the hexadecimal digits, two each and nothing else.
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |c: char| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let digits: Vec<u8> = text.chars().map(digit).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    (digits.len() == 2 * N).then_some(bytes)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_what_was_written() {
        let text = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        let check = |written: &str| {
            assert_eq!(written.parse::<Sha256>().map(|digest| digest.to_string()), Ok(text.to_owned()));
        };
        check(text);
        check(&format!("sha256:{text}"));
        check(&text.to_uppercase());
    }

    #[test]
    fn what_is_no_digest_is_none() {
        for text in ["", "abc", "../../etc/passwd", &"g".repeat(64), &"0".repeat(63), &"é".repeat(32)] {
            assert_eq!(text.parse::<Sha256>(), Err(NoSha256), "{text:?}");
        }
        assert_eq!(from_hex("00ff"), Some([0, 255]));
        assert_eq!(from_hex::<2>("00f"), None);
    }
}
