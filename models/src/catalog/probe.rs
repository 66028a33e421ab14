//! What the content of a file is, remembered until the file changes.

use std::{
    collections::HashMap,
    fs::{File, Metadata},
    io::{self, Read, Seek},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};

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

/// Contents known from the last scan, and those of this one.
pub(super) struct Probes<'a> {
    last: &'a HashMap<PathBuf, Probed>,
    now: HashMap<PathBuf, Probed>,
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
    pub(super) fn new(last: &'a HashMap<PathBuf, Probed>) -> Self {
        Self { last, now: HashMap::new() }
    }

    /// The content of the file at `path`, whose `metadata` was just read.
    pub(super) fn content(&mut self, path: &Path, metadata: &Metadata) -> io::Result<Content> {
        let stamp = Stamp::of(metadata);
        let known = self.now.get(path).or_else(|| self.last.get(path));
        if let Some(probed) = known.filter(|probed| probed.stamp == stamp) {
            let probed = probed.clone();
            let content = probed.content.clone();
            self.now.insert(path.to_owned(), probed);
            return Ok(content);
        }
        let content = read(path)?;
        // A failure to read may pass without the file changing.
        let lasting =
            !matches!(&content, Content::Gguf(Err(error)) if matches!(**error, GgufError::Io { .. }));
        if lasting {
            self.now.insert(path.to_owned(), Probed { stamp, content: content.clone() });
        }
        Ok(content)
    }

    /// What this scan found, for the next one.
    pub(super) fn into_known(self) -> HashMap<PathBuf, Probed> {
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
