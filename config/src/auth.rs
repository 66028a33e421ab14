//! `[auth]` and `[[auth.key]]`

use std::{fmt::Write, ops::RangeInclusive};

use serde::{Deserialize, Serialize};

use crate::{Moment, Network};

/// What the priority of a key may be.
pub const PRIORITIES: RangeInclusive<i32> = -100..=100;

/// Who may come in.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// Requests without a key are served, where keys exist and on addresses beyond this machine as well.
    pub allow_unauthenticated: bool,
    /// Those that are served may change which models the server has as well; absent: where `gateway.listen` is loopback.
    #[serde(default)]
    pub admin_without_keys: Option<bool>,
    /// Addresses that connections are taken from; empty: all.
    pub allow_addresses: Vec<Network>,
    /// Addresses that no connection is taken from, whatever `allow_addresses` says.
    pub deny_addresses: Vec<Network>,
    /// Keys beside those that `supervisorctl key add` makes.
    #[serde(default)]
    pub key: Vec<KeyEntry>,
}

/// A key and what it opens.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// What logs and metrics call whoever has it.
    pub name: String,
    /// The key itself. Only the source of a configuration has it: loading leaves its digest in `key_sha256`.
    #[serde(default)]
    pub key: Option<String>,
    /// The SHA-256 of the key, in hexadecimal digits.
    #[serde(default)]
    pub key_sha256: Option<String>,
    /// What it is for.
    #[serde(default = "inference")]
    pub scopes: Vec<Scope>,
    /// When it ceases to open anything; absent: never.
    #[serde(default)]
    pub expires: Option<Moment>,
    /// Names of the models that it opens, with `*` for any characters; empty: all models.
    #[serde(default)]
    pub models: Vec<String>,
    /// Requests that it may make in a minute; absent: without bound.
    #[serde(default)]
    pub requests_per_minute: Option<u32>,
    /// Tokens of prompts and answers that it may have in a minute; absent: without bound.
    #[serde(default)]
    pub tokens_per_minute: Option<u32>,
    /// Whose turn comes first where requests wait: that of who has more.
    #[serde(default)]
    pub priority: i32,
}

/// What a key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Using models.
    Inference,
    /// Looking into the server, its metrics and its slots, and changing it.
    Admin,
}

impl KeyEntry {
    /// A key for using all models, without bounds, known by its digest.
    pub fn new(name: String, digest: [u8; 32]) -> Self {
        Self {
            name,
            key: None,
            key_sha256: Some(hex(&digest)),
            scopes: inference(),
            expires: None,
            models: Vec::new(),
            requests_per_minute: None,
            tokens_per_minute: None,
            priority: 0,
        }
    }

    /// The digest of the key; `None` where `key_sha256` holds none, which loading refuses.
    pub fn digest(&self) -> Option<[u8; 32]> {
        parse_digest(self.key_sha256.as_deref()?)
    }
}

impl Scope {
    /// All that there are.
    pub const ALL: [Self; 2] = [Self::Inference, Self::Admin];

    /// The scope of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.name() == name)
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inference => "inference",
            Self::Admin => "admin",
        }
    }
}

/// A SHA-256 from its 64 hexadecimal digits.
pub fn parse_digest(hex: &str) -> Option<[u8; 32]> {
    let digits = hex.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(digest)
}

/// In hexadecimal digits.
pub(crate) fn hex(digest: &[u8]) -> String {
    digest.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

fn inference() -> Vec<Scope> {
    vec![Scope::Inference]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_64_hexadecimal_digits() {
        let check = |hex: &str, expected: Option<[u8; 32]>| assert_eq!(parse_digest(hex), expected, "{hex}");
        check(&"0f".repeat(32), Some([0x0f; 32]));
        check(&"AB".repeat(32), Some([0xab; 32]));
        check(&"0f".repeat(31), None);
        check(&"+f".repeat(32), None);
        check(&"ä".repeat(32), None);
        check("", None);
    }
}
