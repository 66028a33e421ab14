//! `GET /admin/keys`, `POST /admin/keys` and `DELETE /admin/keys/{name}`: who may come in. The secret of a key is made
//! here and answered once; the supervisor is told its digest.

use std::fmt::Write;

use axum::{
    Json,
    body::Body,
    extract::{Path, Request, State},
};
use impetus_config::is_key_name;
use impetus_proto::{
    Error,
    key::{self, AddRequest, ListRequest, RevokeRequest},
};
use rand::{TryRngCore, rngs::OsRng};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{ask::body, known};
use crate::{dialect::Refusal, server::Gateway};

/// What a key begins with, as with `supervisorctl key add`.
const PREFIX: &str = "sk-impetus-";

/// What a new key is to open.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyWish {
    /// What logs and metrics call whoever has it.
    name: String,
    /// inference, admin or both; inference unless said otherwise
    #[serde(default)]
    scopes: Vec<String>,
    /// Patterns of names; none: all models.
    #[serde(default)]
    models: Vec<String>,
    expires_unix_s: Option<u64>,
    requests_per_minute: Option<u32>,
    tokens_per_minute: Option<u32>,
    /// -100 to 100: requests of who has more go first.
    #[serde(default)]
    priority: i32,
}

/// All keys.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct ApiKeys {
    keys: Vec<ApiKey>,
    /// Requests without a key are refused.
    in_use: bool,
}

/// A key, without its secret.
#[derive(Debug, Serialize, JsonSchema)]
struct ApiKey {
    name: String,
    scopes: Vec<String>,
    /// Patterns of names; none: all models.
    models: Vec<String>,
    expires_unix_s: Option<u64>,
    requests_per_minute: Option<u32>,
    tokens_per_minute: Option<u32>,
    priority: i32,
    created_unix_s: Option<u64>,
    last_used_unix_s: Option<u64>,
    /// In the configuration.
    declared: bool,
}

/// A key that was made, with its secret, this once.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct MadeKey {
    secret: String,
    #[serde(flatten)]
    key: ApiKey,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RevokedKey {
    name: String,
    revoked: bool,
    /// Keys that still open something.
    left: u32,
}

/// All keys by name, with what they open and when they were last used.
pub(super) async fn list(State(gateway): State<Gateway>) -> Result<Json<ApiKeys>, Refusal> {
    let set = gateway.upstream.keys().await?.list(ListRequest {}).await.map_err(Error::from)?.into_inner();
    let mut keys: Vec<ApiKey> = set.keys.into_iter().map(ApiKey::from).collect();
    keys.sort_by(|a, b| a.name.cmp(&b.name));
    let in_use = set.in_use || keys.iter().any(|key| key.declared);
    Ok(Json(ApiKeys { keys, in_use }))
}

/// Makes a key.
pub(super) async fn make(
    State(gateway): State<Gateway>,
    request: Request<Body>,
) -> Result<Json<MadeKey>, Refusal> {
    let wish: KeyWish = body(request, &gateway).await?;
    if !is_key_name(&wish.name) {
        let message = format!("{:?} cannot name a key; take letters, digits, '.', '_' and '-'", wish.name);
        return Err(Error::invalid("name", message).into());
    }
    let secret = secret()?;
    let key = wish.key(Sha256::digest(&secret).to_vec());
    let added = AddRequest { key: Some(key.clone()) };
    gateway.upstream.keys().await?.add(added).await.map_err(Error::from)?;
    gateway.until_key(&key.name, true).await;
    Ok(Json(MadeKey { secret, key: key.into() }))
}

/// Takes a key away: it opens nothing from now on.
pub(super) async fn revoke(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
) -> Result<Json<RevokedKey>, Refusal> {
    let request = RevokeRequest { name: name.clone() };
    let revoked = gateway.upstream.keys().await?.revoke(request).await.map_err(Error::from)?;
    gateway.until_key(&name, false).await;
    Ok(Json(RevokedKey { name, revoked: true, left: revoked.into_inner().left }))
}

impl KeyWish {
    fn key(self, sha256: Vec<u8>) -> key::Key {
        let scopes = if self.scopes.is_empty() { vec!["inference".to_owned()] } else { self.scopes };
        key::Key {
            name: self.name,
            sha256,
            scopes,
            expires_unix_s: self.expires_unix_s.unwrap_or_default(),
            models: self.models,
            requests_per_minute: self.requests_per_minute.unwrap_or_default(),
            tokens_per_minute: self.tokens_per_minute.unwrap_or_default(),
            created_unix_s: crate::clock::unix_now(),
            priority: self.priority,
            ..key::Key::default()
        }
    }
}

impl From<key::Key> for ApiKey {
    fn from(key: key::Key) -> Self {
        Self {
            name: key.name,
            scopes: key.scopes,
            models: key.models,
            expires_unix_s: known(key.expires_unix_s),
            requests_per_minute: known(key.requests_per_minute),
            tokens_per_minute: known(key.tokens_per_minute),
            priority: key.priority,
            created_unix_s: known(key.created_unix_s),
            last_used_unix_s: known(key.last_used_unix_s),
            declared: key.declared,
        }
    }
}

/// A key of 256 bits that the kernel has made up.
fn secret() -> Result<String, Error> {
    let mut bits = [0; 32];
    OsRng
        .try_fill_bytes(&mut bits)
        .map_err(|error| Error::internal(format!("no random numbers: {error}")))?;
    Ok(bits.iter().fold(PREFIX.to_owned(), |mut key, byte| {
        write!(key, "{byte:02x}").expect("writing to a String cannot fail");
        key
    }))
}
