//! Which files are whole and right, in a list that is only ever added to.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Read, Write},
    path::Path,
};

use impetus_models::{RelativePath, Sha256};
use serde::{Deserialize, Serialize};

use crate::error::FetchError;

/// The list, within the staging folder.
const FILE: &str = "done.jsonl";
/// The most that is read of it, in bytes.
const MAX_BYTES: u64 = 64 << 20;

/// All that was finished in this staging folder.
#[derive(Debug)]
pub(super) struct Done {
    file: File,
    entries: HashMap<String, Entry>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry {
    path: String,
    bytes: u64,
    identity: String,
    sha256: [u8; 32],
}

impl Done {
    pub(super) fn load(staging: &Path) -> Result<Self, FetchError> {
        let path = staging.join(FILE);
        let disk = |source| FetchError::disk(&path, source);
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(&path).map_err(disk)?;
        let mut text = Vec::new();
        (&mut file).take(MAX_BYTES).read_to_end(&mut text).map_err(disk)?;
        // A line that was being written when the power went is none; the next one begins on its own.
        if text.last().is_some_and(|last| *last != b'\n') {
            file.write_all(b"\n").map_err(disk)?;
        }
        let lines = text.split(|byte| *byte == b'\n');
        let entries = lines.filter_map(|line| serde_json::from_slice::<Entry>(line).ok());
        Ok(Self { file, entries: entries.map(|entry| (entry.path.clone(), entry)).collect() })
    }

    /// Removes the list.
    pub(super) fn forget(staging: &Path) {
        // One that stays names files that are not there.
        let _ = fs::remove_file(staging.join(FILE));
    }

    pub(super) fn find(&self, path: &RelativePath, bytes: u64, identity: &str) -> Option<Sha256> {
        let entry = self.entries.get(path.as_str())?;
        (entry.bytes == bytes && entry.identity == identity).then_some(Sha256(entry.sha256))
    }

    pub(super) fn add(
        &mut self,
        path: &RelativePath,
        bytes: u64,
        identity: &str,
        sha256: Sha256,
    ) -> io::Result<()> {
        let entry = Entry { path: path.to_string(), bytes, identity: identity.to_owned(), sha256: sha256.0 };
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.entries.insert(entry.path.clone(), entry);
        Ok(())
    }
}

/// Removes every file below `folder` that `is_wanted` does not know by its path in there.
pub(super) fn sweep(folder: &Path, is_wanted: &dyn Fn(&Path) -> bool) -> io::Result<()> {
    fn walk(folder: &Path, within: &Path, is_wanted: &dyn Fn(&Path) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(folder.join(within))? {
            let entry = entry?;
            let path = within.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                walk(folder, &path, is_wanted)?;
                // Fails where something wanted is in it.
                let _ = fs::remove_dir(entry.path());
            } else if !is_wanted(&path) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
    walk(folder, Path::new(""), is_wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_finished_is_known_again_whatever_was_torn() {
        let dir = tempfile::tempdir().unwrap();
        let path = RelativePath::new("a/b.gguf").unwrap();
        let mut done = Done::load(dir.path()).unwrap();
        done.add(&path, 3, "x", Sha256([7; 32])).unwrap();
        assert_eq!(done.find(&path, 3, "x"), Some(Sha256([7; 32])));
        let mut file = OpenOptions::new().append(true).open(dir.path().join(FILE)).unwrap();
        file.write_all(b"{\"path\": \"torn").unwrap();
        let mut done = Done::load(dir.path()).unwrap();
        assert_eq!(done.find(&path, 3, "x"), Some(Sha256([7; 32])));
        assert_eq!(done.find(&path, 4, "x"), None);
        assert_eq!(done.find(&path, 3, "y"), None);
        done.add(&path, 4, "y", Sha256([8; 32])).unwrap();
        assert_eq!(Done::load(dir.path()).unwrap().find(&path, 4, "y"), Some(Sha256([8; 32])));
    }

    #[test]
    fn what_is_not_wanted_goes() {
        let dir = tempfile::tempdir().unwrap();
        for path in ["keep", "go", "a/keep", "a/go", "b/go"] {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        sweep(dir.path(), &|path| path.ends_with("keep")).unwrap();
        let left = |folder: &str| fs::read_dir(dir.path().join(folder)).unwrap().count();
        assert_eq!((left(""), left("a")), (2, 1));
    }
}
