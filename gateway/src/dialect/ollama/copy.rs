//! `POST /api/copy`: a preset under a second name, or a preset that is nothing but another name of a model.

use axum::{
    Extension,
    body::Body,
    extract::{Request, State},
    http::StatusCode,
};
use impetus_proto::{Code, Error};

use super::{
    modelfile::{Modelfile, written},
    named::Named,
    preset::{Preset, bare, check_name},
};
use crate::{
    clock::unix_now,
    dialect::{Refusal, field::Fields},
    server::{Caller, Gateway, read_body},
};

/// Copies a model.
pub(super) async fn copy(
    State(gateway): State<Gateway>,
    Extension(caller): Extension<Caller>,
    request: Request<Body>,
) -> Result<StatusCode, Refusal> {
    let body = read_body(request, gateway.limits).await?;
    let mut fields = Fields::of_body(&body)?;
    let mut name = |field: &str, what: &str| {
        let missing = || Error::invalid(field, format!("{field} is missing; it is {what}"));
        fields.text(field)?.filter(|name| !name.is_empty()).ok_or_else(missing)
    };
    let source = name("source", "the model that is to be copied")?;
    let destination = name("destination", "the name that the copy is to have")?;
    let destination = bare(&destination);
    check_name("destination", destination)?;
    is_free(&gateway, destination, "destination").await?;
    let named = Named::find(&gateway, &caller, &source).await.map_err(|error| error.with_param("source"))?;
    if named.preset.is_none() || !gateway.presets.copy(&source, destination).await? {
        gateway.presets.put(Preset::another_name(destination, named.status.name)).await?;
    }
    Ok(StatusCode::OK)
}

/// Refuses a name that a model of the server has.
async fn is_free(gateway: &Gateway, name: &str, field: &str) -> Result<(), Error> {
    match gateway.upstream.model_when_there(name).await {
        Err(error) if error.code() == Code::ModelNotFound => Ok(()),
        Err(error) => Err(error),
        Ok(_) => {
            let message = format!(
                "{name:?} is the name of a model of this server; choose another one, or delete that model first"
            );
            Err(Error::new(Code::Conflict, message).with_param(field))
        }
    }
}

impl Preset {
    /// Nothing but another name of a model of this server.
    pub(super) fn another_name(name: &str, from: String) -> Self {
        let modelfile = written(&Modelfile { from: Some(from.clone()), ..Modelfile::default() });
        let Modelfile { system, messages, options, license, .. } = Modelfile::default();
        Self {
            name: name.to_owned(),
            from,
            system,
            messages,
            options,
            license,
            modelfile,
            created_unix_s: unix_now(),
        }
    }
}
