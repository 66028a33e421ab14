//! `POST /api/embed`, and `/api/embeddings`, which takes one text.

use std::time::Duration;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::Request,
    response::{IntoResponse, Response},
};
use impetus_proto::{
    Error,
    worker::{EmbedInput, embed_input::Input},
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{json, value::RawValue};
use tokio::time::Instant;

use super::{answer::Asking, context, line::nanoseconds, load, named::Named, option, preset::Preset};
use crate::{
    dialect::{
        Refusal,
        field::{Fields, elements, kind, wrong_type},
        ignored::Ignored,
        keep_alive,
        openai::embeddings::truncated,
    },
    record::Record,
    server::{self, Gateway},
    upstream::{self, Embedded as Vectors, EmbeddingRequest},
};

/// The most inputs of a request.
const MAX_INPUTS: usize = 2048;

/// The most dimensions that anybody can ask for; a model's own number binds first.
const MAX_DIMENSIONS: i64 = 1 << 20;

const EXPECTED: &str = "a string or an array of strings";

/// The vectors of all inputs.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OllamaEmbedded")]
pub(in crate::dialect) struct Embedded<'a> {
    model: &'a str,
    embeddings: Vec<Vec<f32>>,
    /// In nanoseconds.
    total_duration: u64,
    /// In nanoseconds.
    load_duration: u64,
    prompt_eval_count: u64,
}

/// The vector of one input.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "OllamaEmbedding")]
pub(in crate::dialect) struct Embedding {
    embedding: Vec<f32>,
}

/// Which of the two endpoints a request came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Several,
    One,
}

/// A request's body, understood.
#[derive(Debug, PartialEq)]
struct Params {
    /// None: the model is to be loaded, or unloaded.
    inputs: Vec<EmbedInput>,
    truncate: bool,
    /// 0 is all of them.
    dimensions: u32,
    num_ctx: Option<u32>,
    keep_alive: Option<i64>,
    ignored: Ignored,
}

/// Turns texts into vectors.
pub(super) async fn create(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    answer(gateway, record, request, Kind::Several).await
}

/// Turns one text into a vector.
pub(super) async fn create_one(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    answer(gateway, record, request, Kind::One).await
}

async fn answer(
    gateway: Gateway,
    record: Record,
    request: Request<Body>,
    kind: Kind,
) -> Result<Response, Refusal> {
    let begun = Instant::now();
    let body = server::read_body(request, gateway.limits).await?;
    let mut fields = Fields::of_body(&body)?;
    let name = fields.text("model")?.unwrap_or_default();
    let named = Named::find(&gateway, &record.caller(), &name).await?;
    let params = Params::read(&mut fields, named.preset.as_ref(), kind)?;
    drop(fields);
    drop(body);
    let asking = Asking { gateway, record, named, begun };
    Ok(embed(&asking, params, kind).await.map_err(|error| asking.named.worded(error))?)
}

async fn embed(asking: &Asking, params: Params, kind: Kind) -> Result<Response, Error> {
    let Params { inputs, truncate, dimensions, num_ctx, keep_alive, ignored } = params;
    if let Some(num_ctx) = num_ctx {
        context::check_size(asking, num_ctx)?;
    }
    let (embedded, loading) = if inputs.is_empty() {
        load::load(asking, keep_alive).await?;
        (Vectors { model: "".into(), embeddings: Vec::new() }, asking.begun.elapsed())
    } else {
        let loading = load::wait(asking).await?;
        let (id, model) = (asking.record.id().clone(), asking.named.model.clone());
        let request = EmbeddingRequest { id, model, inputs, dimensions, truncate, keep_alive };
        let embed = upstream::embed(&asking.gateway.upstream, request);
        (asking.record.observe_whole(embed).await?, loading)
    };
    let cut = truncated(embedded.embeddings.iter().map(|embedding| embedding.truncated));
    let mut response = written(asking, embedded, loading, kind);
    response.headers_mut().extend(cut);
    ignored.write(response.headers_mut());
    Ok(response)
}

fn written(asking: &Asking, embedded: Vectors, loading: Duration, kind: Kind) -> Response {
    let prompt_eval_count = embedded.tokens();
    let mut vectors = embedded.embeddings.into_iter().map(|embedding| embedding.values);
    match kind {
        Kind::One => Json(Embedding { embedding: vectors.next().unwrap_or_default() }).into_response(),
        Kind::Several => Json(Embedded {
            model: &asking.named.shown,
            embeddings: vectors.collect(),
            total_duration: nanoseconds(asking.begun.elapsed()),
            load_duration: nanoseconds(loading),
            prompt_eval_count,
        })
        .into_response(),
    }
}

/// Reads a body of `/api/embed` and leaves it at that.
pub(in crate::dialect) fn check(body: &[u8]) -> Result<(), Error> {
    checked(body, Kind::Several)
}

/// Reads a body of `/api/embeddings` and leaves it at that.
pub(in crate::dialect) fn check_one(body: &[u8]) -> Result<(), Error> {
    checked(body, Kind::One)
}

