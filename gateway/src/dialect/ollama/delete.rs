//! `DELETE /api/delete`: a preset, a model of the store, or both where they have one name.

use axum::{
    body::Body,
    extract::{Request, State},
    http::StatusCode,
};
use impetus_proto::{Code, Error, store::RemoveRequest};

use super::{changing, error::not_found, named::spellings, preset::bare};
use crate::{
    dialect::{Refusal, field::Fields},
    server::{Gateway, read_body},
};

/// Why a model stays.
enum Stays {
    /// There is nothing of this name in the store.
    NotOurs(Error),
    /// It could not be removed.
    Failed(Error),
}

/// Deletes a model, unless requests use it.
pub(super) async fn delete(
    State(gateway): State<Gateway>,
    request: Request<Body>,
) -> Result<StatusCode, Refusal> {
    let body = read_body(request, gateway.limits).await?;
    let name = changing::model_of(&mut Fields::of_body(&body)?)?;
    let name = bare(&name);
    let is_preset = gateway.presets.find(name).await?.is_some();
    match remove(&gateway, name).await {
        Ok(()) => {}
        // The preset is all that there is to delete.
        Err(Stays::NotOurs(_)) if is_preset => {}
        Err(Stays::NotOurs(error) | Stays::Failed(error)) => return Err(error.into()),
    }
    gateway.presets.remove(name).await?;
    Ok(StatusCode::OK)
}

/// Removes the model of the store that has this name.
async fn remove(gateway: &Gateway, name: &str) -> Result<(), Stays> {
    let model = find(gateway, name).await?;
    if !spellings(name).contains(&model) {
        let message = format!("{name:?} is another name of {model:?}, which is to be deleted by its own");
        return Err(Stays::NotOurs(Error::new(Code::Conflict, message).with_param("model")));
    }
    let name = &*model;
    let stored = gateway.upstream.show(name).await.map_err(Stays::Failed)?;
    if stored.stored.is_none() {
        let message = format!(
            "{name:?} is not a model of the store but lies in a folder of the configuration ({}); remove it there, and \
             have the server read its folders again with `supervisorctl reload`",
            stored.path
        );
        return Err(Stays::NotOurs(Error::new(Code::Conflict, message).with_param("model")));
    }
    is_needed_by_none(gateway, name).await.map_err(Stays::Failed)?;
    let mut store = gateway.upstream.store().await.map_err(Stays::Failed)?;
    let removed = store.remove(RemoveRequest { model: name.to_owned() }).await;
    removed.map(drop).map_err(|status| Stays::Failed(status.into()))
}

/// The model's own name.
async fn find(gateway: &Gateway, name: &str) -> Result<String, Stays> {
    for name in spellings(name) {
        match gateway.upstream.model_when_there(&name).await {
            Ok(model) => return Ok(model.name),
            Err(error) if error.code() == Code::ModelNotFound => {}
            Err(error) => return Err(Stays::Failed(error)),
        }
    }
    Err(Stays::NotOurs(not_found(name)))
}

/// Refuses to delete what presets of other names are served by.
async fn is_needed_by_none(gateway: &Gateway, model: &str) -> Result<(), Error> {
    let presets = gateway.presets.list().await?;
    let is_other = |name: &str| !name.eq_ignore_ascii_case(model);
    let needing = presets.into_iter().filter(|preset| preset.from == model && is_other(&preset.name));
    let names: Vec<String> = needing.map(|preset| preset.name).take(8).collect();
    if names.is_empty() {
        return Ok(());
    }
    let message = format!("{model:?} is what these are made of: {}; delete them first", names.join(", "));
    Err(Error::new(Code::Conflict, message).with_param("model"))
}
