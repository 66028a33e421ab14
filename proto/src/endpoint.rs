//! How a client of ours connects: one place for the settings that keep long token streams alive.

use std::time::Duration;

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
