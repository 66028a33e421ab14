//! Finds the server.

use std::{io, path::PathBuf, time::Duration};

use impetus_proto::{MAX_MESSAGE_BYTES, endpoint, supervisor::supervisor_client::SupervisorClient};
use tonic::transport::Channel;

use super::{Server, failure::Failure};
use crate::places::control_socket;

/// How long the connection may take; the answers may take longer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A client of the server that the arguments mean.
pub(super) async fn connect(server: &Server) -> Result<SupervisorClient<Channel>, Failure> {
    let channel = channel(server).await?;
    Ok(SupervisorClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES))
}

/// A connection to the server that the arguments mean.
pub(super) async fn channel(server: &Server) -> Result<Channel, Failure> {
    let socket = socket(server)?;
    // Tried by hand first, because the transport's error hides which of its steps failed and why.
    if let Err(source) = tokio::net::UnixStream::connect(&socket).await {
        return Err(Failure::NotRunning { socket, source });
    }
    let uri = format!("unix://{}", socket.display());
    endpoint::connect(&uri, TIMEOUT)
        .await
        .map_err(|error| Failure::NotRunning { socket, source: io::Error::other(error) })
}

fn socket(server: &Server) -> Result<PathBuf, Failure> {
    if let Some(socket) = &server.socket {
        return Ok(std::path::absolute(socket)?);
    }
    let loaded = impetus_config::load(server.config.as_deref(), &[])?;
    Ok(control_socket(&loaded.config.supervisor.runtime_dir))
}
