//! `GET /props`: what a model and its worker are.

use axum::{
    Extension, Json,
    extract::{RawQuery, State},
    response::{IntoResponse, Response},
};
use impetus_proto::{Code, Error, supervisor::ModelStatus, worker::Description};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    BUILD,
    completion::{Settings, default_settings},
};
use crate::{
    dialect::openai::{error::Refusal, responses::query::Query},
    record::Record,
    server::Gateway,
    upstream::{self, Caller},
};

/// A model and its worker, in llama.cpp's words.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::dialect::openai) struct Props {
    default_generation_settings: Defaults,
    total_slots: u32,
    model_alias: String,
    /// The file or folder on the server.
    model_path: String,
    modalities: Modalities,
    chat_template: String,
    /// The text of the token that begins a text, or empty.
    bos_token: String,
    /// The text of the token that ends a turn, or empty.
    eos_token: String,
    build_info: &'static str,
    is_sleeping: bool,
    impetus: Details,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Defaults {
    id: u32,
    /// Tokens of context of one slot.
    n_ctx: u32,
    speculative: bool,
    is_processing: bool,
    params: Settings,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Modalities {
    vision: bool,
    audio: bool,
}

/// What llama.cpp has no words for.
#[derive(Debug, Serialize, JsonSchema)]
struct Details {
    format: String,
    engine: String,
    architecture: String,
    trained_context_tokens: u32,
    vocabulary: u32,
    devices: Vec<String>,
    /// The syntax of tool calls and reasoning.
    output_format: String,
    tools: bool,
    infill: bool,
}

/// Which model a query names, and whether it is to be loaded for that.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) model: String,
    autoload: bool,
}

impl Asked {
    /// Takes `model` and `autoload`.
    pub(super) fn read(query: &mut Query, autoloads: bool) -> Result<Self, Error> {
        let autoload = query.flag("autoload")?.unwrap_or(autoloads);
        Ok(Self { model: query.text("model").unwrap_or_default(), autoload })
    }

    /// The model's status; `None` where it is not loaded and is not to be.
    pub(super) async fn status(&self, gateway: &Gateway) -> Result<Option<ModelStatus>, Error> {
        let status = gateway.upstream.model(&self.model).await?;
        Ok((self.autoload || status.state == "ready").then_some(status))
    }
}

/// Describes a model, which is loaded for that unless the query says `autoload=false`.
pub(super) async fn read(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refusal> {
    let mut query = Query::read(query.as_deref())?;
    let mut asked = Asked::read(&mut query, true)?;
    gateway.permit(&record.caller(), &mut asked.model).await?;
    let Some(status) = asked.status(&gateway).await? else {
        let message = "the model is not loaded, and autoload=false does not load it";
        return Err(Error::new(Code::Conflict, message).with_param("model").into());
    };
    let caller = Caller { id: record.id().clone(), model: asked.model, keep_alive: None };
    let description = upstream::describe(&gateway.upstream, caller).await?;
    let mut response = Json(props(status, description)).into_response();
    query.rest().write(response.headers_mut());
    Ok(response)
}

fn props(status: ModelStatus, description: Description) -> Props {
    Props {
        default_generation_settings: Defaults {
            id: 0,
            n_ctx: description.context_tokens,
            speculative: false,
            is_processing: false,
            params: default_settings(),
        },
        total_slots: description.slots,
        model_alias: description.model,
        model_path: status.path,
        modalities: Modalities { vision: false, audio: false },
        chat_template: description.chat_template_source,
        bos_token: description.begin_text,
        eos_token: description.end_text,
        build_info: BUILD,
        is_sleeping: false,
        impetus: Details {
            format: description.format,
            engine: description.engine,
            architecture: description.architecture,
            trained_context_tokens: description.trained_context_tokens,
            vocabulary: description.vocabulary,
            devices: description.devices,
            output_format: description.output_format,
            tools: description.tools,
            infill: description.infill,
        },
    }
}
