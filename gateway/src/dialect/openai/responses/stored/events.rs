//! The events of responses that are kept, or that are being made.

use std::{convert::Infallible, time::Duration};

use axum::{body::Body, response::Response as HttpResponse};
use bytes::Bytes;
use futures::{
    Stream, StreamExt,
    stream::{self, BoxStream},
};
use impetus_proto::Error;
use tokio::time::{sleep, timeout};

use crate::{
    dialect::{
        frames,
        openai::{
            error::Refusal,
            responses::{
                event::Frame,
                store::{Store, Stored},
            },
        },
    },
    server::Gateway,
};

/// How often it is looked whether another gateway has made a response.
const LOOK_PERIOD: Duration = Duration::from_secs(1);

type Events = BoxStream<'static, Result<Bytes, Infallible>>;

/// The events of a response behind the one of the number `after`.
pub(super) fn of(
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
    Ok(frames::event_stream(body))
}

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
            match timeout(keep_alive, &mut ended).await {
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
            // Its gateway has ended, or there was no room for them: there are no events but its end.
            _ => yield Ok(Frame::end_of(after.map_or(0, |after| after.saturating_add(1)), &stored.object)),
        }
    }
}

/// The response, when it is over; `None` when it is deleted.
pub(super) async fn ended_elsewhere(store: &Store, id: &str, caller: &str) -> Option<Stored> {
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
