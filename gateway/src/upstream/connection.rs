//! Connections to other processes, one for each endpoint, shared by all requests.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use impetus_proto::{Code, Error, endpoint};
use tonic::transport::Channel;
use tracing::debug;

/// How long a process on this machine may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections kept. Workers come and go under new endpoints; past this many all are dropped and made again.
const MAX_CONNECTIONS: usize = 64;

/// Connections by endpoint. Requests that run keep a connection alive after it is forgotten here.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<HashMap<String, Channel>>);

impl Connections {
    /// A connection to `who`, the process behind `uri`; `Unavailable` when nobody listens there.
    pub(super) async fn get(&self, uri: &str, who: &str) -> Result<Channel, Error> {
        if let Some(channel) = self.lock().get(uri) {
            return Ok(channel.clone());
        }
        let channel = endpoint::connect(uri, CONNECT_TIMEOUT).await.map_err(|error| {
            // The path of a socket is for the log; the message may reach a client.
            let cause = innermost(&error);
            debug!(uri, cause, "cannot connect");
            Error::new(Code::Unavailable, format!("{who} cannot be reached: {cause}"))
        })?;
        let mut channels = self.lock();
        if channels.len() >= MAX_CONNECTIONS {
            channels.clear();
        }
        channels.insert(uri.to_owned(), channel.clone());
        Ok(channel)
    }

    /// The next request to `uri` connects anew.
    pub(super) fn forget(&self, uri: &str) {
        self.lock().remove(uri);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Channel>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The transport's own messages say only "transport error"; the cause is at the end of the chain.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
