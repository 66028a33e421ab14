//! What of a request's body nobody read by the time it is answered, as when it is refused for its head.
//!
//! Over HTTP/1.1 the next request follows it on the same connection. Hyper closes one that has an unread body in
//! it, and whatever the client has sent there meanwhile is lost without an answer. So it is read here, and where it is
//! too much or too slow, the client is told that the connection ends.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    http::{Request, header::EXPECT},
};
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::time::timeout;

/// How much of it is read, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// How long that may take; what has been sent already is here at once.
const MAX_TIME: Duration = Duration::from_millis(500);

/// The body of a request while somebody else holds it too.
#[derive(Debug, Clone)]
struct Shared(Arc<Mutex<Incoming>>);

/// What is left of a body.
#[derive(Debug)]
pub(super) struct Rest {
    body: Shared,
    /// Whether the client sends it only once it is told to.
    is_held_back: bool,
}

/// The request for its handler, and what that will leave of it.
pub(super) fn split(request: Request<Incoming>) -> (Request<Body>, Rest) {
    let is_held_back = request.headers().contains_key(EXPECT);
    let (head, body) = request.into_parts();
    let body = Shared(Arc::new(Mutex::new(body)));
    (Request::from_parts(head, Body::new(body.clone())), Rest { body, is_held_back })
}

impl Rest {
    /// Reads it. Returns whether that was all, so that another request can follow.
    pub(super) async fn read(mut self) -> bool {
        let is_whole = hyper::body::Body::is_end_stream(&self.body);
        is_whole || (!self.is_held_back && timeout(MAX_TIME, self.read_on()).await.unwrap_or(false))
    }

    async fn read_on(&mut self) -> bool {
        let mut left = MAX_BYTES;
        while let Some(frame) = self.body.frame().await {
            let Ok(frame) = frame else { return false };
            match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
        true
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Incoming> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl hyper::body::Body for Shared {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut *self.lock()).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.lock().is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.lock().size_hint()
    }
}
