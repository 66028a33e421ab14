//! Which gateways live: each holds a lock on a file of its own for as long as it does, however it ends.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// What the names of such files end with.
const SUFFIX: &str = ".lock";

/// A gateway's sign that it lives.
#[derive(Debug)]
pub(super) struct Presence {
    /// By which others know it.
    pub(super) id: String,
    folder: PathBuf,
    _lock: File,
}

impl Presence {
    /// The sign of a new gateway, in this folder.
    pub(super) fn show(folder: &Path) -> io::Result<Self> {
        let id = format!("gateway-{:032x}", rand::random::<u128>());
        // It shows when it is locked already, so that nobody takes it for one that is left over.
        let hidden = folder.join(&id);
        let file = File::create_new(&hidden)?;
        file.lock()?;
        std::fs::rename(&hidden, path(folder, &id))?;
        Ok(Self { id, folder: folder.to_owned(), _lock: file })
    }

    /// Whether the gateway of this id lives.
    pub(super) fn is_alive(&self, id: &str) -> bool {
        if id == self.id {
            return true;
        }
        match File::open(path(&self.folder, id)) {
            Ok(file) => matches!(file.try_lock(), Err(TryLockError::WouldBlock)),
            Err(_) => false,
        }
    }

    /// Removes the signs of gateways that are gone.
    pub(super) fn tidy(&self) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(SUFFIX));
            if id.is_some_and(|id| !self.is_alive(id)) {
                // Another one may have been faster.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(path(&self.folder, &self.id));
    }
}

fn path(folder: &Path, id: &str) -> PathBuf {
    folder.join(format!("{id}{SUFFIX}"))
}
