//! Requests that are not let in.

use impetus_proto::{Code, Error};

/// Why a request is not let in, and what it is told.
#[derive(Debug, Clone)]
pub(crate) struct Refused {
    pub(crate) reason: Reason,
    pub(crate) error: Error,
    /// Whose key it came with; empty: nobody's that is known.
    pub(crate) key: String,
}

/// What logs and metrics call a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// From an address that nothing is taken from.
    Address,
    /// Asked for under a name that is not this server's.
    Host,
    /// From a web page that may not.
    Origin,
    /// Without a key.
    NoKey,
    /// With a key that opens nothing here.
    UnknownKey,
    /// With a key whose time is over.
    ExpiredKey,
    /// With a key where none belongs.
    KeyInQuery,
    /// With a key that is for something else.
    Scope,
    /// With a key for other models.
    Model,
    /// With a key that has had what it may have in a minute.
    Rate,
}

impl Refused {
    pub(super) fn new(reason: Reason, code: Code, message: impl Into<String>) -> Self {
        Self { reason, error: Error::new(code, message), key: String::new() }
    }

    /// Of whoever would change the server and has no key.
    pub(super) fn change() -> Self {
        let message = "what changes the server takes an API key with the scope admin, or auth.admin_without_keys; make \
                       one with `supervisorctl key add NAME --scope admin`, or use supervisorctl on its machine";
        Self::new(Reason::NoKey, Code::Forbidden, message)
    }

    pub(super) fn of(self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self }
    }
}

impl Reason {
    /// The word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Host => "host",
            Self::Origin => "origin",
            Self::NoKey => "no_key",
            Self::UnknownKey => "unknown_key",
            Self::ExpiredKey => "expired_key",
            Self::KeyInQuery => "key_in_query",
            Self::Scope => "scope",
            Self::Model => "model",
            Self::Rate => "rate",
        }
    }
}
