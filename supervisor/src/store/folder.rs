//! The folder of the store: a folder for each model, and hidden ones for what comes and what goes.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, ErrorKind},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use impetus_models::ModelName;
use nix::sys::statvfs::statvfs;

use super::{KeptFile, PullRow, StoreError, failed, kept::modified_ns, sync_folder};

/// Within a staging folder, what becomes the model.
pub(super) const MODEL: &str = "model";

const STAGING: &str = ".staging";
const TRASH: &str = ".trash";
/// Says that the folder is a store's, and not the place where its disk is not.
const MARK: &str = ".store";
/// How the names of staging folders begin that gateways write into.
pub const UPLOAD: &str = "upload-";
/// How long nothing may come of an upload before nobody can be sending it: gateways have less patience.
const ABANDONED: Duration = Duration::from_hours(1);
/// How deep a model's files may lie.
const DEPTH: usize = 8;

/// Where models are.
#[derive(Debug)]
pub(super) struct Folder {
    root: PathBuf,
    retired: AtomicU64,
}

impl Folder {
    /// `root`, made where it is not there.
    pub(super) fn new(root: &Path) -> Result<Self, StoreError> {
        for path in [root.to_owned(), root.join(STAGING), root.join(TRASH)] {
            DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(failed("create", &path))?;
        }
        Ok(Self { root: root.to_owned(), retired: AtomicU64::default() })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Whether it was used as a store before.
    pub(super) fn is_ours(&self) -> bool {
        self.root.join(MARK).exists()
    }

    /// Remembers that it is a store.
    pub(super) fn mark(&self) -> Result<(), StoreError> {
        let path = self.root.join(MARK);
        File::options().create(true).append(true).open(&path).map(drop).map_err(failed("create", &path))
    }

    /// Whether anything is where the model of this name would be.
    pub(super) fn is_taken(&self, name: &ModelName) -> bool {
        self.of(name).symlink_metadata().is_ok()
    }

    /// The folder of a model. A name is no path: it has no slashes, and begins with no dot.
    pub(super) fn of(&self, name: &ModelName) -> PathBuf {
        self.root.join(name.as_str())
    }

    pub(super) fn staging(&self, id: &str) -> PathBuf {
        self.root.join(STAGING).join(id)
    }

    /// Everything in `path` is on the disk when this returns.
    pub(super) fn sync(path: &Path) -> Result<(), StoreError> {
        for file in walk(path, DEPTH).map_err(failed("read", path))? {
            fs::File::open(&file).and_then(|file| file.sync_all()).map_err(failed("sync", &file))?;
            if let Some(folder) = file.parent() {
                sync_folder(folder)?;
            }
        }
        Ok(())
    }

    /// What was staged becomes the model's folder, in place of what that was. Nothing happens where nothing is staged. What
    /// is left of it [`Self::clear`] removes.
    pub(super) fn publish(&self, id: &str, name: &ModelName) -> Result<(), StoreError> {
        let (staged, place) = (self.staging(id).join(MODEL), self.of(name));
        if !staged.is_dir() {
            return Ok(());
        }
        if place.exists() {
            self.retire(name)?;
        }
        fs::rename(&staged, &place).map_err(failed("put into its place", &staged))?;
        sync_folder(&self.root)
    }

    /// Removes what publishing leaves.
    pub(super) fn clear(&self, id: &str) {
        Self::remove(&self.staging(id));
        self.empty_trash();
    }

    /// Takes a model's folder out of sight, and answers how many bytes will be free when it is gone. A folder that is gone
    /// already is as good.
    pub(super) fn retire(&self, name: &ModelName) -> Result<u64, StoreError> {
        let place = self.of(name);
        let freed = self.files(name)?.iter().map(|file| file.bytes).sum();
        match fs::rename(&place, self.next_in_trash()) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            renamed => renamed.map_err(failed("move away", &place))?,
        }
        sync_folder(&self.root)?;
        Ok(freed)
    }

