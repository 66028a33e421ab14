//! `GET /admin/events`: everything live but log lines, on one stream that can be gone on with.

mod cursor;

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName},
    response::Response,
};
use bytes::Bytes;
use futures::Stream;
use impetus_proto::event::{EventBatch, ListRequest};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;
use tonic::Streaming;

use self::cursor::{Cursor, Gap};
use super::{
    ask::Asked,
    pulls::{Pull, Pulls},
    status::Status,
};
use crate::{
    clock,
    dialect::{Refusal, frames},
    overview::{Now, Pulling, Step},
    server::Gateway,
};

/// The pause before a supervisor that is not there is asked again what has happened.
const PAUSE: Duration = Duration::from_millis(200);

/// What keeps a silent stream open.
pub(super) const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Since {
    /// Of what is remembered, as much is told at first.
    #[serde(default = "an_hour")]
    since_s: u64,
}

/// Something that happened to the server.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Happening {
    /// Grows by one from event to event.
    number: u64,
    unix_ms: u64,
    /// What, such as `model.ready`.
    kind: String,
    /// To what: a model, a worker, a key.
    subject: String,
    /// A sentence without its subject.
    message: String,
    fields: std::collections::BTreeMap<String, String>,
}

/// Events that cannot be told any more.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Missed {
    /// null: nobody knows
    missed: Option<u64>,
}

/// The supervisor does not answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Away {
    message: String,
}

/// What there is to tell.
enum News {
    Status(Option<Arc<Now>>),
    Happened(EventBatch),
    Sampled,
    Pulls(Arc<[Pulling]>),
    Nothing,
    Over,
}

/// The stream, until the client goes or another gateway serves.
pub(super) async fn follow(
    State(gateway): State<Gateway>,
    Asked(Since { since_s }): Asked<Since>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let cursor = last_event_id(&headers).and_then(Cursor::parse);
    let newest = *gateway.overview.newest().borrow();
    let begin = || Cursor::begin(clock::unix_ms().saturating_sub(since_s.saturating_mul(1000)), newest);
    let cursor = cursor.unwrap_or_else(begin);
    Ok(frames::event_stream(Body::from_stream(stream(gateway, cursor))))
}

/// The id of the last event that a client has seen, where it says so.
pub(super) fn last_event_id(headers: &HeaderMap) -> Option<&str> {
    headers.get(LAST_EVENT_ID)?.to_str().ok()
}

fn stream(gateway: Gateway, mut cursor: Cursor) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    async_stream::stream! {
        let overview = gateway.overview.clone();
        let (mut now, mut newest, mut pulls) = (overview.watch(), overview.newest(), overview.pulls());
        // What was published for those who looked before is old, or about to be told.
        now.mark_unchanged();
        newest.mark_changed();
        if !pulls.borrow().is_empty() {
            pulls.mark_changed();
        }
        let mut happenings = None;
        let asked = Now::ask(&gateway.upstream).await;
        yield Ok(of_status(&cursor, &asked));
        loop {
            let news = tokio::select! {
                () = overview.over() => News::Over,
                Ok(()) = now.changed() => News::Status(now.borrow_and_update().clone()),
                batch = next(&gateway, &mut happenings, &mut cursor) => News::Happened(batch),
                Ok(()) = newest.changed() => News::Sampled,
                Ok(()) = pulls.changed() => News::Pulls(pulls.borrow_and_update().clone()),
                () = sleep(gateway.limits.keep_alive) => News::Nothing,
            };
            match news {
                News::Status(Some(now)) => yield Ok(of_status(&cursor, &now)),
                News::Status(None) => {}
                News::Happened(batch) => {
                    let (gap, events) = cursor.take(batch);
                    if let Some(Gap(missed)) = gap {
                        yield Ok(frame(None::<&Cursor>, "gap", &Missed { missed }));
                    }
                    for event in events {
                        cursor.pass(&event);
                        yield Ok(frame(Some(&cursor), "event", &Happening::from(event)));
                    }
                }
                News::Sampled => {
                    for sample in overview.samples(Step::Second, cursor.sample_s()) {
                        cursor.pass_sample(sample.unix_s);
                        yield Ok(frame(Some(&cursor), "history", &*sample));
                    }
                }
                News::Pulls(pulls) => {
                    let pulls = Pulls { pulls: pulls.iter().map(Pull::from).collect() };
                    yield Ok(frame(Some(&cursor), "pulls", &pulls));
                }
                News::Nothing => yield Ok(Bytes::from_static(KEEP_ALIVE)),
                News::Over => return,
            }
        }
    }
}

/// What has happened next. A supervisor that is away is asked until it is back. Nothing is lost when this is dropped.
async fn next(
    gateway: &Gateway,
    happenings: &mut Option<Streaming<EventBatch>>,
    cursor: &mut Cursor,
) -> EventBatch {
    loop {
        if let Some(stream) = happenings {
            if let Ok(Some(batch)) = stream.message().await {
                return batch;
            }
            *happenings = None;
            cursor.interrupted();
            sleep(PAUSE).await;
        }
        let request = ListRequest { since_unix_ms: cursor.since_unix_ms(), follow: true };
        let listed = async { gateway.upstream.events().await.ok()?.list(request).await.ok() };
        match listed.await {
            Some(listed) => *happenings = Some(listed.into_inner()),
            None => sleep(PAUSE).await,
        }
    }
}

fn of_status(cursor: &Cursor, now: &Now) -> Bytes {
    match &now.status {
        Ok(status) => frame(Some(cursor), "status", &Status::of(now.unix_ms, status)),
        Err(error) => frame(Some(cursor), "away", &Away { message: error.message.clone() }),
    }
}

/// One event of a stream.
pub(super) fn frame(id: Option<&impl ToString>, name: &str, data: &impl Serialize) -> Bytes {
    let id = id.map(|id| format!("id: {}\n", id.to_string())).unwrap_or_default();
    let mut bytes = format!("{id}event: {name}\ndata: ").into_bytes();
    serde_json::to_writer(&mut bytes, data).expect("our own events serialize into memory");
    bytes.extend_from_slice(b"\n\n");
    bytes.into()
}

fn an_hour() -> u64 {
    3600
}

impl From<impetus_proto::event::Event> for Happening {
    fn from(event: impetus_proto::event::Event) -> Self {
        let impetus_proto::event::Event { number, unix_ms, kind, subject, message, fields } = event;
        Self { number, unix_ms, kind, subject, message, fields: fields.into_iter().collect() }
    }
}
