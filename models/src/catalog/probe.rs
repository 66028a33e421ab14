//! What the content of a file or a folder is, remembered until something of it changes.

use std::{
    collections::{BTreeSet, HashMap},
    fs::{File, Metadata},
    io::{self, Read, Seek},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::folder::{self, Folder, FolderModel};
use crate::gguf::{self, GgufError, Header};

/// What tells one state of a file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    identity: Identity,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Device and inode: what is one file under all its paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Identity(u64, u64);

/// The header of a file that starts as GGUF files do, or what is wrong with it.
pub(super) type HeaderRead = Result<Arc<Header>, Arc<GgufError>>;

/// A file's content.
#[derive(Debug, Clone)]
pub(super) enum Content {
    /// Starts as GGUF files do.
    Gguf(HeaderRead),
    /// Anything else.
    Other,
}

/// A file's content as it was at a stamp.
#[derive(Debug, Clone)]
pub(super) struct Probed {
    stamp: Stamp,
    pub(super) content: Content,
}

/// All that a scan has read, so that the next opens only what changed.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) files: HashMap<PathBuf, Probed>,
    /// By folder and by the graph that a place names, if any.
    pub(super) folders: HashMap<(PathBuf, Option<PathBuf>), ProbedFolder>,
}

/// A folder's models as they were when its files had these stamps.
#[derive(Debug)]
pub(super) struct ProbedFolder {
    files: Vec<(PathBuf, Stamp)>,
    outside: BTreeSet<PathBuf>,
    pub(super) models: Arc<[FolderModel]>,
}

/// Contents known from the last scan, and those of this one.
pub(super) struct Probes<'a> {
    last: &'a Known,
    now: Known,
}

impl Stamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            identity: Identity::of(metadata),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

impl Identity {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self(metadata.dev(), metadata.ino())
    }
}

impl<'a> Probes<'a> {
    pub(super) fn new(last: &'a Known) -> Self {
        Self { last, now: Known::default() }
    }

    /// The content of the file at `path`, whose `metadata` was just read.
    pub(super) fn content(&mut self, path: &Path, metadata: &Metadata) -> io::Result<Content> {
        let stamp = Stamp::of(metadata);
        let known = self.now.files.get(path).or_else(|| self.last.files.get(path));
        if let Some(probed) = known.filter(|probed| probed.stamp == stamp) {
            let probed = probed.clone();
            let content = probed.content.clone();
            self.now.files.insert(path.to_owned(), probed);
            return Ok(content);
        }
        let content = read(path)?;
        // A failure to read may pass without the file changing.
        let lasting =
            !matches!(&content, Content::Gguf(Err(error)) if matches!(**error, GgufError::Io { .. }));
        if lasting {
            self.now.files.insert(path.to_owned(), Probed { stamp, content: content.clone() });
        }
        Ok(content)
    }

    /// The models of a folder, whose files' metadata was just read; `graph` is the one that a place names.
    pub(super) fn folder(&mut self, folder: &Folder, graph: Option<&Path>) -> Arc<[FolderModel]> {
        let key = (folder.path().to_owned(), graph.map(Path::to_owned));
        let files: Vec<(PathBuf, Stamp)> =
            folder.files().map(|file| (file.path.clone(), Stamp::of(&file.metadata))).collect();
        let same = |known: &&ProbedFolder| known.files == files && known.outside == *folder.outside();
        let known = self.now.folders.get(&key).or_else(|| self.last.folders.get(&key)).filter(same);
        let models = known.map(|known| known.models.clone());
        let models = models.unwrap_or_else(|| folder::describe(folder, graph).into());
        // A failure to read may pass without the folder changing.
        if !models.iter().any(FolderModel::is_unread) {
            let outside = folder.outside().clone();
            self.now.folders.insert(key, ProbedFolder { files, outside, models: models.clone() });
        }
        models
    }

    /// What this scan found, for the next one.
    pub(super) fn into_known(self) -> Known {
        self.now
    }
}

fn read(path: &Path) -> io::Result<Content> {
    let mut file = File::open(path)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Content::Other);
    }
    let mut magic = Vec::with_capacity(gguf::MAGIC.len());
    file.by_ref().take(gguf::MAGIC.len() as u64).read_to_end(&mut magic)?;
    if magic != gguf::MAGIC {
        return Ok(Content::Other);
    }
    file.rewind()?;
    Ok(Content::Gguf(Header::read(file, metadata.len()).map(Arc::new).map_err(Arc::new)))
}
