//! `POST /v1/messages/count_tokens`: how long the prompt of a message would be.

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::Request,
    response::{IntoResponse, Response},
};
use impetus_proto::{
    Error,
    worker::{TokenizeRequest, generate_request, tokenize_request},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    error::identify,
    params::{Params, renamed},
};
use crate::{
    dialect::Refusal,
    record::Record,
    server::{self, Gateway},
    upstream::{self, Caller},
};

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "AnthropicTokenCount")]
pub(in crate::dialect) struct Counted {
    input_tokens: usize,
}

/// Counts the tokens of a conversation without generating.
pub(super) async fn create(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let body = server::read_body(request, gateway.limits).await?;
    let Params { mut model, generate, names, ignored, .. } = Params::read_to_count(&body)?;
    drop(body);
    gateway.permit(&record.caller(), &mut model).await?;
    let Some(generate_request::Input::Chat(chat)) = generate.input else {
        return Err(Error::internal("a conversation is read as another input").into());
    };
    let caller = Caller { id: record.id().clone(), model, keep_alive: None };
    let input = Some(tokenize_request::Input::Chat(chat));
    let request = TokenizeRequest { input, ..TokenizeRequest::default() };
    let reply = upstream::tokenize(&gateway.upstream, caller, request).await;
    let reply = reply.map_err(|error| renamed(&names, error))?;
    let mut response = Json(Counted { input_tokens: reply.tokens.len() }).into_response();
    identify(&mut response, record.id());
    ignored.write(response.headers_mut());
    Ok(response)
}
