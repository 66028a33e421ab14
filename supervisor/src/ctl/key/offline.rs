//! Keys of a server that runs are its own business; those of one that does not are in its state folder, and are needed
//! before it can run where others reach it.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;

use impetus_config::Config;
use impetus_proto::{MAX_MESSAGE_BYTES, key::keys_client::KeysClient};
use tonic::transport::Channel;

use super::super::{Server, connect, failure::Failure};
use crate::{keys::Keys, lock::FolderLock};

/// Where keys are.
pub(super) enum Reached {
    /// With a server that runs.
    Server(KeysClient<Channel>),
    /// In the file that the next one reads.
    File(Offline, Box<Config>),
}

/// The keys of a server that does not run, and cannot be started meanwhile.
pub(super) struct Offline {
    keys: Keys,
    _lock: FolderLock,
}

impl std::ops::Deref for Offline {
    type Target = Keys;

    fn deref(&self) -> &Keys {
        &self.keys
    }
}

/// The keys of the server that the arguments mean. Only one that was named by its configuration can be stopped: nothing
/// else tells where its state folder is.
pub(super) async fn reach(server: &Server) -> Result<Reached, Failure> {
    match connect::channel(server).await {
        Ok(channel) => {
            Ok(Reached::Server(KeysClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES)))
        }
        Err(Failure::NotRunning { .. }) if server.socket.is_none() => {
            let config = impetus_config::load(server.config.as_deref(), &[])?.config;
            let state_dir = &config.supervisor.state_dir;
            DirBuilder::new().recursive(true).mode(0o700).create(state_dir)?;
            let lock = FolderLock::take(state_dir, "lock", "supervisor.state_dir")?;
            let keys = Keys::load(state_dir)?;
            Ok(Reached::File(Offline { keys, _lock: lock }, Box::new(config)))
        }
        Err(failure) => Err(failure),
    }
}
