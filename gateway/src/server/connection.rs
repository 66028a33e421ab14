//! Accepting connections and serving each under its limits: HTTP/1.1, and over TLS HTTP/2 to those who prefer it.

mod http1;
mod http2;
mod rest;

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use axum::{
    body::Body,
    http::{Request, Response},
};
use nix::sys::socket::{setsockopt, sockopt};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::{debug, warn};

use super::{Course, Limits, refusal, tls::Tls, write_timeout::WriteTimeout};
use crate::access::{Addresses, Reason};

/// Room for what is written but not yet read by the client, in bytes.
const BUFFER_BYTES: usize = 64 << 10;

/// The pause after a connection could not be accepted, as when descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What every connection goes through.
#[derive(Debug, Clone)]
pub(super) struct Door {
    pub(super) limits: Limits,
    pub(super) addresses: Arc<Addresses>,
    pub(super) tls: Option<Tls>,
}

/// The other end of the connection that a request came over; an extension of every request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) SocketAddr);

/// Accepts on all sockets as long as `course` says so, then waits until the connections have finished what they were
/// asked. Each socket has the handler of what is asked there; they share the room for connections.
pub(super) async fn accept<H, F>(
    listeners: Vec<(TcpListener, H)>,
    door: Door,
    mut course: watch::Receiver<Course>,
) where
    H: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(door.limits.max_connections));
    let mut connections = JoinSet::new();
    let mut turn = 0;
    loop {
        let next = async {
            let permit = room.clone().acquire_owned().await.expect("the semaphore is never closed");
            (permit, any(&listeners, turn).await)
        };
        let (permit, (idx, accepted)) = tokio::select! {
            () = left(&mut course, |course| course != Course::Serve) => break,
            Some(_) = connections.join_next() => continue,
            next = next => next,
        };
        // So that no socket's connections keep another's waiting.
        turn = idx + 1;
        let handler = &listeners[idx].1;
        match accepted {
            // Nothing is said to it, and nothing of it is read.
            Ok((_, peer)) if !door.addresses.admit(peer.ip()) => {
                refusal::note_connection(Reason::Address, peer);
            }
            Ok((stream, peer)) => {
                let (course, handler) = (course.clone(), handler.clone());
                let connection = serve(stream, peer, door.clone(), course, handler);
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
    drop(listeners);
    while connections.join_next().await.is_some() {}
}

/// The next connection to any of the sockets, and to which; they are asked in turn, beginning with that of `first`.
async fn any<H>(
    listeners: &[(TcpListener, H)],
    first: usize,
) -> (usize, io::Result<(TcpStream, SocketAddr)>) {
    poll_fn(|context| {
        for idx in (0..listeners.len()).map(|step| (first + step) % listeners.len()) {
            if let Poll::Ready(accepted) = listeners[idx].0.poll_accept(context) {
                return Poll::Ready((idx, accepted));
            }
        }
        Poll::Pending
    })
    .await
}

async fn serve<H, F>(
    stream: TcpStream,
    peer: SocketAddr,
    door: Door,
    course: watch::Receiver<Course>,
    handler: H,
) where
    H: Fn(Request<Body>) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<Response<Body>, Infallible>> + Send + 'static,
{
    if let Err(error) = prepare(&stream) {
        debug!(%error, "a connection was gone before it was served");
        return;
    }
    let limits = door.limits;
    let stream = WriteTimeout::new(stream, limits.write_timeout);
    let handler = move |mut request: Request<Body>| {
        request.extensions_mut().insert(Peer(peer));
        handler(request)
    };
    let Some(tls) = door.tls else { return http1::serve(stream, limits, course, handler).await };
    match timeout(limits.header_timeout, tls.acceptor().accept(stream)).await {
        Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(b"h2") => {
            Box::pin(http2::serve(stream, limits, course, handler)).await;
        }
        Ok(Ok(stream)) => Box::pin(http1::serve(stream, limits, course, handler)).await,
        Ok(Err(error)) => debug!(%error, %peer, "no TLS came about"),
        Err(_elapsed) => debug!(%peer, "no TLS came about in time"),
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
