//! The folder of blobs, which is on the disk of the store, so that what becomes a model is not written twice.

use std::{
    io::ErrorKind,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use futures::Stream;
use impetus_config::Config;
use impetus_proto::{Code, Error};
use nix::sys::statvfs::statvfs;
use sha2::{Digest as _, Sha256};
use tokio::{
    fs::{self, DirBuilder, File},
    io::AsyncWriteExt,
    time::{MissedTickBehavior, interval},
};

use super::Digest;
use crate::{
    dialect::admin::upload::{broken, disk, next, path_of},
    server::Limits,
};

/// The name of the folder within that of the store. No model is called so.
const FOLDER: &str = ".blobs";

/// How long a blob waits for a model to be made of it.
const EXPIRY: Duration = Duration::from_hours(6);

/// How often those that waited for too long are removed.
const SWEEP_PERIOD: Duration = Duration::from_mins(10);

/// After how many bytes it is looked whether there is still room on the disk.
const ROOM_STEP_BYTES: u64 = 64 << 20;

/// Files that were sent and are no model yet.
#[derive(Debug, Clone)]
pub(crate) struct Blobs {
    folder: Arc<PathBuf>,
    /// Of the disk, that stay free.
    reserve_bytes: u64,
}

/// A file that is being written, gone unless it gets another name.
struct Part(PathBuf);

impl Blobs {
    /// Those of this server. Nothing is on the disk before one comes.
    pub(crate) fn new(config: &Config) -> Self {
        Self { folder: Arc::new(config.store_dir().join(FOLDER)), reserve_bytes: config.pull.reserve.0 }
    }

    /// Removes blobs that nothing was made of, for as long as it is asked.
    pub(crate) async fn upkeep(&self) {
        let mut ticks = interval(SWEEP_PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.sweep(SystemTime::now()).await;
        }
    }

    /// Whether a blob is here.
    pub(super) async fn has(&self, digest: &Digest) -> bool {
        fs::metadata(self.path(digest)).await.is_ok_and(|metadata| metadata.is_file())
    }

    /// Refuses files that no model can have, or that were not sent.
    pub(in crate::dialect::ollama) async fn check(&self, files: &[(String, Digest)]) -> Result<(), Error> {
        for (name, digest) in files {
            path_of(name)?;
            if !self.has(digest).await {
                let message = format!("there is no blob {digest}; send it to /api/blobs/{digest} first");
                return Err(Error::new(Code::NotFound, message).with_param("files"));
            }
        }
        Ok(())
    }

    /// Takes in what comes, if it is what `digest` says.
    pub(super) async fn take(
        &self,
        digest: &Digest,
        announced_bytes: u64,
        pieces: impl Stream<Item = Result<Bytes, String>>,
        limits: Limits,
    ) -> Result<(), Error> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&*self.folder)
            .await
            .map_err(|error| disk(&error))?;
        self.has_room(announced_bytes)?;
        let part = Part(self.folder.join(format!("part-{:032x}", rand::random::<u128>())));
        let found = self.write(&part.0, pieces, limits).await?;
        if found != *digest {
            let message = format!("what came is {found} and should be {digest}; send it again");
            return Err(Error::invalid("digest", message));
        }
        fs::rename(&part.0, self.path(digest)).await.map_err(|error| disk(&error))
    }

    async fn write(
        &self,
        path: &Path,
        pieces: impl Stream<Item = Result<Bytes, String>>,
        limits: Limits,
    ) -> Result<Digest, Error> {
        let mut file = File::create_new(path).await.map_err(|error| disk(&error))?;
        let mut pieces = std::pin::pin!(pieces);
        let (mut hasher, mut unseen_bytes) = (Sha256::new(), 0);
        while let Some(piece) = next(&mut pieces, limits.body_timeout).await? {
            let piece = piece.map_err(|error| broken(&error))?;
            hasher.update(&piece);
            unseen_bytes += piece.len() as u64;
            if unseen_bytes >= ROOM_STEP_BYTES {
                self.has_room(0)?;
                unseen_bytes = 0;
            }
            file.write_all(&piece).await.map_err(|error| disk(&error))?;
        }
        file.flush().await.map_err(|error| disk(&error))?;
        Ok(Digest::new(hasher.finalize().into()))
    }

    /// Refuses so many bytes more where they would take what is to stay free.
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)] // the width differs between systems
    fn has_room(&self, bytes: u64) -> Result<(), Error> {
        let Ok(room) = statvfs(&*self.folder) else { return Ok(()) };
        let free = (room.blocks_available() as u64).saturating_mul(room.fragment_size() as u64);
        if free >= bytes.saturating_add(self.reserve_bytes) {
            return Ok(());
        }
        let message = format!(
            "there is no room for it on the disk: {free} bytes are free, of which {} stay free (pull.reserve)",
            self.reserve_bytes
        );
        Err(Error::new(Code::NoCapacity, message))
    }

    /// Puts blobs into a model's folder, under these names. Links take no room.
    pub(in crate::dialect::ollama) async fn lay(
        &self,
        files: &[(String, Digest)],
        folder: &Path,
    ) -> Result<(), Error> {
        for (name, digest) in files {
            let (blob, path) = (self.path(digest), folder.join(path_of(name)?));
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).await.map_err(|error| disk(&error))?;
            }
            if fs::hard_link(&blob, &path).await.is_err() {
                // Not every disk has links.
                fs::copy(&blob, &path).await.map_err(|error| disk(&error))?;
            }
        }
        Ok(())
    }

    /// Removes blobs of which a model was made.
    pub(in crate::dialect::ollama) async fn remove(&self, files: &[(String, Digest)]) {
        for (_, digest) in files {
            // Another request may have been faster.
            let _ = fs::remove_file(self.path(digest)).await;
        }
    }

    /// Removes what has waited for too long by `now`, and what was left half written.
    async fn sweep(&self, now: SystemTime) {
        let Ok(mut entries) = fs::read_dir(&*self.folder).await else { return };
        while let Ok(Some(entry)) = entries.next_entry().await {
            let changed = entry.metadata().await.and_then(|metadata| metadata.modified());
            let is_old =
                changed.is_ok_and(|changed| now.duration_since(changed).is_ok_and(|age| age >= EXPIRY));
            if is_old
                && let Err(error) = fs::remove_file(entry.path()).await
                && error.kind() != ErrorKind::NotFound
            {
                tracing::warn!(file = %entry.path().display(), %error, "a blob that nothing was made of stays");
            }
        }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("sha256-{}", digest.hex()))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // It has its name by now, or it is of no use.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests;
