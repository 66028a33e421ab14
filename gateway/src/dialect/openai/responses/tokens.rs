//! `POST /v1/responses/input_tokens`: how long the prompt of a response would be.

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::Request,
    response::{IntoResponse, Response as HttpResponse},
};
use impetus_proto::worker::{TokenizeRequest, tokenize_request::Input};
use serde::Serialize;

use super::{history, params::Params};
use crate::{
    dialect::openai::error::Refusal,
    record::Record,
    server::{self, Gateway},
    upstream,
};

#[derive(Serialize)]
struct Counted {
    object: &'static str,
    input_tokens: usize,
}

/// Counts, generating nothing.
pub(in crate::dialect::openai) async fn count(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    request: Request<Body>,
) -> Result<HttpResponse, Refusal> {
    let body = server::read_body(request, gateway.limits).await?;
    let mut params = Params::read(&body)?;
    drop(body);
    let caller = record.caller();
    gateway.permit(&caller, &mut params.model).await?;
    let messages = history::messages(&mut params, &gateway.responses.store, &caller.name).await?;
    params.chat()?.messages = messages;
    let asker = upstream::Caller {
        id: record.id().clone(),
        model: params.model.clone(),
        keep_alive: params.keep_alive,
    };
    let chat = std::mem::take(params.chat()?);
    let request = TokenizeRequest { input: Some(Input::Chat(chat)), ..TokenizeRequest::default() };
    let reply = upstream::tokenize(&gateway.upstream, asker, request).await?;
    let counted = Counted { object: "response.input_tokens", input_tokens: reply.tokens.len() };
    let mut response = Json(counted).into_response();
    params.ignored.write(response.headers_mut());
    Ok(response)
}
