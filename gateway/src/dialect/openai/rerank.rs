//! `POST /v1/rerank`, as Jina and Cohere have it, and text-embeddings-inference where the documents are called `texts`.

mod input;

use std::cmp::Ordering;

use axum::{
    Extension, Json,
    body::Body,
    extract::State,
    http::Request,
    response::{IntoResponse, Response},
};
use impetus_proto::Error;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{bookkeeping, embeddings, error::Refusal, parameter};
use crate::{
    dialect::{field::Fields, ignored::Ignored, keep_alive},
    record::Record,
    server::{self, Gateway},
    upstream::{self, Ranked, RankingRequest},
};

/// The most documents of one request.
const MAX_DOCUMENTS: usize = 2048;

/// A request's body, understood.
#[derive(Debug)]
struct Params {
    /// What the client named; empty means the default model.
    model: String,
    query: String,
    documents: Vec<input::Document>,
    /// How many of the best documents to answer; absent: all.
    top_n: Option<usize>,
    return_documents: bool,
    /// Cut what is too long; absent: as configured.
    truncate: Option<bool>,
    raw: bool,
    is_list: bool,
    keep_alive: Option<i64>,
    ignored: Ignored,
}

/// The documents that answer the query best, the best one first.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Ranking {
    object: &'static str,
    model: String,
    results: Vec<Item>,
    usage: Usage,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RankingItem")]
struct Item {
    /// Place of the document in the request.
    index: usize,
    /// From 0 to 1; a logit where the request asks for raw scores.
    relevance_score: f32,
    /// As it was given; a string is the object's `text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Value>")]
    document: Option<Box<RawValue>>,
}

#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RankingUsage")]
struct Usage {
    /// Of the query with each of the documents.
    prompt_tokens: u64,
    total_tokens: u64,
}

/// An entry of the list that text-embeddings-inference answers.
#[derive(Debug, Serialize)]
struct Rank {
    index: usize,
    score: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

/// Ranks documents by how well they answer a query.
pub(super) async fn create(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let body = server::read_body(request, gateway.limits).await?;
    let mut params = params(&body)?;
    gateway.permit(&record.caller(), &mut params.model).await?;
    let request = RankingRequest {
        id: record.id().clone(),
        model: params.model.clone(),
        query: std::mem::take(&mut params.query),
        documents: params.documents.iter().map(|document| document.text.clone()).collect(),
        truncate: params.truncate.unwrap_or(gateway.truncate_inputs),
        raw: params.raw,
        keep_alive: params.keep_alive,
    };
    let ranked = record.observe_whole(upstream::rerank(&gateway.upstream, request)).await;
    let ranked = ranked.map_err(|error| input::renamed(error, params.is_list))?;
    let truncated = ranked.scores.iter().map(|score| score.truncated);
    let names = embeddings::truncated(truncated);
    let ignored = std::mem::take(&mut params.ignored);
    let mut response = answer(params, &ranked);
    ignored.write(response.headers_mut());
    response.headers_mut().extend(names);
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
    let Some(query) = fields.text("query")?.filter(|query| !query.is_empty()) else {
        return Err(Error::invalid("query", "query is missing or empty; it must be a string"));
    };
    let (documents, is_list) = input::documents(&mut fields)?;
    let range = 0..=i64::from(i32::MAX);
    let top_n = fields.integer("top_n", range.clone())?.or(fields.integer("top_k", range)?);
    let returned = fields.flag("return_documents")?.or(fields.flag("return_text")?);
    let params = Params {
        model,
        query,
        documents,
        top_n: top_n.map(|n| n as usize).filter(|&n| n > 0),
        return_documents: returned.unwrap_or(false),
        truncate: fields.flag("truncate")?.or(truncation(&mut fields)?),
        raw: fields.flag("raw_scores")?.unwrap_or(false),
        is_list,
        keep_alive: keep_alive::take(&mut fields)?,
        ignored: Ignored::default(),
    };
    parameter::refuse(&mut fields, parameter::RERANK)?;
    bookkeeping::accept(&mut fields)?;
    ignored.add("", &fields);
    Ok(Params { ignored, ..params })
}

/// Takes Voyage's `truncation`, another name of `truncate`.
fn truncation(fields: &mut Fields<'_>) -> Result<Option<bool>, Error> {
    fields.flag("truncation")
}

fn answer(params: Params, ranked: &Ranked) -> Response {
    let mut order: Vec<usize> = (0..ranked.scores.len()).collect();
    let by_score = |&a: &usize, &b: &usize| -> Ordering {
        // Equal ones stay in the order in which they were given.
        ranked.scores[b].value.total_cmp(&ranked.scores[a].value)
    };
    order.sort_by(by_score);
    order.truncate(params.top_n.unwrap_or(usize::MAX));
    let mut documents: Vec<Option<input::Document>> = params.documents.into_iter().map(Some).collect();
    let mut document = |index: usize| documents[index].take().filter(|_| params.return_documents);
    if params.is_list {
        let rank = |index: usize| {
            let text = document(index).map(|document| document.text);
            Rank { index, score: ranked.scores[index].value, text }
        };
        return Json(order.into_iter().map(rank).collect::<Vec<_>>()).into_response();
    }
    let item = |index: usize| {
        let document = document(index).map(input::Document::into_object);
        Item { index, relevance_score: ranked.scores[index].value, document }
    };
    let total_tokens = ranked.tokens();
    let ranking = Ranking {
        object: "list",
        model: ranked.model.to_string(),
        results: order.into_iter().map(item).collect(),
        usage: Usage { prompt_tokens: total_tokens, total_tokens },
    };
    Json(ranking).into_response()
}

#[cfg(test)]
mod tests;
