//! Who may come in, and by which names, keys and certificates.

use std::collections::HashSet;

use super::{Checked, FILE, YEAR_S, key, require, within};
use crate::{Config, KeyEntry, PRIORITIES, parse_digest, secret::MIN_KEY_CHARS};

/// The most keys that a configuration declares.
const MAX_KEYS: usize = 1000;

const HOST: &str = "a host name or address without scheme and port, such as \"llm.example.org\", or \"*\"";
const ORIGIN: &str =
    "an origin such as \"https://chat.example.org\" or \"http://localhost:*\", \"null\" or \"*\"";
const KEY_NAME: &str = "a name of at most 64 letters, digits, '-', '_' and '.' that no other key has";
const PATTERN: &str = "a model's name, in which * stands for any characters";
const KEY: &str = "16 to 1024 characters of ASCII without spaces; `supervisorctl key add` makes good ones";
const _: () = assert!(MIN_KEY_CHARS == 16, "KEY says so");
const PRIORITY: &str = "a whole number from -100 to 100";
const DIGEST: &str = "the SHA-256 of a key as 64 hexadecimal digits";

/// `[gateway]`'s names, `[gateway.tls]`, `[gateway.cors]` and `[auth]`.
pub(super) fn check(config: &Config) -> Checked {
    let gateway = &config.gateway;
    for (idx, host) in gateway.allowed_hosts.iter().enumerate() {
        require(is_host(host), key(&["gateway", "allowed_hosts", &idx.to_string()]), HOST)?;
    }
    let tls = |name: &str| key(&["gateway", "tls", name]);
    let is_both = gateway.tls.cert.is_some() == gateway.tls.key.is_some();
    let (present, absent) = if gateway.tls.cert.is_some() {
        ("cert", "a private key beside it, in gateway.tls.key")
    } else {
        ("key", "a certificate beside it, in gateway.tls.cert")
    };
    require(is_both, tls(present), absent)?;
    for (name, path) in [("cert", &gateway.tls.cert), ("key", &gateway.tls.key)] {
        require(path.as_ref().is_none_or(|path| !path.as_os_str().is_empty()), tls(name), FILE)?;
    }
    for (idx, origin) in gateway.cors.origins.iter().enumerate() {
        require(is_origin(origin), key(&["gateway", "cors", "origins", &idx.to_string()]), ORIGIN)?;
    }
    within(gateway.cors.max_age_s, 0..=YEAR_S, key(&["gateway", "cors", "max_age_s"]))?;
    keys(&config.auth.key)
}

fn keys(entries: &[KeyEntry]) -> Checked {
    require(entries.len() <= MAX_KEYS, key(&["auth", "key"]), "at most 1000 keys")?;
    let mut taken = HashSet::new();
    entries.iter().enumerate().try_for_each(|(idx, entry)| {
        let idx = idx.to_string();
        let at = |name: &str| key(&["auth", "key", &idx, name]);
        require(is_key_name(&entry.name) && taken.insert(entry.name.as_str()), at("name"), KEY_NAME)?;
        match (&entry.key, &entry.key_sha256) {
            (Some(_), Some(_)) => {
                require(false, at("key"), "nothing beside key_sha256, which stands for it")?;
            }
            // One that can be a key has given way to its digest.
            (Some(_), None) => require(false, at("key"), KEY)?,
            (None, None) => {
                require(false, key(&["auth", "key", &idx]), "the setting key or key_sha256 in it")?;
            }
            (None, Some(digest)) => require(parse_digest(digest).is_some(), at("key_sha256"), DIGEST)?,
        }
        require(!entry.scopes.is_empty(), at("scopes"), "at least one of \"inference\" and \"admin\"")?;
        for (n, pattern) in entry.models.iter().enumerate() {
            let at = key(&["auth", "key", &idx, "models", &n.to_string()]);
            require(super::is_model_name(pattern), at, PATTERN)?;
        }
        within(entry.requests_per_minute.unwrap_or(1).into(), 1..=1_000_000, at("requests_per_minute"))?;
        within(entry.tokens_per_minute.unwrap_or(1).into(), 1..=1_000_000_000, at("tokens_per_minute"))?;
        require(PRIORITIES.contains(&entry.priority), at("priority"), PRIORITY)
    })
}

/// Whether a key may be called so.
pub fn is_key_name(name: &str) -> bool {
    let is_fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(is_fine)
}

/// IPv6 addresses may be in brackets, as in a URL.
fn is_host(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    host == "*"
        || bare.parse::<std::net::IpAddr>().is_ok()
        || (!host.is_empty() && host.len() <= 253 && host.chars().all(is_name))
}

fn is_origin(origin: &str) -> bool {
    let is_odd = |c: char| !c.is_ascii_graphic();
    match origin {
        "*" | "null" => true,
        _ => origin.split_once("://").is_some_and(|(scheme, rest)| {
            !scheme.is_empty() && !rest.is_empty() && !rest.contains('/') && !origin.contains(is_odd)
        }),
    }
}
