//! By what a blob is known.

use std::fmt::{self, Write};

use impetus_proto::Error;

/// The SHA-256 of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dialect::ollama) struct Digest([u8; 32]);

impl Digest {
    /// `sha256:` or `sha256-`, and 64 hexadecimal digits.
    pub(in crate::dialect::ollama) fn read(text: &str) -> Option<Self> {
        let hex = text.strip_prefix("sha256:").or_else(|| text.strip_prefix("sha256-"))?;
        if hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(hex.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// That of a path.
    pub(super) fn of_path(text: &str) -> Result<Self, Error> {
        let expected = || Error::invalid("digest", "a blob's digest is sha256: and 64 hexadecimal digits");
        Self::read(text).ok_or_else(expected)
    }

    /// Of these bytes.
    pub(super) fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its digits.
    pub(in crate::dialect::ollama) fn hex(&self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "sha256:{}", self.hex())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_nothing_else() {
        let hex = "0123456789abcdef".repeat(4);
        let check = |text: &str, expected: Option<String>| {
            assert_eq!(Digest::read(text).map(|digest| digest.to_string()), expected, "{text:?}");
        };
        let whole = format!("sha256:{hex}");
        check(&whole, Some(whole.clone()));
        check(&format!("sha256-{}", hex.to_uppercase()), Some(whole.clone()));
        check(&hex, None);
        check("sha256:", None);
        check("", None);
        check(&format!("md5:{hex}"), None);
        check(&format!("sha256:{hex}0"), None);
        check(&format!("sha256:{}+1", "0".repeat(62)), None);
        check(&format!("sha256:../{}", "0".repeat(61)), None);
        check(&format!("sha256:{}", "é".repeat(32)), None);
    }
}
