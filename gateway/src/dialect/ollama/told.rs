//! Work that takes long, told as it goes: lines of JSON, the last of which says `success` or why not; or that last one
//! alone.

use std::{convert::Infallible, future::Future};

use axum::{
    Json,
    body::Body,
    http::{HeaderValue, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures::{StreamExt, stream};
use impetus_proto::Error;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tracing::Instrument;

use super::error::ErrorBody;
use crate::{dialect::Refusal, error::Failure};

/// What may be said before whoever listens has heard it.
const AHEAD: usize = 16;

/// To whom it is told. Nobody may be left to hear it.
#[derive(Debug, Clone)]
pub(super) struct Listener(mpsc::Sender<Value>);

impl Listener {
    /// Says what is being done.
    pub(super) async fn status(&self, status: &str) {
        self.say(json!({ "status": status })).await;
    }

    /// Says what is being done, with more than a word.
    pub(super) async fn say(&self, line: Value) {
        let _ = self.0.send(line).await;
    }

    /// Resolves when nobody listens any more.
    pub(super) async fn gone(&self) {
        self.0.closed().await;
    }
}

/// The answer to a request for this work, which is done by a task of its own: what has begun is brought to an end, or
/// taken back, by whoever does it. Whether the client has left it learns from the listener.
pub(super) async fn answer<F>(
    is_streamed: bool,
    work: impl FnOnce(Listener) -> F,
) -> Result<Response, Refusal>
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let (tell, mut told) = mpsc::channel(AHEAD);
    let work = tokio::spawn(work(Listener(tell)).in_current_span());
    let end = async {
        work.await.unwrap_or_else(|_| {
            Err(Error::internal("the gateway failed on this request; its log has the cause"))
        })
    };
    if !is_streamed {
        while told.recv().await.is_some() {}
        end.await?;
        return Ok(Json(success()).into_response());
    }
    let said = stream::poll_fn(move |cx| told.poll_recv(cx));
    let last = stream::once(async { end.await.map_or_else(|error| failed(&error.into()), |()| success()) });
    let lines = said.chain(last).map(|line| Ok::<_, Infallible>(Bytes::from(format!("{line}\n"))));
    let kind = HeaderValue::from_static("application/x-ndjson");
    Ok(([(CONTENT_TYPE, kind)], Body::from_stream(lines)).into_response())
}

fn success() -> Value {
    json!({ "status": "success" })
}

fn failed(failure: &Failure) -> Value {
    json!(ErrorBody::of(failure))
}
