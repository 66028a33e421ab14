//! Our own API for whoever runs the server: how it stands, its models, logs, keys and settings. Every path asks for a key
//! with the scope `admin` where keys are asked for.

mod ask;
mod config;
mod crashes;
mod events;
mod history;
mod keys;
mod logs;
mod models;
mod openapi;
mod pulls;
mod requests;
mod search;
mod status;
mod steer;
pub(super) mod upload;

use axum::{
    extract::DefaultBodyLimit,
    routing::{delete, get, post},
};
use impetus_config::Scope;
use impetus_proto::{fetch::File, store::Stored};
use schemars::JsonSchema;
use serde::Serialize;

pub(super) use openapi::OPERATIONS;

use crate::{access::Need, server::Routes};

/// The paths of this API.
pub(super) fn routes() -> Routes {
    let need = Need::Scope(Scope::Admin);
    // Models are larger than any body that is read into memory; these are not.
    let upload = post(upload::create).layer(DefaultBodyLimit::disable());
    Routes::new()
        .route_for(need, "/admin/status", get(status::read))
        .route_for(need, "/admin/events", get(events::follow))
        .route_for(need, "/admin/history", get(history::read))
        .route_for(need, "/admin/models", get(models::list).merge(upload))
        .route_for(need, "/admin/models/{name}", get(models::show).delete(models::remove))
        .route_for(need, "/admin/models/{name}/load", post(steer::load))
        .route_for(need, "/admin/models/{name}/unload", post(steer::unload))
        .route_for(need, "/admin/models/{name}/keep_alive", post(steer::keep))
        .route_for(need, "/admin/aliases/{alias}", post(steer::swap))
        .route_for(need, "/admin/restart", post(steer::restart))
        .route_for(need, "/admin/pulls", get(pulls::list).post(pulls::create))
        .route_for(need, "/admin/pulls/{id}", delete(pulls::cancel))
        .route_for(need, "/admin/hub/search", get(search::ask))
        .route_for(need, "/admin/logs", get(logs::read))
        .route_for(need, "/admin/logs/follow", get(logs::follow))
        .route_for(need, "/admin/requests", get(requests::list))
        .route_for(need, "/admin/requests/{id}", get(requests::show))
        .route_for(need, "/admin/crashes", get(crashes::list))
        .route_for(need, "/admin/crashes/{id}", get(crashes::show))
        .route_for(need, "/admin/keys", get(keys::list).post(keys::make))
        .route_for(need, "/admin/keys/{name}", delete(keys::revoke))
        .route_for(need, "/admin/config", get(config::read).post(config::edit))
        .route_for(need, "/admin/config/reload", post(config::reload))
        .route_for(need, "/admin/profiles", get(config::profiles))
}

/// A model of the store.
#[derive(Debug, Serialize, JsonSchema)]
struct StoredModel {
    name: String,
    /// pulled, uploaded or converted
    origin: String,
    source: String,
    revision: String,
    format: String,
    quantization: String,
    bytes: u64,
    added_unix_s: u64,
    verified_unix_s: u64,
    loaded: bool,
    /// Why it cannot be served.
    broken: Option<String>,
    files: Vec<ModelFile>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct ModelFile {
    path: String,
    bytes: u64,
    sha256: Option<String>,
}

impl From<&Stored> for StoredModel {
    fn from(model: &Stored) -> Self {
        Self {
            name: model.name.clone(),
            origin: model.origin.clone(),
            source: model.source.clone(),
            revision: model.revision.clone(),
            format: model.format.clone(),
            quantization: model.quantization.clone(),
            bytes: model.bytes,
            added_unix_s: model.added_unix_s,
            verified_unix_s: model.verified_unix_s,
            loaded: model.loaded,
            broken: some(&model.broken),
            files: model.files.iter().map(Into::into).collect(),
        }
    }
}

impl From<&File> for ModelFile {
    fn from(file: &File) -> Self {
        Self { path: file.path.clone(), bytes: file.bytes, sha256: some(&file.sha256) }
    }
}

/// A text; an empty one is none.
fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// A number; zero is none.
fn known<N: Default + PartialEq>(number: N) -> Option<N> {
    (number != N::default()).then_some(number)
}
