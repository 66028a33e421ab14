//! Keys and what each opens. What is known of a key is its digest: 256 random bits cannot be guessed from that however
//! fast it is computed, so a slow hash would cost every request and protect nothing.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::SystemTime,
};

use impetus_config::{KeyEntry, Scope};
use impetus_proto::{
    Code,
    key::{self, KeySet, KeyUse},
};
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
    pub(super) priority: i32,
    /// Seconds since 1970, 0 when it never was.
    used: AtomicU64,
}

/// All keys.
#[derive(Debug, Default)]
pub(super) struct Keyring {
    declared: Vec<Arc<Key>>,
    made: Vec<Arc<Key>>,
    is_in_use: bool,
}

impl Keyring {
    /// Those that the configuration declares.
    pub(super) fn declared(entries: &[KeyEntry]) -> Self {
        Self { declared: entries.iter().filter_map(Key::declared).map(Arc::new).collect(), ..Self::default() }
    }

    /// Whether there is any key, be its time over or not.
    pub(super) fn is_in_use(&self) -> bool {
        self.is_in_use || self.all().next().is_some()
    }

    /// With these as the keys that were made.
    pub(super) fn with_made(&self, set: KeySet, now: Instant) -> Self {
        let made = set.keys.into_iter().filter_map(|made| {
            let key = Key::made(made, now)?;
            let known = self.made.iter().find(|known| known.is_same(&key));
            Some(known.cloned().unwrap_or_else(|| Arc::new(key)))
        });
        Self { declared: self.declared.clone(), made: made.collect(), is_in_use: set.in_use }
    }

    /// Whether a key of this name was made.
    pub(super) fn has_made(&self, name: &str) -> bool {
        self.made.iter().any(|key| &*key.name == name)
    }

    /// When keys were last used, those that ever were.
    pub(super) fn uses(&self) -> Vec<KeyUse> {
        self.all().filter_map(|key| key.last_use()).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.declared.iter().chain(&self.made)
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
                Some(key) if !key.is_expired(now) => {
                    key.used.store(unix_s(now), Ordering::Relaxed);
                    return Ok(key);
                }
                Some(key) => refused = Some(expired(&key)),
                None => refused = refused.or_else(|| Some(unknown())),
            }
        }
        Err(refused.unwrap_or_else(absent))
    }

    fn by_digest(&self, digest: &[u8]) -> Option<Arc<Key>> {
        let mut found = None;
        for key in self.all() {
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
            priority: entry.priority,
            used: AtomicU64::new(0),
        })
    }

    /// `None` for one without a digest, which opens nothing.
    fn made(made: key::Key, now: Instant) -> Option<Self> {
        let bound = |n: u32| (n > 0).then_some(n);
        Some(Self {
            name: made.name.into(),
            digest: made.sha256.try_into().ok()?,
            scopes: made.scopes.iter().filter_map(|name| Scope::of_name(name)).collect(),
            expires_unix_s: (made.expires_unix_s > 0).then_some(made.expires_unix_s),
            models: made.models,
            quota: Quota::new(bound(made.requests_per_minute), bound(made.tokens_per_minute), now),
            priority: made.priority,
            used: AtomicU64::new(0),
        })
    }

    /// Whether `other` is this key, and opens the same.
    fn is_same(&self, other: &Self) -> bool {
        self.digest == other.digest
            && self.name == other.name
            && self.scopes == other.scopes
            && self.expires_unix_s == other.expires_unix_s
            && self.models == other.models
            && self.priority == other.priority
            && self.quota.is_like(&other.quota)
    }

    fn last_use(&self) -> Option<KeyUse> {
        let used = self.used.load(Ordering::Relaxed);
        (used > 0).then(|| KeyUse { name: self.name.to_string(), last_used_unix_s: used })
    }

    fn is_expired(&self, now: SystemTime) -> bool {
        self.expires_unix_s.is_some_and(|end| end <= unix_s(now))
    }
}

/// Without the digest, which is nobody's business.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A clock before 1970 is no reason to let anybody in.
fn unix_s(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(u64::MAX, |since| since.as_secs())
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
