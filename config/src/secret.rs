//! Keys in settings: a digest stands for each from the moment that its source is read, so that nothing which shows,
//! compares or passes on a configuration can tell it.

use sha2::{Digest, Sha256};
use toml::Value;

use crate::{auth::hex, key::Key};

/// The fewest characters of a key that somebody thought of. Those that `supervisorctl key add` makes have more.
pub(crate) const MIN_KEY_CHARS: usize = 16;

/// The most, which a request's headers have room for.
const MAX_KEY_CHARS: usize = 1024;

/// Puts the digest of each `auth.key[*].key` in its place. What cannot be a key stays, for the validation to refuse.
pub(crate) fn seal(settings: &mut Value) {
    let entries = settings.get_mut("auth").and_then(|auth| auth.get_mut("key"));
    for entry in entries.and_then(Value::as_array_mut).into_iter().flatten() {
        let Some(entry) = entry.as_table_mut().filter(|entry| !entry.contains_key("key_sha256")) else {
            continue;
        };
        let key = entry.get("key").and_then(Value::as_str).filter(|key| is_key(key));
        if let Some(digest) = key.map(Sha256::digest) {
            entry.remove("key");
            entry.insert("key_sha256".into(), Value::String(hex(&digest)));
        }
    }
}

/// Whether the value at `key` may be shown.
pub(crate) fn is_secret(key: &Key) -> bool {
    matches!(&*key.0, [section, list, rest @ ..]
        if section == "auth" && list == "key" && rest.get(1).is_none_or(|name| name == "key"))
}

fn is_key(text: &str) -> bool {
    (MIN_KEY_CHARS..=MAX_KEY_CHARS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}
