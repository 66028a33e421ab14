//! `POST /detokenize`: llama.cpp answers the text as `content`, vLLM as `prompt`; here it is both.

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::Request,
    response::{IntoResponse, Response},
};
use impetus_proto::{Error, worker::DetokenizeRequest};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    dialect::{
        field::{Fields, integer},
        ignored::Ignored,
        keep_alive,
        openai::{error::Refusal, prompt::MAX_TOKENS},
    },
    record::Record,
    server::{self, Gateway},
    upstream::{self, Caller},
};

#[derive(Debug, PartialEq)]
struct Params {
    model: String,
    keep_alive: Option<i64>,
    tokens: Vec<u32>,
    ignored: Ignored,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Detokenized")]
pub(in crate::dialect::openai) struct Answer {
    content: String,
    prompt: String,
}

/// Says what text tokens are.
pub(super) async fn create(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let body = server::read_body(request, gateway.limits).await?;
    let Params { mut model, keep_alive, tokens, ignored } = params(&body)?;
    gateway.permit(&record.caller(), &mut model).await?;
    let caller = Caller { id: record.id().clone(), model, keep_alive };
    let request = DetokenizeRequest { tokens, ..DetokenizeRequest::default() };
    let text = upstream::detokenize(&gateway.upstream, caller, request).await?.text;
    let mut response = Json(Answer { content: text.clone(), prompt: text }).into_response();
    ignored.write(response.headers_mut());
    Ok(response)
}

/// Reads a body and leaves it at that.
pub(in crate::dialect::openai) fn check(body: &[u8]) -> Result<(), Error> {
    params(body).map(drop)
}

fn params(body: &[u8]) -> Result<Params, Error> {
    let mut fields = Fields::of_body(body)?;
    let expected = "an array of token ids";
    let Some(items) = fields.array("tokens", expected, MAX_TOKENS)? else {
        return Err(Error::invalid("tokens", format!("tokens is missing; it must be {expected}")));
    };
    let range = 0..=i64::from(i32::MAX);
    let token = |(idx, item): (usize, &&serde_json::value::RawValue)| {
        // The name is made for the error alone: there may be millions of tokens.
        let id = integer(item, "tokens", range.clone());
        id.or_else(|_| integer(item, &format!("tokens[{idx}]"), range.clone())).map(|id| id as u32)
    };
    let tokens = items.iter().enumerate().map(token).collect::<Result<_, _>>()?;
    let model = fields.text("model")?.unwrap_or_default();
    let keep_alive = keep_alive::take(&mut fields)?;
    let mut ignored = Ignored::default();
    ignored.add("", &fields);
    Ok(Params { model, keep_alive, tokens, ignored })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_ids() {
        let check = |body: &str, expected: Result<&[u32], &str>| {
            let found = params(body.as_bytes());
            let found = found.as_ref().map(|params| &params.tokens[..]).map_err(|error| error.param.as_str());
            assert_eq!(found, expected, "{body}");
        };
        check(r#"{"tokens":[]}"#, Ok(&[]));
        check(r#"{"tokens":[1,2147483647],"model":"m"}"#, Ok(&[1, 2_147_483_647]));
        check("{}", Err("tokens"));
        check(r#"{"tokens":"a"}"#, Err("tokens"));
        check(r#"{"tokens":[1,-1]}"#, Err("tokens[1]"));
        check(r#"{"tokens":[1,"a"]}"#, Err("tokens[1]"));
        check(r#"{"tokens":[1,2147483648]}"#, Err("tokens[1]"));
    }
}
