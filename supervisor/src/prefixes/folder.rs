//! The folder of the files, in which no link is followed.

use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, Permissions, TryLockError},
    io,
    os::{
        fd::AsFd,
        unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    time::SystemTime,
};

use nix::{
    fcntl::{OFlag, open, openat},
    sys::{stat::Mode, statvfs::fstatvfs},
    unistd::{UnlinkatFlags, unlinkat},
};

use super::Fingerprint;
use crate::state_file;

/// What names of files end in.
const SUFFIX: &str = ".kv";

/// Beside the files: of which model each is. Only for people.
const NAMES: &str = "models.json";

/// Of how many models names are kept.
const MAX_NAMES: usize = 4096;

/// A unit of what the file system counts as taken (`st_blocks` of stat(2)).
const BLOCK_BYTES: u64 = 512;

/// The open folder.
#[derive(Debug)]
pub(super) struct Folder {
    dir: File,
    path: PathBuf,
}

/// A file that lies there.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) fingerprint: Fingerprint,
    /// What it takes of the disk.
    pub(super) bytes: u64,
    pub(super) used: SystemTime,
    /// A process has it.
    pub(super) in_use: bool,
    /// Nobody takes it while this is here, so that what is removed is in use by nobody.
    _taken: File,
}

impl Folder {
    /// Opens it, and makes it for this user alone where it is not there.
    pub(super) fn make(path: &Path) -> io::Result<Self> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let folder = Self::open(path)?;
        folder.dir.set_permissions(Permissions::from_mode(0o700))?;
        Ok(folder)
    }

    /// Opens it.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let dir = open(path, flags, Mode::empty())?;
        Ok(Self { dir: dir.into(), path: path.to_owned() })
    }

    /// Opens the file for reading and writing, and makes it for this user alone where it is not there. It counts as
    /// used now.
    pub(super) fn make_file(&self, fingerprint: Fingerprint) -> io::Result<File> {
        let file = self.open_file(fingerprint, OFlag::O_CREAT)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.set_modified(SystemTime::now())?;
        Ok(file)
    }

    /// The files that lie there.
    pub(super) fn entries(&self) -> io::Result<Vec<Entry>> {
        let entries = fs::read_dir(&self.path)?.flatten();
        let fingerprints =
            entries.filter_map(|entry| Fingerprint::parse(entry.file_name().to_str()?.strip_suffix(SUFFIX)?));
        let entry = |fingerprint| {
            let file = self.open_file(fingerprint, OFlag::empty()).ok()?;
            let metadata = file.metadata().ok()?;
            let bytes = metadata.blocks().saturating_mul(BLOCK_BYTES);
            let (used, in_use) = (metadata.modified().ok()?, !try_lock(&file));
            Some(Entry { fingerprint, bytes, used, in_use, _taken: file })
        };
        Ok(fingerprints.filter_map(entry).collect())
    }

    pub(super) fn remove(&self, fingerprint: Fingerprint) -> io::Result<()> {
        Ok(unlinkat(&self.dir, name(fingerprint).as_str(), UnlinkatFlags::NoRemoveDir)?)
    }

    /// Bytes that are free on its disk for this user.
    pub(super) fn free_bytes(&self) -> io::Result<u64> {
        let stats = fstatvfs(self.dir.as_fd())?;
        #[allow(clippy::useless_conversion)] // narrower on some systems
        let (blocks, block_bytes) = (u64::from(stats.blocks_available()), u64::from(stats.fragment_size()));
        Ok(blocks.saturating_mul(block_bytes))
    }

    /// Of which model each file is, as far as that was noted.
    pub(super) fn names(&self) -> BTreeMap<String, String> {
        state_file::read(&self.path.join(NAMES))
    }

    /// Notes of which model a file is, and forgets those that are gone.
    pub(super) fn note_name(&self, fingerprint: Fingerprint, model: &str) -> io::Result<()> {
        let mut names = self.names();
        if names.insert(fingerprint.to_string(), model.to_owned()).as_deref() == Some(model) {
            return Ok(());
        }
        names.retain(|hex, _| self.path.join(format!("{hex}{SUFFIX}")).exists());
        if names.len() > MAX_NAMES {
            names = BTreeMap::from([(fingerprint.to_string(), model.to_owned())]);
        }
        state_file::write(&self.path.join(NAMES), &names)
    }

    fn open_file(&self, fingerprint: Fingerprint, flags: OFlag) -> io::Result<File> {
        // Without waiting, should the name be that of a pipe.
        let flags = flags | OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = openat(&self.dir, name(fingerprint).as_str(), flags, Mode::from_bits_truncate(0o600))?;
        let file = File::from(file);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
        }
        Ok(file)
    }
}

/// Takes the file for whoever has this descriptor; false where somebody else has it.
pub(super) fn try_lock(file: &File) -> bool {
    // Where the system knows no locks, nobody can have one.
    !matches!(file.try_lock(), Err(TryLockError::WouldBlock))
}

pub(super) fn name(fingerprint: Fingerprint) -> String {
    format!("{fingerprint}{SUFFIX}")
}
