//! The supervisor tells of keys that were made and revoked, and is told when keys were last used.

use std::{sync::Arc, time::Duration};

use impetus_proto::{
    MAX_MESSAGE_BYTES, endpoint,
    key::{KeyUse, NoteUseRequest, WatchRequest, keys_client::KeysClient},
};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tonic::{Status, transport::Channel};
use tracing::debug;

use super::Access;

/// How long a connection to a process on this machine may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause before a supervisor that is not there is looked for again. Until it is, the keys are those of before.
const PAUSE: Duration = Duration::from_millis(200);

/// How often the supervisor is told of uses.
const REPORT_PERIOD: Duration = Duration::from_secs(5);

/// Follows the keys of the supervisor that listens on `socket`, for as long as it is polled.
pub(crate) async fn follow(access: Arc<Access>, socket: String) {
    let uri = format!("unix://{socket}");
    loop {
        if let Err(error) = follow_once(&access, &uri).await {
            debug!(%error, "the supervisor tells nothing of keys");
        }
        sleep(PAUSE).await;
    }
}

async fn follow_once(access: &Access, uri: &str) -> Result<(), Status> {
    let channel = endpoint::connect(uri, CONNECT_TIMEOUT)
        .await
        .map_err(|error| Status::unavailable(error.to_string()))?;
    let mut client = KeysClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
    let mut sets = client.watch(WatchRequest {}).await?.into_inner();
    // What this supervisor knows: one that has just started knows nothing of what its predecessor was told.
    let mut told = Vec::new();
    let mut reports = interval(REPORT_PERIOD);
    reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            set = sets.message() => match set? {
                Some(set) => access.set_keys(set, Instant::now()),
                None => return Ok(()),
            },
            _ = reports.tick() => report(access, &mut told, &mut client).await?,
        }
    }
}

async fn report(
    access: &Access,
    told: &mut Vec<KeyUse>,
    client: &mut KeysClient<Channel>,
) -> Result<(), Status> {
    let now = access.uses();
    let uses: Vec<_> = now.iter().filter(|used| !told.contains(used)).cloned().collect();
    if !uses.is_empty() {
        client.note_use(NoteUseRequest { uses }).await?;
        *told = now;
    }
    Ok(())
}
