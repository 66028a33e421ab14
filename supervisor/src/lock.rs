//! Keeps two supervisors off one folder.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
};

/// The lock on a folder, given up when dropped or when this process ends in whatever way.
#[derive(Debug)]
pub struct FolderLock {
    /// Locked by the open file, which another supervisor of this process may have, too: closed here, it stays locked there.
    file: File,
}

/// The folder cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another supervisor has it.
    #[error(
        "another supervisor{} uses the folder {}; stop it, or set {setting} to another folder",
        holder.map(|pid| format!(" (pid {pid})")).unwrap_or_default(), dir.display()
    )]
    Held {
        /// The folder.
        dir: PathBuf,
        /// The other's process id, if it is known.
        holder: Option<u32>,
        /// The setting that names the folder.
        setting: &'static str,
    },
    /// The lock file cannot be used.
    #[error("cannot lock {}: {source}; check that the folder can be written", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
}

impl FolderLock {
    /// Locks `dir`, which `setting` names, by the file `name` in it, without waiting for anybody.
    pub fn take(dir: &Path, name: &str, setting: &'static str) -> Result<Self, LockError> {
        let path = dir.join(name);
        let io = |source| LockError::Io { path: path.clone(), source };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
        match file.try_lock() {
            Ok(()) => {
                file.set_len(0).and_then(|()| write!(file, "{}", std::process::id())).map_err(io)?;
                Ok(Self { file })
            }
            Err(TryLockError::WouldBlock) => {
                Err(LockError::Held { dir: dir.into(), holder: holder(file), setting })
            }
            Err(TryLockError::Error(error)) => Err(io(error)),
        }
    }

    /// Goes on with the lock that `held` is, or takes another one where that is not on this folder.
    pub fn keep(
        held: Option<File>,
        dir: &Path,
        name: &str,
        setting: &'static str,
    ) -> Result<Self, LockError> {
        let is_same = |held: &File| {
            let (held, wanted) = (held.metadata().ok()?, fs::metadata(dir.join(name)).ok()?);
            Some((held.dev(), held.ino()) == (wanted.dev(), wanted.ino()))
        };
        // It is held by whoever has the open file, so this waits for nobody.
        match held.filter(|held| is_same(held).unwrap_or_default() && held.try_lock().is_ok()) {
            Some(file) => Ok(Self { file }),
            None => Self::take(dir, name, setting),
        }
    }
}

impl AsFd for FolderLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn holder(mut file: File) -> Option<u32> {
    let mut text = String::new();
    file.seek(SeekFrom::Start(0)).ok()?;
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_and_told_by_whom() {
        let dir = tempfile::tempdir().unwrap();
        let first = FolderLock::take(dir.path(), "lock", "supervisor.state_dir").unwrap();
        let message = FolderLock::take(dir.path(), "lock", "supervisor.state_dir").unwrap_err().to_string();
        assert!(message.contains(&format!("pid {}", std::process::id())), "{message}");
        drop(first);
        FolderLock::take(dir.path(), "lock", "supervisor.state_dir").unwrap();
    }

    #[test]
    fn what_is_held_is_kept_and_never_free_meanwhile() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let take = |dir: &Path| FolderLock::take(dir, "lock", "supervisor.state_dir");
        let first = take(dir.path()).unwrap();
        let passed = || Some(File::from(first.as_fd().try_clone_to_owned().unwrap()));
        let kept = FolderLock::keep(passed(), dir.path(), "lock", "supervisor.state_dir").unwrap();
        let elsewhere = FolderLock::keep(passed(), other.path(), "lock", "supervisor.state_dir").unwrap();
        drop((first, elsewhere));
        assert!(take(dir.path()).is_err());
        assert!(take(other.path()).is_ok());
        drop(kept);
        assert!(take(dir.path()).is_ok());
    }
}
