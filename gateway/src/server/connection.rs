//! Accepting connections and serving each under its limits. HTTP/1.1 only: HTTP/2 needs limits of its own, and
//! its clients speak it over TLS.

use std::{convert::Infallible, future::Future, io, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, Request, Response, header::CONNECTION},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::sleep,
};
use tracing::{debug, warn};

use super::{Course, Limits, plain_refusal::PlainRefusal, write_timeout::WriteTimeout};

/// Room for what is written but not yet read by the client, in bytes; also the limit of a request's headers.
const BUFFER_BYTES: usize = 64 << 10;

/// The pause after a connection could not be accepted, as when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts as long as `course` says so, then waits until the connections have finished what they were asked.
pub(super) async fn accept<H, F>(
    listener: TcpListener,
    limits: Limits,
    mut course: watch::Receiver<Course>,
    handler: H,
) where
    H: Fn(Request<Body>) -> F + Clone + Send + 'static,
    F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(limits.max_connections));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let permit = room.clone().acquire_owned().await.expect("the semaphore is never closed");
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            () = left(&mut course, |course| course != Course::Serve) => break,
            Some(_) = connections.join_next() => continue,
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = serve(stream, limits, course.clone(), handler.clone());
                connections.spawn(async move {
                    connection.await;
                    drop(permit);
                });
            }
            Err(error) if is_of_one_connection(&error) => {
                debug!(%error, "a connection was gone before it was accepted");
            }
            Err(error) => {
                warn!(%error, "cannot accept connections; trying again");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn serve<H, F>(stream: TcpStream, limits: Limits, mut course: watch::Receiver<Course>, handler: H)
where
    H: Fn(Request<Body>) -> F + Send,
    F: Future<Output = Result<Response<Body>, Infallible>> + Send,
{
    if let Err(error) = prepare(&stream) {
        debug!(%error, "a connection was gone before it was served");
        return;
    }
    let present = course.clone();
    let service = service_fn(move |request: Request<Incoming>| {
        let (answer, present) = (handler(request.map(Body::new)), present.clone());
        async move {
            let mut response = answer.await?;
            if *present.borrow() != Course::Serve {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response)
        }
    });
    let stream = PlainRefusal::new(WriteTimeout::new(stream, limits.write_timeout), BUFFER_BYTES);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.header_timeout)
        .max_header_size(BUFFER_BYTES)
        .max_buf_size(BUFFER_BYTES)
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

/// Resolves when the course is such that somebody leaves it; also when nobody sets it any more.
async fn left(course: &mut watch::Receiver<Course>, leaves: impl Fn(Course) -> bool) {
    let _ = course.wait_for(|course| leaves(*course)).await;
}

/// Tokens leave at once, and few wait in the kernel for a client that does not read.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    setsockopt(stream, sockopt::SndBuf, &BUFFER_BYTES)?;
    Ok(())
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset | Interrupted)
}
