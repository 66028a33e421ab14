//! The files of a folder and of the folders in it, in the order of their names.

use std::{
    collections::HashSet,
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
};

use super::{Problem, probe::Identity};

/// How many folders deep a place is searched.
pub(super) const DEPTH: usize = 8;
/// How many files and folders of a place are looked at.
const ENTRIES: usize = 100_000;

/// A regular file.
#[derive(Debug, Clone)]
pub(super) struct FoundFile {
    /// Its path, through the link that led to it if any.
    pub(super) path: PathBuf,
    pub(super) metadata: Metadata,
}

struct Walk<'a> {
    /// What links may not lead out of.
    root: &'a Path,
    visited: HashSet<Identity>,
    n_entries: usize,
    files: Vec<FoundFile>,
    problems: &'a mut Vec<Problem>,
}

/// All regular files in `folder` and in the folders below it to a depth, hidden ones and links out of the canonical `root` excepted.
pub(super) fn files(
    folder: &Path,
    root: &Path,
    depth: usize,
    problems: &mut Vec<Problem>,
) -> io::Result<Vec<FoundFile>> {
    let visited = HashSet::from([Identity::of(&folder.metadata()?)]);
    let mut walk = Walk { root, visited, n_entries: 0, files: Vec::new(), problems };
    let entries = walk.entries(folder)?;
    walk.enter(entries, depth);
    if walk.n_entries >= ENTRIES {
        walk.problems.push(Problem::TooMany { path: folder.to_owned(), limit: ENTRIES });
    }
    Ok(walk.files)
}

impl Walk<'_> {
    /// The entries of one folder, sorted, as many as may still be looked at.
    fn entries(&mut self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        for entry in fs::read_dir(folder)? {
            if self.n_entries >= ENTRIES {
                break;
            }
            self.n_entries += 1;
            let entry = entry?;
            if !entry.file_name().as_encoded_bytes().starts_with(b".") {
                paths.push(entry.path());
            }
        }
        paths.sort();
        Ok(paths)
    }

    fn enter(&mut self, entries: Vec<PathBuf>, depth: usize) {
        for path in entries {
            if let Err(source) = self.visit(&path, depth) {
                // What vanished since it was listed is no problem; what is there and unreadable is.
                if source.kind() != io::ErrorKind::NotFound || path.is_symlink() {
                    self.problems.push(Problem::Unreadable { path, source });
                }
            }
        }
    }

    fn visit(&mut self, path: &Path, depth: usize) -> io::Result<()> {
        let mut metadata = path.symlink_metadata()?;
        if metadata.is_symlink() {
            let target = path.canonicalize()?;
            if !target.starts_with(self.root) {
                self.problems.push(Problem::OutsideLink { path: path.to_owned() });
                return Ok(());
            }
            metadata = target.metadata()?;
        }
        if metadata.is_file() {
            self.files.push(FoundFile { path: path.to_owned(), metadata });
        } else if metadata.is_dir() && self.visited.insert(Identity::of(&metadata)) {
            if depth == 0 {
                self.problems.push(Problem::TooDeep { path: path.to_owned(), limit: DEPTH });
                return Ok(());
            }
            let entries = self.entries(path)?;
            self.enter(entries, depth - 1);
        }
        Ok(())
    }
}