fn checked(body: &[u8], kind: Kind) -> Result<(), Error> {
    let mut fields = Fields::of_body(body)?;
    fields.text("model")?;
    Params::read(&mut fields, None, kind).map(drop)
}

impl Params {
    /// Reads the rest of a body whose `model` is taken.
    fn read(fields: &mut Fields<'_>, preset: Option<&Preset>, kind: Kind) -> Result<Self, Error> {
        let mut ignored = Ignored::default();
        let (inputs, truncate, dimensions) = match kind {
            Kind::Several => {
                let inputs = inputs(fields)?;
                let truncate = fields.flag("truncate")?.unwrap_or(true);
                (inputs, truncate, fields.integer("dimensions", 0..=MAX_DIMENSIONS)?.unwrap_or(0) as u32)
            }
            Kind::One => {
                let prompt = fields.text("prompt")?.filter(|prompt| !prompt.is_empty());
                (prompt.into_iter().map(of_text).collect(), true, 0)
            }
        };
        let num_ctx = option::take_context(fields, preset, &mut ignored)?;
        let keep_alive = keep_alive::take(fields)?;
        ignored.add("", fields);
        Ok(Self { inputs, truncate, dimensions, num_ctx, keep_alive, ignored })
    }
}

/// Takes `input`; an empty text alone is nothing to embed.
fn inputs(fields: &mut Fields<'_>) -> Result<Vec<EmbedInput>, Error> {
    fields.note("input", || json!({"type": ["string", "array"], "items": {"type": "string"}}));
    let Some(value) = fields.raw("input") else { return Ok(Vec::new()) };
    if value.get() == r#""""# {
        return Ok(Vec::new());
    }
    if kind(value) == "a string" {
        return Ok(vec![text(value, "input")?]);
    }
    let items = elements(value, "input", EXPECTED, MAX_INPUTS)?;
    items.into_iter().enumerate().map(|(idx, item)| text(item, &format!("input[{idx}]"))).collect()
}

fn text(value: &RawValue, path: &str) -> Result<EmbedInput, Error> {
    let text: String =
        serde_json::from_str(value.get()).map_err(|_| wrong_type(path, "a string of Unicode text", value))?;
    if text.is_empty() {
        return Err(Error::invalid(path, format!("{path} is an empty string: there is nothing to embed")));
    }
    Ok(of_text(text))
}

fn of_text(text: String) -> EmbedInput {
    EmbedInput { input: Some(Input::Text(text)) }
}

#[cfg(test)]
mod tests {
    use impetus_proto::Code;

    use super::*;

    fn read(body: &str, kind: Kind) -> Result<Params, Error> {
        Params::read(&mut Fields::of_body(body.as_bytes()).unwrap(), None, kind)
    }

    fn plain(texts: &[&str]) -> Params {
        let inputs = texts.iter().map(|&text| of_text(text.to_owned())).collect();
        let ignored = Ignored::default();
        Params { inputs, truncate: true, dimensions: 0, num_ctx: None, keep_alive: None, ignored }
    }

    #[test]
    fn inputs_are_texts() {
        let check = |kind: Kind, body: &str, expected: Params| {
            assert_eq!(read(body, kind).unwrap(), expected, "{body}");
        };
        check(Kind::Several, r#"{"input":"a"}"#, plain(&["a"]));
        check(Kind::Several, r#"{"input":["a","b"]}"#, plain(&["a", "b"]));
        check(Kind::Several, r#"{"input":""}"#, plain(&[]));
        check(Kind::Several, r#"{"input":[]}"#, plain(&[]));
        check(Kind::Several, "{}", plain(&[]));
        let cut = Params { truncate: false, dimensions: 8, keep_alive: Some(300), ..plain(&["a"]) };
        check(Kind::Several, r#"{"input":"a","truncate":false,"dimensions":8,"keep_alive":"5m"}"#, cut);
        check(Kind::One, r#"{"prompt":"a"}"#, plain(&["a"]));
        check(Kind::One, r#"{"prompt":""}"#, plain(&[]));
        let sized = Params { num_ctx: Some(512), ..plain(&["a"]) };
        check(Kind::One, r#"{"prompt":"a","options":{"num_ctx":512}}"#, sized);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |kind: Kind, body: &str, param: &str| {
            let error = read(body, kind).expect_err(body);
            assert_eq!((error.code(), error.param.as_str()), (Code::InvalidRequest, param), "{body}");
        };
        check(Kind::Several, r#"{"input":7}"#, "input");
        check(Kind::Several, r#"{"input":["a",7]}"#, "input[1]");
        check(Kind::Several, r#"{"input":["a",""]}"#, "input[1]");
        check(Kind::Several, r#"{"input":"a","dimensions":-1}"#, "dimensions");
        check(Kind::Several, r#"{"input":"a","truncate":"yes"}"#, "truncate");
        check(Kind::One, r#"{"prompt":["a"]}"#, "prompt");
        let named = read(r#"{"prompt":"a","dimensions":8}"#, Kind::One).unwrap().ignored;
        assert_eq!(format!("{named:?}"), r#"Ignored(["dimensions"])"#);
    }
}
