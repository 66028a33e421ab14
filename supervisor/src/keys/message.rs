//! Keys as they travel.

use impetus_config::{KeyEntry, Moment, PRIORITIES, Scope};
use impetus_proto::{Error, key::Key};

/// What is said of a key that was made then, or that the configuration declares.
pub fn to_message(entry: &KeyEntry, created: Option<Moment>) -> Key {
    Key {
        name: entry.name.clone(),
        sha256: entry.digest().unwrap_or_default().to_vec(),
        scopes: entry.scopes.iter().map(|scope| scope.name().to_owned()).collect(),
        expires_unix_s: entry.expires.map_or(0, |end| end.0),
        models: entry.models.clone(),
        requests_per_minute: entry.requests_per_minute.unwrap_or(0),
        tokens_per_minute: entry.tokens_per_minute.unwrap_or(0),
        created_unix_s: created.map_or(0, |created| created.0),
        last_used_unix_s: 0,
        declared: false,
        priority: entry.priority,
    }
}

/// The key that a message describes.
pub fn from_message(key: Key) -> Result<KeyEntry, Error> {
    let digest =
        <[u8; 32]>::try_from(key.sha256).map_err(|_| Error::invalid("sha256", "a SHA-256 has 32 bytes"))?;
    let scope = |name: &String| {
        Scope::of_name(name).ok_or_else(|| {
            Error::invalid("scopes", format!("{name:?} is no scope; expected inference or admin"))
        })
    };
    let scopes: Vec<Scope> = key.scopes.iter().map(scope).collect::<Result<_, _>>()?;
    if scopes.is_empty() {
        return Err(Error::invalid("scopes", "a key needs at least one scope: inference or admin"));
    }
    if let Some(pattern) = key.models.iter().find(|pattern| !impetus_config::is_model_name(pattern)) {
        return Err(Error::invalid("models", format!("{pattern:?} cannot name models")));
    }
    if !PRIORITIES.contains(&key.priority) {
        let (least, most) = (PRIORITIES.start(), PRIORITIES.end());
        return Err(Error::invalid("priority", format!("a priority is a number from {least} to {most}")));
    }
    let bound = |n: u32| (n > 0).then_some(n);
    Ok(KeyEntry {
        scopes,
        expires: (key.expires_unix_s > 0).then_some(Moment(key.expires_unix_s)),
        models: key.models,
        requests_per_minute: bound(key.requests_per_minute),
        tokens_per_minute: bound(key.tokens_per_minute),
        priority: key.priority,
        ..KeyEntry::new(key.name, digest)
    })
}
