//! Tokens for servers that models are fetched from, in a file of the state folder for this user alone.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use crate::state_file;

/// The name of the file.
const FILE: &str = "hub-tokens.json";

/// The longest token, in bytes.
pub const MAX_TOKEN_BYTES: usize = 4096;

/// Where tokens are kept, by the address of their server.
#[derive(Debug, Clone)]
pub struct TokenFile(PathBuf);

impl TokenFile {
    /// The file in this state folder.
    pub fn new(state_dir: &Path) -> Self {
        Self(state_dir.join(FILE))
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The token for the server at this address; empty: there is none.
    pub fn token(&self, server: &str) -> String {
        self.read().remove(key(server)).unwrap_or_default()
    }

    /// Keeps a token for the server at this address, or with none forgets the one that there was. Whether there was one.
    pub fn set(&self, server: &str, token: Option<&str>) -> io::Result<bool> {
        let mut tokens = self.read();
        let former = match token {
            Some(token) => tokens.insert(key(server).to_owned(), token.to_owned()),
            None => tokens.remove(key(server)),
        };
        state_file::write(&self.0, &tokens)?;
        Ok(former.is_some())
    }

    fn read(&self) -> BTreeMap<String, String> {
        state_file::read(&self.0)
    }
}

/// Whether this can be a token: what an HTTP header can carry, without spaces.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_TOKEN_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn key(server: &str) -> &str {
    server.trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    #[test]
    fn a_token_is_that_of_its_server_and_nobody_else_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = TokenFile::new(dir.path());
        assert_eq!(file.token("https://hub.example"), "");
        assert!(!file.set("https://hub.example/", Some("hf_1")).unwrap());
        assert!(file.set("https://hub.example", Some("hf_2")).unwrap());
        assert_eq!(file.token("https://hub.example/"), "hf_2");
        assert_eq!(file.token("https://hub.example.org"), "");
        let mode = fs::metadata(file.path()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(file.set("https://hub.example", None).unwrap());
        assert_eq!(file.token("https://hub.example"), "");
    }

    #[test]
    fn what_no_header_can_carry_is_no_token() {
        let check = |text: &str, is_one: bool| assert_eq!(is_token(text), is_one, "{text:?}");
        check("hf_abcDEF", true);
        check("", false);
        check("a b", false);
        check("a\r\nX: y", false);
        check("é", false);
        check(&"x".repeat(5000), false);
    }
}
