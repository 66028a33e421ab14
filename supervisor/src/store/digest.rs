//! The content of a file, as a number.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
    str::FromStr,
};

use sha2::{Digest as _, Sha256};

/// What is read at once, in bytes.
const BLOCK_BYTES: usize = 1 << 20;

/// A SHA-256. Never part of a path: it is bytes, not text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

/// A text is no SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 has 64 hexadecimal digits")]
pub struct NoDigest;

impl Digest {
    /// That of a file, which is read to its end: a second for a gigabyte.
    pub fn of(path: &Path) -> io::Result<Self> {
        Self::of_while(path, || true)?.ok_or_else(|| io::ErrorKind::Interrupted.into())
    }

    /// The same, unless `goes_on` says no on the way.
    pub fn of_while(path: &Path, goes_on: impl Fn() -> bool) -> io::Result<Option<Self>> {
        let mut file = File::open(path)?;
        let (mut hash, mut block) = (Sha256::new(), vec![0; BLOCK_BYTES]);
        while goes_on() {
            let read = file.read(&mut block)?;
            match block.get(..read) {
                Some(read) if !read.is_empty() => hash.update(read),
                _ => return Ok(Some(Self(hash.finalize().into()))),
            }
        }
        Ok(None)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl FromStr for Digest {
    type Err = NoDigest;

    fn from_str(text: &str) -> Result<Self, NoDigest> {
        let digits = text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok()));
        let digits: Vec<u8> = digits.collect::<Option<_>>().ok_or(NoDigest)?;
        let bytes: Vec<u8> =
            digits.chunks(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect();
        if digits.len() == 64 { bytes.try_into().map(Self).map_err(|_| NoDigest) } else { Err(NoDigest) }
    }
}
