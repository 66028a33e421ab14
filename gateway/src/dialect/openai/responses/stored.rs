//! Responses that are kept: fetched, read again, cancelled, deleted, and the items of their inputs.

use std::{convert::Infallible, time::Duration};

use axum::{
    Extension, Json,
    body::Body,
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Response as HttpResponse},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use impetus_proto::{Code, Error};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::sleep;

use super::{
    event::Frame,
    query::Query,
    store::{Order, Page, Store, Stored},
};
use crate::{
    dialect::openai::{answer, error::Refusal, parameter::unsupported},
    record::Record,
    server::Gateway,
};

/// How often it is looked whether another gateway has made a response.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

/// How long whoever cancels waits for the response to be over.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

/// Items of a page, unless asked for otherwise, and at most.
const PAGE: usize = 20;
const MAX_PAGE: usize = 100;

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
    query.flag("include_obfuscation")?;
    query.drop(&["include", "include[]"]);
    let ignored = query.rest();
    if after.is_some() && !is_streamed {
        return Err(Error::invalid("starting_after", "starting_after needs stream=true").into());
    }
    let caller = record.caller();
    let store = &gateway.responses.store;
    let stored = find(store, &id, &caller.name).await?;
    let mut response = if is_streamed {
        let caller = caller.name.to_string();
        events(&gateway, id, caller, stored, after)?
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
            ended_elsewhere(store, &id, &caller.name).await;
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
    query.drop(&["include", "include[]"]);
    let ignored = query.rest();
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

/// The events of a response behind the one of the number `after`.
fn events(
    gateway: &Gateway,
    id: String,
    caller: String,
    stored: Stored,
    after: Option<u64>,
) -> Result<HttpResponse, Refusal> {
    if stored.object.get("background").is_none_or(|is| is != true) {
        let message =
            "the events of a response are kept when it was made with background = true; this one was not";
        return Err(Error::invalid("stream", message).into());
    }
    let keep_alive = gateway.limits.keep_alive;
    let body = match (stored.events, gateway.responses.background.log_of(&id)) {
        (Some(events), _) => Body::from_stream(kept(&events, after)?),
        (None, Some(log)) => Body::from_stream(log.follow(after, keep_alive)),
        (None, None) => {
            let store = gateway.responses.store.clone();
            Body::from_stream(from_elsewhere(store, id, caller, after, keep_alive))
        }
    };
    Ok(answer::event_stream(body))
}

type Events = stream::BoxStream<'static, Result<Bytes, Infallible>>;

/// Events that were kept.
fn kept(events: &str, after: Option<u64>) -> Result<Events, Error> {
    let is_behind = move |frame: &Frame| after.is_none_or(|after| frame.sequence_number > after);
    let frames = Frame::of_json(events)?.into_iter().filter(is_behind);
    Ok(stream::iter(frames.map(|frame| Ok(frame.bytes))).boxed())
}

/// Events of a response that another gateway makes, which keeps them when it is over.
fn from_elsewhere(
    store: Store,
    id: String,
    caller: String,
    after: Option<u64>,
    keep_alive: Duration,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    async_stream::stream! {
        let ended = ended_elsewhere(&store, &id, &caller);
        tokio::pin!(ended);
        let stored = loop {
            match tokio::time::timeout(keep_alive, &mut ended).await {
                Ok(stored) => break stored,
                Err(_) => yield Ok(Frame::keep_alive(after.unwrap_or(0))),
            }
        };
        let Some(stored) = stored else { return };
        match stored.events.as_deref().map(|events| kept(events, after)) {
            Some(Ok(mut frames)) => {
                while let Some(frame) = frames.next().await {
                    yield frame;
                }
            }
            // Its gateway has ended: there are no events but its end.
            _ => yield Ok(Frame::lost(after.map_or(0, |after| after.saturating_add(1)), &stored.object)),
        }
    }
}

/// The response, when it is over; `None` when it is deleted.
async fn ended_elsewhere(store: &Store, id: &str, caller: &str) -> Option<Stored> {
    loop {
        match store.get(id, caller).await {
            Ok(Some(stored)) if stored.is_running => {}
            Ok(stored) => return stored,
            // The log has the cause; it may be better the next time.
            Err(_) => {}
        }
        sleep(LOOK_PERIOD).await;
    }
}

fn no_such_response(id: &str) -> Error {
    let id: String = id.chars().take(128).collect();
    Error::new(Code::NotFound, format!("Response with id '{id}' not found.")).with_param("response_id")
}
