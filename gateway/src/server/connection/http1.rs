//! One connection of HTTP/1.1.

use std::{convert::Infallible, future::Future};

use axum::{
    body::Body,
    http::{HeaderValue, Request, Response, StatusCode, header::CONNECTION},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tracing::debug;

use super::{
    super::{Limits, plain_refusal::PlainRefusal},
    Course, left, rest,
};

/// Serves until the client leaves, is too slow, or `course` says so.
pub(super) async fn serve<S, H, F>(stream: S, limits: Limits, mut course: watch::Receiver<Course>, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
    H: Fn(Request<Body>) -> F + Send,
    F: Future<Output = Result<Response<Body>, Infallible>> + Send,
{
    let present = course.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (request, rest) = rest::split(request);
        let (answer, present) = (handler(request), present.clone());
        async move {
            let mut response = answer.await?;
            let can_go_on = response.status() != StatusCode::REQUEST_TIMEOUT && rest.read().await;
            if !can_go_on || *present.borrow() != Course::Serve {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let stream = PlainRefusal::new(stream, limits.max_header_bytes);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_headers(limits.max_headers)
        .max_header_size(limits.max_header_bytes)
        .max_buf_size(limits.max_header_bytes)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = left(&mut course, |course| course == Course::Stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended");
    }
}
