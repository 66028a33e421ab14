//! Files with the same content share their room on the disk.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::ErrorKind,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{Digest, Kept, KeptFile, Stage, Store, StoreError, failed, kept::modified_ns};

/// A file that shares its room with another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared {
    /// It.
    pub path: PathBuf,
    /// The other one.
    pub with: PathBuf,
    /// What is freed by it.
    pub bytes: u64,
}

impl Store {
    /// Makes files whose content is the same one file with several names, after reading both, or with `plan_only` says
    /// which would be. What is open stays as it is for whoever has it open.
    pub fn share(&self, plan_only: bool) -> Result<Vec<Shared>, StoreError> {
        let mut by_content: BTreeMap<(Digest, u64), Vec<PathBuf>> = BTreeMap::new();
        for kept in self.models()? {
            let folder = self.folder.of(&kept.name);
            for file in kept.files {
                if let Some(digest) = file.sha256.filter(|_| file.bytes > 0) {
                    by_content.entry((digest, file.bytes)).or_default().push(folder.join(file.path));
                }
            }
        }
        let mut shared = Vec::new();
        for ((digest, bytes), paths) in by_content {
            let Some((first, others)) = paths.split_first() else { continue };
            for path in others {
                if is_one(first, path) {
                    continue;
                }
                if !plan_only {
                    // The catalogue's word is not enough to throw a content away.
                    let is_right = |path: &Path| Digest::of(path).is_ok_and(|found| found == digest);
                    let before = [State::of(first), State::of(path)];
                    if !is_right(first) || !is_right(path) {
                        tracing::warn!(path = %path.display(), "its content is not what it was; it shares nothing");
                        continue;
                    }
                    let _changing = self.changing();
                    if before != [State::of(first), State::of(path)] {
                        tracing::warn!(path = %path.display(), "it has changed meanwhile; it shares nothing");
                        continue;
                    }
                    link(first, path)?;
                    self.note_times(path)?;
                }
                shared.push(Shared { path: path.clone(), with: first.clone(), bytes });
            }
        }
        Ok(shared)
    }

    /// Writes down when this file of a model was changed.
    fn note_times(&self, path: &Path) -> Result<(), StoreError> {
        let is_its = |kept: &Kept| path.starts_with(self.folder.of(&kept.name));
        let Some(kept) = self.models()?.into_iter().find(is_its) else { return Ok(()) };
        let folder = self.folder.of(&kept.name);
        let is_it = |file: &KeptFile| folder.join(&file.path) == path;
        let noted = |file: KeptFile| if is_it(&file) { file.at(&folder) } else { file };
        let files = kept.files.into_iter().map(noted).collect();
        self.catalogue().put(&Kept { files, ..kept }, &Stage::Present)
    }

    /// What is saved by files that share their room.
    pub fn saved_bytes(&self) -> Result<u64, StoreError> {
        let (mut seen, mut saved) = (BTreeSet::new(), 0);
        for kept in self.models()? {
            for file in &kept.files {
                let path = self.folder.of(&kept.name).join(&file.path);
                if identity(&path).is_some_and(|identity| !seen.insert(identity)) {
                    saved += file.bytes;
                }
            }
        }
        Ok(saved)
    }
}

fn is_one(a: &Path, b: &Path) -> bool {
    identity(a) == identity(b)
}

/// What two names of one file have in common.
fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino())).ok()
}

/// By what a file is known to be as it was: which one it is, and when it was last changed.
#[derive(PartialEq, Eq)]
struct State(Option<(u64, u64)>, i64);

impl State {
    fn of(path: &Path) -> Self {
        Self(identity(path), modified_ns(path))
    }
}

/// `path` becomes another name of `first`, at no moment being none.
fn link(first: &Path, path: &Path) -> Result<(), StoreError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = path.with_file_name(format!(".{name}.sharing"));
    // One that a stop has left.
    match fs::remove_file(&new) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        removed => removed.map_err(failed("remove", &new))?,
    }
    fs::hard_link(first, &new).map_err(failed("link", &new))?;
    fs::rename(&new, path).map_err(failed("replace", path))
}
