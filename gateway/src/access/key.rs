//! Keys and what each opens. What is known of a key is its digest: 256 random bits cannot be guessed from that however
//! fast it is computed, so a slow hash would cost every request and protect nothing.

use std::{fmt, sync::Arc, time::SystemTime};

use impetus_config::{KeyEntry, Scope};
use impetus_proto::Code;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use super::{Reason, Refused, quota::Quota};

/// A key that opens something.
pub(super) struct Key {
    pub(super) name: Arc<str>,
    digest: [u8; 32],
    pub(super) scopes: Vec<Scope>,
    expires_unix_s: Option<u64>,
    /// Patterns of the names of models that it opens; empty: all.
    pub(super) models: Vec<String>,
    pub(super) quota: Quota,
}

/// All keys.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    keys: Vec<Arc<Key>>,
}

impl Keyring {
    /// Those that the configuration declares.
    pub(super) fn declared(entries: &[KeyEntry]) -> Self {
        Self { keys: entries.iter().filter_map(Key::declared).map(Arc::new).collect() }
    }

    /// Whether there is any key, be its time over or not.
    pub(super) fn is_in_use(&self) -> bool {
        !self.keys.is_empty()
    }

    /// The first key of those `presented` that is one. All are compared with all, in constant time each.
    pub(super) fn find<'p>(
        &self,
        presented: impl Iterator<Item = &'p [u8]>,
        now: SystemTime,
    ) -> Result<Arc<Key>, Refused> {
        let mut refused = None;
        for key in presented {
            match self.by_digest(&Sha256::digest(key)) {
                Some(key) if !key.is_expired(now) => return Ok(key),
                Some(key) => refused = Some(expired(&key)),
                None => refused = refused.or_else(|| Some(unknown())),
            }
        }
        Err(refused.unwrap_or_else(absent))
    }

    fn by_digest(&self, digest: &[u8]) -> Option<Arc<Key>> {
        let mut found = None;
        for key in &self.keys {
            if bool::from(key.digest.ct_eq(digest)) {
                found = Some(key.clone());
            }
        }
        found
    }
}

impl Key {
    fn declared(entry: &KeyEntry) -> Option<Self> {
        Some(Self {
            name: entry.name.as_str().into(),
            digest: entry.digest()?,
            scopes: entry.scopes.clone(),
            expires_unix_s: entry.expires.map(|moment| moment.0),
            models: entry.models.clone(),
            quota: Quota::new(entry.requests_per_minute, entry.tokens_per_minute, Instant::now()),
        })
    }

    fn is_expired(&self, now: SystemTime) -> bool {
        // A clock before 1970 is no reason to let anybody in.
        let now = now.duration_since(SystemTime::UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs());
        self.expires_unix_s.is_some_and(|end| end <= now)
    }
}

/// Without the digest, which is nobody's business.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("name", &self.name).finish_non_exhaustive()
    }
}

fn absent() -> Refused {
    let message =
        "this server asks for an API key; send it in the header Authorization: Bearer (or x-api-key)";
    Refused::new(Reason::NoKey, Code::Unauthenticated, message)
}

fn unknown() -> Refused {
    let message =
        "this API key is not known here, or has been revoked; `supervisorctl key list` shows which are";
    Refused::new(Reason::UnknownKey, Code::Unauthenticated, message)
}

fn expired(key: &Key) -> Refused {
    let message = format!("the API key {:?} has expired; `supervisorctl key add` makes another", key.name);
    Refused::new(Reason::ExpiredKey, Code::Unauthenticated, message).of(&key.name)
}
