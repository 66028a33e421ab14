//! What makes, fetches and deletes models.

use axum::{
    extract::DefaultBodyLimit,
    routing::{delete, head, post},
};
use impetus_config::Scope;
use impetus_proto::Error;

use super::{blob, copy, create, delete, pull};
use crate::{access::Need, dialect::field::Fields, server::Routes};

/// Their paths, for those who may do so.
pub(super) fn routes() -> Routes {
    let need = Need::Scope(Scope::Admin);
    // Models are larger than any body that is read into memory; these are not.
    let blob = head(blob::head).post(blob::create).layer(DefaultBodyLimit::disable());
    Routes::new()
        .route_for(need, "/api/create", post(create::create))
        .route_for(need, "/api/copy", post(copy::copy))
        .route_for(need, "/api/delete", delete(delete::delete))
        .route_for(need, "/api/pull", post(pull::pull))
        .route_for(need, "/api/push", post(pull::push))
        .route_for(need, "/api/blobs/{digest}", blob)
}

/// Takes the name of the model that a request is about, under the present or the former name of the field.
pub(super) fn model_of(fields: &mut Fields<'_>) -> Result<String, Error> {
    let name = match fields.text("model")? {
        Some(name) => Some(name),
        None => fields.text("name")?,
    };
    let missing = || Error::invalid("model", "model is missing; it is the name of a model");
    name.filter(|name| !name.trim().is_empty()).ok_or_else(missing)
}