    /// Removes what was staged, whoever may still write into it: a folder that is elsewhere gets no new files.
    pub(super) fn discard(&self, id: &str) -> Result<(), StoreError> {
        let staged = self.staging(id);
        match fs::rename(&staged, self.next_in_trash()) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            renamed => {
                renamed.map_err(failed("move away", &staged))?;
                self.empty_trash();
                Ok(())
            }
        }
    }

    /// Removes what was taken out of sight. Processes that have it open keep it until they end.
    pub(super) fn empty_trash(&self) {
        for path in self.within(TRASH) {
            Self::remove(&path);
        }
    }

    /// Removes what was staged for nobody that is known. A gateway that has outlived its supervisor may still write what it
    /// is sent.
    pub(super) fn sweep(&self, pulls: &[PullRow]) {
        let is_known = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            name.starts_with(UPLOAD) || pulls.iter().any(|pull| name == pull.id)
        };
        self.within(STAGING).iter().filter(|path| !is_known(path)).for_each(|path| Self::remove(path));
        self.sweep_uploads();
    }

    /// Removes uploads that nobody has added to for long.
    pub(super) fn sweep_uploads(&self) {
        for path in self.within(STAGING) {
            let is_upload = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(UPLOAD));
            if is_upload && idle(&path) >= ABANDONED {
                tracing::warn!(path = %path.display(), "an upload that nobody goes on with is given up");
                Self::remove(&path);
            }
        }
    }

    /// Everything in one of the hidden folders.
    fn within(&self, hidden: &str) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.root.join(hidden)).into_iter().flatten();
        entries.flatten().map(|entry| entry.path()).collect()
    }

    /// Removes what nobody needs. What cannot go is in nobody's way, and is tried again.
    fn remove(path: &Path) {
        let removed = match fs::remove_dir_all(path) {
            Err(error) if error.kind() == ErrorKind::NotADirectory => fs::remove_file(path),
            removed => removed,
        };
        if let Err(error) = removed.or_else(|error| match error.kind() {
            ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        }) {
            tracing::warn!(path = %path.display(), %error, "what is not needed any more is not removed");
        }
    }

    /// The names of all folders that can be those of models.
    pub(super) fn names(&self) -> Result<Vec<ModelName>, StoreError> {
        let entries = fs::read_dir(&self.root).map_err(failed("read", &self.root))?.flatten();
        let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        Ok(folders.filter_map(|entry| ModelName::new(entry.file_name().to_str()?).ok()).collect())
    }

    /// The files of a model as they are, without digests.
    pub(super) fn files(&self, name: &ModelName) -> Result<Vec<KeptFile>, StoreError> {
        files(&self.of(name))
    }

    /// A name in the trash that nothing has had.
    fn next_in_trash(&self) -> PathBuf {
        let number = self.retired.fetch_add(1, Ordering::Relaxed);
        self.root.join(TRASH).join(format!("{}-{number}", std::process::id()))
    }

    pub(super) fn free_bytes(&self) -> u64 {
        #[allow(clippy::useless_conversion, clippy::unnecessary_cast)] // the width differs between systems
        let free = |disk: nix::sys::statvfs::Statvfs| {
            (disk.blocks_available() as u64).saturating_mul(disk.fragment_size() as u64)
        };
        statvfs(&self.root).map_or(0, free)
    }
}

/// The files in a folder as they are, without digests; none where there is no such folder.
pub(super) fn files(folder: &Path) -> Result<Vec<KeptFile>, StoreError> {
    let paths = match walk(folder, DEPTH) {
        Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
        paths => paths.map_err(failed("read", folder))?,
    };
    let file = |path: PathBuf| {
        let bytes = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let modified_ns = modified_ns(&path);
        let path = path.strip_prefix(folder).map(Path::to_path_buf).unwrap_or_default();
        KeptFile { path, bytes, sha256: None, modified_ns }
    };
    Ok(paths.into_iter().map(file).collect())
}

/// For how long nothing in a folder was changed.
fn idle(folder: &Path) -> Duration {
    let mut paths = walk(folder, DEPTH).unwrap_or_default();
    paths.push(folder.join(MODEL));
    let changed = |path: &PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let last = paths.iter().filter_map(changed).max().unwrap_or(SystemTime::UNIX_EPOCH);
    SystemTime::now().duration_since(last).unwrap_or_default()
}

/// All regular files below `folder`, sorted; links are not followed.
fn walk(folder: &Path, depth: usize) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() && depth > 0 {
            files.extend(walk(&entry.path(), depth - 1)?);
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    files.sort();
    Ok(files)
}
