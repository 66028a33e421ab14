//! How our processes reach each other: one place for the settings that keep long token streams alive, and for who
//! may connect.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::{
        fs::{MetadataExt, PermissionsExt},
        net::UnixListener as StdListener,
    },
    path::Path,
    pin::Pin,
    time::Duration,
};

use tokio::net::{UnixListener, UnixStream};
use tokio_stream::{Stream, StreamExt, wrappers::UnixListenerStream};
use tonic::transport::{Channel, Endpoint, Error};

/// Per-stream flow control binds long before the connection's own window, in bytes. h2 (since 0.4.16) ends a
/// whole connection once small unread frames use up half of the connection window, so that one must be large.
const CONNECTION_WINDOW_BYTES: u32 = 1 << 30;
const STREAM_WINDOW_BYTES: u32 = 65_535;

/// A channel to `uri` (`unix:///path` or `http://host:port`), connected now.
pub async fn connect(uri: &str, timeout: Duration) -> Result<Channel, Error> {
    Endpoint::try_from(uri.to_owned())?
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .connect_timeout(timeout)
        .connect()
        .await
}

/// Connections that were let in.
pub type Incoming = Pin<Box<dyn Stream<Item = io::Result<UnixStream>> + Send>>;

/// Listens on the Unix socket `path`, in place of a stale one, for processes of our own user: the socket's mode says
/// so, and each peer's user id is checked. Root is let in too; it could do everything anyway. Must be called within a
/// tokio runtime.
pub fn listen(path: &Path) -> io::Result<Incoming> {
    accept(bind(path)?, path)
}

/// The socket alone, to be heard by [`accept`].
pub fn bind(path: &Path) -> io::Result<StdListener> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = StdListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// What comes in on a socket that was bound to `path`. Must be called within a tokio runtime.
pub fn accept(listener: StdListener, path: &Path) -> io::Result<Incoming> {
    listener.set_nonblocking(true)?;
    let listener = UnixListener::from_std(listener)?;
    let owner = fs::metadata(path)?.uid();
    let is_welcome = move |accepted: &io::Result<UnixStream>| match accepted {
        Ok(stream) => stream.peer_cred().is_ok_and(|peer| peer.uid() == owner || peer.uid() == 0),
        Err(_) => true,
    };
    Ok(Box::pin(UnixListenerStream::new(listener).filter(is_welcome)))
}
