//! One connection of HTTP/2. Its limits stand against what the protocol adds: floods of streams that are reset, of
//! settings and pings, headers without end, and connections that stay without asking anything.

use std::{convert::Infallible, future::Future, time::Duration};

use axum::{
    body::Body,
    http::{Request, Response},
};
use http_body_util::BodyExt;
use hyper::{body::Incoming, server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
    time::timeout,
};
use tracing::debug;

use super::{super::Limits, BUFFER_BYTES, Course, left};

/// Requests of one connection that are answered at once.
const MAX_STREAMS: u32 = 64;

/// Streams that a client may reset before anybody has looked at them; one more and the connection ends.
const MAX_RESETS: usize = 32;

/// Streams that are reset for what their client did wrong; one more and the connection ends.
const MAX_ERRORS: usize = 128;

/// How often a client that says nothing is asked whether it is there, and how long it may take to say so.
const PING: (Duration, Duration) = (Duration::from_secs(20), Duration::from_secs(20));

/// Counts a request as running, until it is dropped with the answer's body.
struct Running(watch::Sender<usize>);

/// Serves until the client leaves, asks nothing for as long as headers may take, or `course` says so.
pub(super) async fn serve<S, H, F>(stream: S, limits: Limits, mut course: watch::Receiver<Course>, handler: H)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Body>) -> F + Send + 'static,
    F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
{
    let (running, mut n_running) = watch::channel(0);
    let service = service_fn(move |request: Request<Incoming>| {
        let (answer, running) = (handler(request.map(Body::new)), Running::start(&running));
        async move {
            let response = answer.await?;
            Ok::<_, Infallible>(response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _until_the_body_ends = &running;
                    frame
                }))
            }))
        }
    });
    let header_bytes = u32::try_from(limits.max_header_bytes).unwrap_or(u32::MAX);
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_header_list_size(header_bytes)
        .max_send_buf_size(BUFFER_BYTES)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .max_local_error_reset_streams(MAX_ERRORS)
        .keep_alive_interval(PING.0)
        .keep_alive_timeout(PING.1)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = left(&mut course, |course| course != Course::Serve) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = idle(&mut n_running, limits.header_timeout) => {
            connection.as_mut().graceful_shutdown();
            // Whoever does not leave now has nothing to be waited for.
            timeout(limits.header_timeout, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        debug!(%error, "connection ended");
    }
}

/// Resolves when no request has run for so long.
async fn idle(n_running: &mut watch::Receiver<usize>, limit: Duration) {
    loop {
        if n_running.wait_for(|n| *n == 0).await.is_err() {
            return;
        }
        if timeout(limit, n_running.wait_for(|n| *n > 0)).await.is_err() {
            return;
        }
    }
}

impl Running {
    fn start(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}
