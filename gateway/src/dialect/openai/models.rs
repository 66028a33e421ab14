//! `GET /v1/models` and `GET /v1/models/{name}`

use axum::{
    Extension, Json,
    extract::{Path, State},
};
use impetus_proto::supervisor::ModelStatus;
use schemars::JsonSchema;
use serde::Serialize;

use super::error::Refusal;
use crate::server::{Caller, Gateway};

/// A list as this API writes it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ModelList")]
pub(super) struct List {
    object: &'static str,
    data: Vec<Model>,
}

/// A model: OpenAI's fields, and ours in an object of their own.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Model {
    id: String,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
    impetus: Details,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ModelDetails")]
struct Details {
    format: String,
    /// `generate` or `embed`; empty where the files do not tell.
    task: String,
    state: String,
    context_tokens: u32,
    trained_context_tokens: u32,
    architecture: String,
    quantization: String,
    parameters: u64,
    size_bytes: u64,
    description: String,
    aliases: Vec<String>,
    chat_template: bool,
    is_default: bool,
}

/// The models that the caller can use; broken ones are the operator's concern and listed by `supervisorctl models`.
pub(super) async fn list(
    State(gateway): State<Gateway>,
    Extension(caller): Extension<Caller>,
) -> Result<Json<List>, Refusal> {
    let models = caller.only_allowed(gateway.upstream.models().await?);
    let data = models.into_iter().filter(|model| model.state != "broken").map(Model::from).collect();
    Ok(Json(List { object: "list", data }))
}

/// One model, by its name or an alias.
pub(super) async fn one(
    State(gateway): State<Gateway>,
    Extension(caller): Extension<Caller>,
    Path(mut name): Path<String>,
) -> Result<Json<Model>, Refusal> {
    gateway.permit(&caller, &mut name).await?;
    Ok(Json(gateway.upstream.model(&name).await?.into()))
}

impl From<ModelStatus> for Model {
    fn from(model: ModelStatus) -> Self {
        Self {
            id: model.name,
            object: "model",
            created: model.modified_unix_s,
            owned_by: "impetus",
            impetus: Details {
                format: model.format,
                task: model.task,
                state: model.state,
                context_tokens: model.context_tokens,
                trained_context_tokens: model.trained_context_tokens,
                architecture: model.architecture,
                quantization: model.quantization,
                parameters: model.parameters,
                size_bytes: model.size_bytes,
                description: model.description,
                aliases: model.aliases,
                chat_template: model.chat_template,
                is_default: model.is_default,
            },
        }
    }
}
