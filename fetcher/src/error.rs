//! Why a model cannot be fetched, and what the supervisor is told of it.

use std::{
    io,
    path::{Path, PathBuf},
};

use impetus_models::ReferenceError;
use impetus_proto::{Code, Error};
use reqwest::StatusCode;

/// Seconds after which something that is down may be tried again.
const RETRY_S: u32 = 30;

/// The longest message that is told.
const MAX_MESSAGE_CHARS: usize = 4096;

/// By what whoever wants the model does next.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    #[error("{what} cannot be used: {why}; check the settings of [pull]")]
    Setting { what: &'static str, why: String },
    #[error(
        "{url} does not answer: {why}; check the network, pull.proxy and pull.hub, and try again: it goes on from there"
    )]
    Network { url: String, why: String },
    #[error("{what} is not there ({url} answers 404); check how it is written")]
    NotFound { what: String, url: String },
    #[error(
        "{what} is gated or private ({url} answers {status}): accept its terms on its page, then `supervisorctl login` \
         with a token that may read it"
    )]
    Gated { what: String, url: String, status: StatusCode },
    #[error(
        "{what} is not there, or is private or gated ({url} answers {status}): check how it is written; if it is, accept \
         its terms on its page, then `supervisorctl login` with a token that may read it"
    )]
    Hidden { what: String, url: String, status: StatusCode },
    #[error("{url} asks to be left alone for {seconds} s; try again then: it goes on from there")]
    Limited { url: String, seconds: u32 },
    #[error("{url} answers {status}")]
    Status { url: String, status: StatusCode },
    #[error("{url} answers what is not understood: {why}")]
    Garbled { url: String, why: String },
    #[error("{url} changed while it was fetched, again and again; pull it when it no longer does")]
    Changed { url: String },
    #[error("{what} holds nothing that can be served: {why}")]
    Nothing { what: String, why: String },
    #[error("{what} would have {n_files} files, more than any model has")]
    TooMany { what: String, n_files: usize },
    #[error("{what} has no {variant:?}; it has {there}")]
    Variant { what: String, variant: String, there: String },
    #[error(
        "no quantization of {what} fits: {smallest} is the smallest and takes {need}, and models may take {room} on this \
         machine; name one to fetch it nevertheless"
    )]
    NoFit { what: String, smallest: String, need: String, room: String },
    #[error(
        "{path} came with the wrong content twice: the server says {expected}, and what came is sha256:{got}; nothing of it \
         was kept"
    )]
    Digest { path: String, expected: String, got: String },
    #[error(
        "there is no room for it: {needed} have to come and {free} are free on the disk of {}, of which {reserve} stay free \
         (pull.reserve)", path.display()
    )]
    Room { path: PathBuf, needed: String, free: String, reserve: String },
    #[error("{} cannot be written: {source}", path.display())]
    Disk { path: PathBuf, source: io::Error },
}

impl FetchError {
    pub(crate) fn disk(path: &Path, source: io::Error) -> Self {
        Self::Disk { path: path.to_owned(), source }
    }

    /// Whether the disk is full, or what this user may have of it.
    pub(crate) fn is_full(&self) -> bool {
        use io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::Disk { source, .. } if [StorageFull, QuotaExceeded].contains(&source.kind()))
    }

    fn code(&self) -> Code {
        match self {
            Self::Reference(_) | Self::Setting { .. } => Code::InvalidRequest,
            Self::NotFound { .. } | Self::Hidden { .. } | Self::Variant { .. } => Code::NotFound,
            Self::Gated { status: StatusCode::UNAUTHORIZED, .. } => Code::Unauthenticated,
            Self::Gated { .. } => Code::Forbidden,
            Self::Limited { .. } => Code::RateLimited,
            Self::Network { .. }
            | Self::Status { .. }
            | Self::Garbled { .. }
            | Self::Changed { .. }
            | Self::Digest { .. } => Code::Unavailable,
            Self::Nothing { .. } | Self::TooMany { .. } => Code::Unprocessable,
            Self::NoFit { .. } | Self::Room { .. } => Code::NoCapacity,
            Self::Disk { .. } if self.is_full() => Code::NoCapacity,
            Self::Disk { .. } => Code::Internal,
        }
    }
}

impl From<FetchError> for Error {
    fn from(error: FetchError) -> Self {
        // What a server makes up is in it.
        let message = error.to_string().chars().take(MAX_MESSAGE_CHARS).collect::<String>();
        let told = Self::new(error.code(), message);
        match error {
            FetchError::Limited { seconds, .. } => told.with_retry_after(seconds),
            FetchError::Network { .. } | FetchError::Status { .. } => told.with_retry_after(RETRY_S),
            FetchError::Reference(_) => told.with_param("reference"),
            _ => told,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_bounded_whatever_a_server_says() {
        let garbled = FetchError::Garbled { url: "https://h.example/".into(), why: "é".repeat(1 << 21) };
        let told = Error::from(garbled);
        assert_eq!(told.message.chars().count(), MAX_MESSAGE_CHARS);
    }
}
