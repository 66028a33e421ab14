//! What servers say that a file is, and what it is.

use std::{
    fmt::{self, Write as _},
    fs::File,
    io::{self, Read},
};

use impetus_models::{Sha256, from_hex};
use sha1::Sha1;
use sha2::Digest as _;

/// What is read at once, in bytes.
const BLOCK_BYTES: usize = 1 << 20;

/// What a server says that a file's content is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Digest {
    /// SHA-256 of the content: of large files on the hub, of everything in Ollama's registry.
    Sha256(Sha256),
    /// What git calls a blob: SHA-1 of `blob LENGTH\0` and the content. Of small files on the hub.
    GitBlob([u8; 20]),
}

/// The digests of a file that is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Digests {
    pub(crate) sha256: Sha256,
    git: [u8; 20],
}

impl Digest {
    /// 64 hexadecimal digits, perhaps after `sha256:` or in quotes.
    pub(crate) fn sha256(text: &str) -> Option<Self> {
        text.trim_matches('"').parse().ok().map(Self::Sha256)
    }

    /// 40 hexadecimal digits.
    pub(crate) fn git_blob(text: &str) -> Option<Self> {
        from_hex(text).map(Self::GitBlob)
    }

    pub(crate) fn is_of(&self, digests: &Digests) -> bool {
        match self {
            Self::Sha256(expected) => *expected == digests.sha256,
            Self::GitBlob(expected) => *expected == digests.git,
        }
    }
}

impl Digests {
    /// Reads a file from its beginning to its end, which takes a second for a gigabyte.
    pub(crate) fn of(file: &File, bytes: u64) -> io::Result<Self> {
        let mut file = file;
        io::Seek::rewind(&mut file)?;
        let (mut sha256, mut git) = (sha2::Sha256::new(), Sha1::new());
        git.update(format!("blob {bytes}\0"));
        // Git's digest is that of small files; of large ones nobody knows it.
        let is_small = bytes <= BLOCK_BYTES as u64 * 64;
        let mut block = vec![0; BLOCK_BYTES];
        loop {
            let read = file.read(&mut block)?;
            let Some(read) = block.get(..read).filter(|read| !read.is_empty()) else { break };
            sha256.update(read);
            if is_small {
                git.update(read);
            }
        }
        Ok(Self { sha256: Sha256(sha256.finalize().into()), git: git.finalize().into() })
    }
}

/// As people read it.
impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sha256(sha256) => write!(formatter, "sha256:{sha256}"),
            Self::GitBlob(bytes) => write!(formatter, "git:{}", hex(bytes)),
        }
    }
}

impl Digest {
    /// In hex, if it is one.
    pub(crate) fn as_sha256(&self) -> Option<String> {
        if let Self::Sha256(sha256) = self { Some(sha256.to_string()) } else { None }
    }

    /// In hex, if it is one.
    pub(crate) fn as_git_blob(&self) -> Option<String> {
        if let Self::GitBlob(bytes) = self { Some(hex(bytes)) } else { None }
    }
}

/// In lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_digest_is_that_of_its_content() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"hello\n").unwrap();
        let digests = Digests::of(&file, 6).unwrap();
        let check = |digest: Option<Digest>, holds: bool| {
            assert_eq!(digest.map(|digest| digest.is_of(&digests)), Some(holds), "{digest:?}");
        };
        // `printf 'hello\n' | sha256sum` and `git hash-object`.
        let sha = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        check(Digest::sha256(sha), true);
        check(Digest::sha256(&format!("\"sha256:{sha}\"")), true);
        check(Digest::git_blob("ce013625030ba8dba906f756967f9e9ca394464a"), true);
        check(Digest::git_blob("de013625030ba8dba906f756967f9e9ca394464a"), false);
        check(Digest::sha256(&sha.replace('5', "6")), false);
    }
}
