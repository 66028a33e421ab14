//! `POST /v1/embeddings`

mod body;
mod input;

pub(super) use body::Answer;

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, Request},
    response::Response,
};
use impetus_proto::{Error, worker::EmbedInput};

use super::{bookkeeping, error::Refusal, parameter};
use crate::{
    dialect::{field::Fields, ignored::Ignored, keep_alive},
    record::Record,
    server::{self, Gateway},
    upstream::{self, EmbeddingRequest},
};

/// Names the inputs that were cut.
const TRUNCATED: HeaderName = HeaderName::from_static("x-impetus-truncated");

/// The most inputs that it names; how many more there are follows, as `+n`.
const MAX_NAMED: usize = 64;

/// The most dimensions that anybody can ask for; a model's own number binds first.
const MAX_DIMENSIONS: i64 = 1 << 20;

/// A request's body, understood.
#[derive(Debug, PartialEq)]
struct Params {
    /// What the client named; empty means the default model.
    model: String,
    inputs: Vec<EmbedInput>,
    /// 0 is all of them.
    dimensions: u32,
    encoding: Encoding,
    /// Seconds that the model is to stay loaded afterwards; negative: it stays; absent: as configured.
    keep_alive: Option<i64>,
    ignored: Ignored,
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    /// As JSON numbers, the shortest that say exactly which 32-bit float is meant.
    Float,
    /// Little-endian 32-bit floats in base64.
    Base64,
}

/// Turns texts into vectors.
pub(super) async fn create(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let body = server::read_body(request, gateway.limits).await?;
    let Params { mut model, inputs, dimensions, encoding, keep_alive, ignored } = params(&body)?;
    drop(body);
    gateway.permit(&record.caller(), &mut model).await?;
    let truncate = gateway.truncate_inputs;
    let id = record.id().clone();
    let request = EmbeddingRequest { id, model, inputs, dimensions, truncate, keep_alive };
    let embedded = record.observe_whole(upstream::embed(&gateway.upstream, request)).await?;

    let mut headers = HeaderMap::new();
    ignored.write(&mut headers);
    headers.extend(truncated(embedded.embeddings.iter().map(|embedding| embedding.truncated)));
    let mut response = body::response(embedded, encoding);
    response.headers_mut().extend(headers);
    Ok(response)
}

/// Reads a body and leaves it at that.
pub(super) fn check(body: &[u8]) -> Result<(), Error> {
    params(body).map(drop)
}

fn params(body: &[u8]) -> Result<Params, Error> {
    let mut fields = Fields::of_body(body)?;
    let mut ignored = Ignored::default();
    let model = fields.text("model")?.unwrap_or_default();
    let inputs = input::inputs(&mut fields)?;
    let encoding = Encoding::take(&mut fields)?;
    let dimensions = fields.integer("dimensions", 1..=MAX_DIMENSIONS)?.unwrap_or(0) as u32;
    let keep_alive = keep_alive::take(&mut fields)?;
    parameter::refuse(&mut fields, parameter::EMBEDDING)?;
    bookkeeping::accept(&mut fields)?;
    ignored.add("", &fields);
    Ok(Params { model, inputs, dimensions, encoding, keep_alive, ignored })
}

impl Encoding {
    /// Takes `encoding_format`.
    fn take(fields: &mut Fields<'_>) -> Result<Self, Error> {
        match fields.text("encoding_format")?.as_deref() {
            None | Some("float") => Ok(Self::Float),
            Some("base64") => Ok(Self::Base64),
            Some(other) => {
                let other: String = other.chars().take(32).collect();
                let message = format!("encoding_format must be \"float\" or \"base64\", not {other:?}");
                Err(Error::invalid("encoding_format", message))
            }
        }
    }
}

/// Names the inputs that were cut, by their place.
pub(in crate::dialect) fn truncated(are_cut: impl Iterator<Item = bool>) -> HeaderMap {
    let cut = are_cut.enumerate().filter(|(_, is_cut)| *is_cut);
    let mut names: Vec<String> = cut.map(|(idx, _)| idx.to_string()).collect();
    let n_more = names.len().saturating_sub(MAX_NAMED);
    names.truncate(MAX_NAMED);
    if n_more > 0 {
        names.push(format!("+{n_more}"));
    }
    let mut headers = HeaderMap::new();
    if !names.is_empty()
        && let Ok(value) = HeaderValue::from_str(&names.join(","))
    {
        headers.insert(TRUNCATED, value);
    }
    headers
}

#[cfg(test)]
mod tests;
