//! Responses that are kept: fetched, read again, cancelled, deleted, and the items of their inputs.

mod events;

use std::time::Duration;

use axum::{
    Extension, Json,
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Response as HttpResponse},
};
use impetus_proto::{Code, Error};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    params::Include,
    store::{Order, Page, Store, Stored},
};
use crate::{
    dialect::{
        openai::{error::Refusal, parameter::unsupported},
        query::Query,
    },
    record::Record,
    server::Gateway,
};

/// How long whoever cancels waits for the response to be over.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

/// Items of a page, unless asked for otherwise, and at most.
const PAGE: usize = 20;
const MAX_PAGE: usize = 100;

/// The names of the parameter that says what to include, of which there may be several.
const INCLUDE: &[&str] = &["include", "include[]"];

#[derive(Serialize)]
struct Deleted {
    id: String,
    object: &'static str,
    deleted: bool,
}

#[derive(Serialize)]
struct Items {
    object: &'static str,
    data: Vec<Box<RawValue>>,
    first_id: Option<String>,
    last_id: Option<String>,
    has_more: bool,
}

/// `GET /v1/responses/{id}`
pub(in crate::dialect::openai) async fn get(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<HttpResponse, Refusal> {
    let mut query = Query::read(query.as_deref())?;
    let is_streamed = query.flag("stream")?.unwrap_or(false);
    let after = query.number("starting_after", 0..=u64::MAX)?;
    let is_obfuscated = query.flag("include_obfuscation")?.unwrap_or(false);
    let include = query.texts(INCLUDE);
    let mut ignored = query.rest();
    if is_streamed && is_obfuscated {
        // Events are read again as they were told.
        ignored.name("", "include_obfuscation");
    }
    if after.is_some() && !is_streamed {
        return Err(Error::invalid("starting_after", "starting_after needs stream=true").into());
    }
    let caller = record.caller();
    let store = &gateway.responses.store;
    let stored = find(store, &id, &caller.name).await?;
    Include::of(include, &mut ignored).name_missing(&stored.object, &mut ignored);
    let mut response = if is_streamed {
        let caller = caller.name.to_string();
        events::of(&gateway, id, caller, stored, after)?
    } else {
        Json(stored.object).into_response()
    };
    ignored.write(response.headers_mut());
    Ok(response)
}

/// `DELETE /v1/responses/{id}`
pub(in crate::dialect::openai) async fn delete(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    Path(id): Path<String>,
) -> Result<HttpResponse, Refusal> {
    let caller = record.caller();
    let store = &gateway.responses.store;
    if !store.is_on() || !store.delete(&id, &caller.name).await? {
        return Err(no_such_response(&id).into());
    }
    if let Some(log) = gateway.responses.background.log_of(&id) {
        log.cancel();
    }
    Ok(Json(Deleted { id, object: "response", deleted: true }).into_response())
}

/// `POST /v1/responses/{id}/cancel`
pub(in crate::dialect::openai) async fn cancel(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    Path(id): Path<String>,
) -> Result<HttpResponse, Refusal> {
    let caller = record.caller();
    let store = &gateway.responses.store;
    let stored = find(store, &id, &caller.name).await?;
    if stored.object.get("background").is_none_or(|is| is != true) {
        let message = "only a response with background = true can be cancelled so; to cancel another one, close its \
                       connection";
        return Err(Error::invalid("response_id", message).into());
    }
    if !stored.is_running {
        return Ok(Json(stored.object).into_response());
    }
    store.ask_to_cancel(&id).await?;
    let over = async {
        if let Some(log) = gateway.responses.background.log_of(&id) {
            log.cancel();
            log.over().await;
        } else {
            events::ended_elsewhere(store, &id, &caller.name).await;
        }
    };
    // One that does not hear in time is told as it is; it will be cancelled.
    let _ = tokio::time::timeout(CANCEL_PATIENCE, over).await;
    Ok(Json(find(store, &id, &caller.name).await?.object).into_response())
}

/// `GET /v1/responses/{id}/input_items`
pub(in crate::dialect::openai) async fn input_items(
    State(gateway): State<Gateway>,
    Extension(record): Extension<Record>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<HttpResponse, Refusal> {
    let mut query = Query::read(query.as_deref())?;
    let limit = query.number("limit", 1..=MAX_PAGE as u64)?.map_or(PAGE, |limit| limit as usize);
    let order = match query.word("order", &["asc", "desc"])? {
        Some("asc") => Order::OldestFirst,
        _ => Order::NewestFirst,
    };
    let after = query.text("after");
    if query.text("before").is_some() {
        return Err(unsupported("before", "before is not supported by this server; use after").into());
    }
    let include = query.texts(INCLUDE);
    let mut ignored = query.rest();
    // Items of an input are told as they came, with all that was in them.
    Include::of(include, &mut ignored);
    let caller = record.caller();
    let store = &gateway.responses.store;
    // Whether it is the response or the item that is missing.
    find(store, &id, &caller.name).await?;
    let page = Page { limit, order, after: after.clone() };
    let Some((items, has_more)) = store.inputs(&id, &caller.name, page).await? else {
        let after: String = after.unwrap_or_default().chars().take(128).collect();
        return Err(Error::invalid("after", format!("the response has no input item {after:?}")).into());
    };
    let id_of = |item: Option<&super::item::Kept>| item.map(|item| item.id.clone());
    let (first_id, last_id) = (id_of(items.first()), id_of(items.last()));
    let data = items
        .into_iter()
        .map(|item| RawValue::from_string(item.json))
        .collect::<Result<_, _>>()
        .map_err(|error| Error::internal(format!("an item that was kept is no JSON: {error}")))?;
    let items = Items { object: "list", data, first_id, last_id, has_more };
    let mut response = Json(items).into_response();
    ignored.write(response.headers_mut());
    Ok(response)
}

async fn find(store: &Store, id: &str, caller: &str) -> Result<Stored, Error> {
    if !store.is_on() {
        return Err(no_such_response(id));
    }
    store.get(id, caller).await?.ok_or_else(|| no_such_response(id))
}

fn no_such_response(id: &str) -> Error {
    let id: String = id.chars().take(128).collect();
    Error::new(Code::NotFound, format!("Response with id '{id}' not found.")).with_param("response_id")
}
