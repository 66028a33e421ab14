//! Our own API for whoever runs the server: models of the store and those that are fetched into it. Every path asks for a
//! key with the scope `admin` where keys are asked for.

mod models;
mod pulls;
pub(super) mod upload;

use axum::{
    extract::DefaultBodyLimit,
    routing::{delete, get, post},
};
use impetus_config::Scope;
use impetus_proto::{fetch::File, store::Stored};
use serde_json::{Value, json};

use crate::{access::Need, server::Routes};

/// The paths of this API.
pub(super) fn routes() -> Routes {
    let need = Need::Scope(Scope::Admin);
    // Models are larger than any body that is read into memory; these are not.
    let upload = post(upload::create).layer(DefaultBodyLimit::disable());
    Routes::new()
        .route_for(need, "/admin/models", get(models::list).merge(upload))
        .route_for(need, "/admin/models/{name}", delete(models::remove))
        .route_for(need, "/admin/pulls", get(pulls::list).post(pulls::create))
        .route_for(need, "/admin/pulls/{id}", delete(pulls::cancel))
}

fn stored(model: &Stored) -> Value {
    json!({
        "name": model.name,
        "origin": model.origin,
        "source": model.source,
        "revision": model.revision,
        "format": model.format,
        "quantization": model.quantization,
        "bytes": model.bytes,
        "added_unix_s": model.added_unix_s,
        "verified_unix_s": model.verified_unix_s,
        "loaded": model.loaded,
        "broken": none_if_empty(&model.broken),
        "files": model.files.iter().map(file).collect::<Vec<_>>(),
    })
}

fn file(file: &File) -> Value {
    json!({ "path": file.path, "bytes": file.bytes, "sha256": none_if_empty(&file.sha256) })
}

fn none_if_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
