//! `GET /v1/models` and `GET /v1/models/{name}`: paths that two dialects have. A request that says which version of
//! Anthropic's API it speaks is answered in that one's words, any other in OpenAI's.

use axum::{
    Extension, Json,
    extract::{Path, RawQuery, State},
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::get,
};

use schemars::JsonSchema;
use serde::Serialize;

use super::{Refusal, anthropic, openai, query::Query};
use crate::server::{Caller, Gateway, Routes};

/// A list in either shape.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Models")]
#[serde(untagged)]
pub(super) enum List {
    OpenAi(openai::Models),
    Anthropic(anthropic::models::Page),
}

/// A model in either shape.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EitherModel")]
#[serde(untagged)]
pub(super) enum Model {
    OpenAi(openai::Model),
    Anthropic(anthropic::models::Model),
}

/// The paths.
pub(super) fn routes() -> Routes {
    Routes::new().route("/v1/models", get(list)).route("/v1/models/{*name}", get(one))
}

/// The models that the caller can use; broken ones are the operator's concern and listed by `supervisorctl models`.
async fn list(
    State(gateway): State<Gateway>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let mut models = caller.only_allowed(gateway.upstream.models().await?);
    models.retain(|model| model.state != "broken");
    if !anthropic::is_spoken(&headers) {
        return Ok(Json(List::OpenAi(models.into())).into_response());
    }
    let mut query = Query::read(query.as_deref())?;
    let page = anthropic::models::page(models, &mut query)?;
    let mut response = Json(List::Anthropic(page)).into_response();
    query.rest().write(response.headers_mut());
    Ok(response)
}

/// One model, by its name, an alias, or a name that one was chosen for.
async fn one(
    State(gateway): State<Gateway>,
    Extension(caller): Extension<Caller>,
    Path(mut name): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Model>, Refusal> {
    gateway.permit(&caller, &mut name).await?;
    let model = gateway.upstream.model(&name).await?;
    let is_anthropic = anthropic::is_spoken(&headers);
    Ok(Json(if is_anthropic { Model::Anthropic(model.into()) } else { Model::OpenAi(model.into()) }))
}
