//! What becomes of requests and connections that are not let in: they are counted, written down and answered.

use std::{
    net::SocketAddr,
    sync::{Mutex, PoisonError},
};

use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header::WWW_AUTHENTICATE, request::Parts},
    response::IntoResponse,
};
use impetus_proto::Error;
use impetus_telemetry::AUDIT;
use tokio::time::Instant;
use tracing::warn;

use super::connection::Peer;
use crate::{
    access::{Bucket, Reason, Refused},
    dialect, metrics,
};

/// Lines of the audit log in a minute. Whoever is refused more often than that must not fill the disk: those beyond
/// are counted in the next line.
const LINES_PER_MINUTE: u32 = 300;

/// What may be written, and how many lines were not.
static PACE: Mutex<Option<(Bucket, u64)>> = Mutex::new(None);

/// The answer to a request that is not let in.
pub(super) fn answer(refused: Refused, head: &Seen) -> Response<Body> {
    let Refused { reason, error, key } = refused;
    metrics::refused(reason.name());
    if let Some(n_unwritten) = turn(Instant::now()) {
        let Seen { peer, method, path } = head;
        warn!(target: AUDIT, reason = reason.name(), key, peer, method, path, n_unwritten, "refused");
    }
    let mut response = dialect::Refusal::from(error).into_response();
    if response.status() == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

/// What the audit log says of a request. A query may have a key in it and is left out.
#[derive(Debug)]
pub(super) struct Seen {
    peer: Option<String>,
    method: String,
    path: String,
}

impl Seen {
    pub(super) fn of(head: &Parts) -> Self {
        Self {
            peer: head.extensions.get::<Peer>().map(|Peer(peer)| peer.to_string()),
            method: head.method.to_string().chars().take(16).collect(),
            path: head.uri.path().chars().take(200).collect(),
        }
    }
}

/// Counts the refusal of a request that was let in, and writes it down; what is left is what the client is told.
pub(super) fn note(refused: Refused) -> Error {
    let Refused { reason, error, key } = refused;
    metrics::refused(reason.name());
    if let Some(n_unwritten) = turn(Instant::now()) {
        warn!(target: AUDIT, reason = reason.name(), key, message = error.message, n_unwritten, "refused");
    }
    error
}

/// The same of a connection.
pub(super) fn note_connection(reason: Reason, peer: SocketAddr) {
    metrics::refused(reason.name());
    if let Some(n_unwritten) = turn(Instant::now()) {
        warn!(target: AUDIT, reason = reason.name(), %peer, n_unwritten, "refused");
    }
}

/// Whether a line may be written now, and how many were not since the last one.
fn turn(now: Instant) -> Option<u64> {
    let mut pace = PACE.lock().unwrap_or_else(PoisonError::into_inner);
    let (bucket, n_unwritten) = pace.get_or_insert_with(|| (Bucket::new(LINES_PER_MINUTE, now), 0));
    if bucket.wait(now).is_some() {
        *n_unwritten += 1;
        return None;
    }
    bucket.take(1, now);
    Some(std::mem::take(n_unwritten))
}
