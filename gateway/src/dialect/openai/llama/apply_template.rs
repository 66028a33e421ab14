//! `POST /apply-template`: the prompt that a chat becomes. `POST /v1/chat/completions/input_tokens`: how long it is.

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::Request,
    response::{IntoResponse, Response},
};
use impetus_proto::{
    Error,
    worker::{TokenizeReply, TokenizeRequest, generate_request, tokenize_request},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    dialect::{
        ignored::Ignored,
        names::Names,
        openai::{chat_completions::ChatCompletions, error::Refusal, request},
    },
    record::Record,
    server::{self, Gateway},
    upstream::{self, Caller},
};

/// A chat, as every parameter of a chat completion shapes it.
#[derive(Debug)]
pub(super) struct Chat {
    pub(super) model: String,
    keep_alive: Option<i64>,
    request: TokenizeRequest,
    names: Names,
    pub(super) ignored: Ignored,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::dialect::openai) struct Rendered {
    /// What the model reads.
    prompt: String,
}

#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::dialect::openai) struct InputTokens {
    object: &'static str,
    input_tokens: usize,
}

impl Chat {
    /// Reads the body of a chat completion.
    pub(super) fn read(body: &[u8]) -> Result<Self, Error> {
        let params = request::params::<ChatCompletions>(body)?;
        let Some(generate_request::Input::Chat(chat)) = params.inputs.into_iter().next() else {
            return Err(Error::internal("a chat is read as another input"));
        };
        let input = Some(tokenize_request::Input::Chat(chat));
        let request = TokenizeRequest { input, ..TokenizeRequest::default() };
        let (model, keep_alive) = (params.model, params.keep_alive);
        Ok(Self { model, keep_alive, request, names: params.names, ignored: params.ignored })
    }

    /// What the model reads, as its worker says.
    pub(super) async fn tokenize(self, gateway: &Gateway, record: &Record) -> Result<TokenizeReply, Error> {
        let caller = Caller { id: record.id().clone(), model: self.model, keep_alive: self.keep_alive };
        let reply = upstream::tokenize(&gateway.upstream, caller, self.request).await;
        reply.map_err(|error| self.names.of(error))
    }
}

/// Renders a chat without generating.
pub(super) async fn create(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    answer(&gateway, &record, request, |reply| Json(Rendered { prompt: reply.prompt }).into_response()).await
}

/// Counts the tokens of a chat without generating.
pub(in crate::dialect::openai) async fn count(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let count = |reply: TokenizeReply| {
        Json(InputTokens { object: "chat.completion.input_tokens", input_tokens: reply.tokens.len() })
            .into_response()
    };
    answer(&gateway, &record, request, count).await
}

async fn answer(
    gateway: &Gateway,
    record: &Record,
    request: Request<Body>,
    say: impl FnOnce(TokenizeReply) -> Response,
) -> Result<Response, Refusal> {
    let body = server::read_body(request, gateway.limits).await?;
    let mut chat = Chat::read(&body)?;
    gateway.permit(&record.caller(), &mut chat.model).await?;
    let ignored = std::mem::take(&mut chat.ignored);
    let mut response = say(chat.tokenize(gateway, record).await?);
    ignored.write(response.headers_mut());
    Ok(response)
}
