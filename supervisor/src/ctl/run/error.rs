//! Why there is no answer, or no chat.

use std::{io, path::PathBuf};

use super::settings::SettingError;
use crate::ctl::http::HttpError;

#[derive(Debug, thiserror::Error)]
pub(in crate::ctl) enum RunError {
    #[error("nobody answers on {authority}: {source}; look at `supervisorctl status`")]
    Unreachable { authority: String, source: io::Error },
    #[error("the answer broke off: {0}; look at `supervisorctl status`")]
    Http(#[from] HttpError),
    #[error("the server refused with {status}: {message}{}", hint(*status))]
    Refused { status: u16, message: String },
    #[error("the answer failed: {0}")]
    Failed(String),
    #[error("the answer ended without its end; look at `supervisorctl logs gateway`")]
    Short,
    #[error("the answer is longer than {0} bytes")]
    Long(usize),
    #[error("cannot read the key in {}: {source}; name a file that holds nothing but a key", path.display())]
    Key { path: PathBuf, source: io::Error },
    #[error("there is no key in {}; `supervisorctl key add NAME` makes one", .0.display())]
    NoKey(PathBuf),
    #[error("cannot read the schema in {}: {source}; name a file, or write the schema itself", path.display())]
    SchemaFile { path: PathBuf, source: io::Error },
    #[error("the schema is not JSON: {0}")]
    Schema(serde_json::Error),
    #[error("{0}")]
    Setting(#[from] SettingError),
    #[error("cannot read standard input: {0}")]
    Input(io::Error),
    #[error("standard input is not text: it has to be UTF-8")]
    NotText,
    #[error("standard input has more than {0} bytes")]
    TooMuch(u64),
    #[error("there is nothing to say; give a prompt as an argument or through a pipe")]
    Nothing,
    #[error("a chat needs a terminal for its output; give a prompt for a single answer")]
    NoTerminal,
    #[error("the terminal cannot be read: {0}")]
    Editor(String),
}

/// What to do about a refusal, where it does not say so itself.
fn hint(status: u16) -> &'static str {
    match status {
        401 => {
            "; put a key into the environment variable IMPETUS_API_KEY, or into a file and name that with --key-file"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_lacks_a_key_is_told_how_to_give_one() {
        let told = |status| RunError::Refused { status, message: "no".into() }.to_string();
        assert_eq!(told(429), "the server refused with 429: no");
        assert!(told(401).contains("IMPETUS_API_KEY") && told(401).contains("--key-file"));
    }
}
