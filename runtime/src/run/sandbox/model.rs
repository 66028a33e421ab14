//! What has to be readable of a model: its folder, and what links in it lead to within its root.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The folder that exports put their graphs into; the other files lie in the folder above.
const GRAPHS: &str = "onnx";
/// Levels of folders in which links are looked for.
const DEPTH: usize = 4;
/// Entries that are looked at; a link beyond them is not readable.
const MAX_ENTRIES: usize = 100_000;

struct Walk {
    root: PathBuf,
    n_entries: usize,
    readable: BTreeSet<PathBuf>,
}

/// The folders and files that the worker of the model at `path` has to read, links resolved. What is not there needs
/// no right.
pub(super) fn readable(path: &Path, root: &Path) -> Vec<PathBuf> {
    let Some(folder) = folder(path) else { return Vec::new() };
    let root = root.canonicalize().unwrap_or_else(|_| folder.clone());
    let folder = match folder.parent() {
        Some(above) if folder.ends_with(GRAPHS) && above.starts_with(&root) => above.to_owned(),
        _ => folder,
    };
    if !folder.starts_with(&root) {
        return Vec::new();
    }
    let mut walk = Walk { root, n_entries: 0, readable: BTreeSet::from([folder.clone()]) };
    walk.look_into(&folder, DEPTH);
    walk.readable.into_iter().collect()
}

/// The real folder of what a model's path says: itself, or the one that the name is in.
fn folder(path: &Path) -> Option<PathBuf> {
    let folder = if path.is_dir() { path } else { path.parent()? };
    folder.canonicalize().ok()
}

impl Walk {
    /// Makes readable what links in the folder lead to.
    fn look_into(&mut self, folder: &Path, depth: usize) {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        for entry in entries.take_while(|_| depth > 0) {
            self.n_entries += 1;
            if self.n_entries > MAX_ENTRIES {
                return;
            }
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => self.look_into(&entry.path(), depth - 1),
                Ok(kind) if kind.is_symlink() => {
                    entry.path().canonicalize().into_iter().for_each(|target| self.found(&target, depth - 1));
                }
                _ => {}
            }
        }
    }

    /// Makes a link's target readable, unless it lies in a folder that is so already.
    fn found(&mut self, target: &Path, depth: usize) {
        if !target.starts_with(&self.root) || target.ancestors().any(|above| self.readable.contains(above)) {
            return;
        }
        self.readable.insert(target.to_owned());
        if target.is_dir() {
            self.look_into(target, depth);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Folders end in a slash, links are `name -> target`, the rest are files.
    fn check(entries: &[&str], path: &str, root: &str, expected: &[&str]) {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        for entry in entries {
            let (name, target) = entry.split_once(" -> ").unwrap_or((entry, ""));
            let at = dir.join(name);
            fs::create_dir_all(at.parent().unwrap()).unwrap();
            match target {
                "" if name.ends_with('/') => fs::create_dir_all(at).unwrap(),
                "" => fs::write(at, "").unwrap(),
                target => symlink(target, at).unwrap(),
            }
        }
        let mut expected: Vec<PathBuf> = expected.iter().map(|name| dir.join(name)).collect();
        expected.sort();
        assert_eq!(readable(&dir.join(path), &dir.join(root)), expected, "{entries:?}");
    }

    #[test]
    fn a_model_is_its_folder() {
        check(&["m/a.gguf", "other/b.gguf"], "m/a.gguf", "m", &["m"]);
        check(&["m/llama/config.json", "m/other/config.json"], "m/llama", "m", &["m/llama"]);
        check(
            &["m/bert/onnx/model.onnx", "m/bert/tokenizer.json"],
            "m/bert/onnx/model.onnx",
            "m",
            &["m/bert"],
        );
        check(&["m/onnx/model.onnx"], "m/onnx/model.onnx", "m/onnx", &["m/onnx"]);
        check(&[], "m/gone", "m", &[]);
        check(&["m/a.gguf"], "m/a.gguf", "gone", &["m"]);
        check(&["m/a.gguf", "n/b"], "m/a.gguf", "n", &[]);
    }

    #[test]
    fn links_are_followed_within_the_root() {
        let hub = [
            "r/blobs/1",
            "r/blobs/2",
            "r/blobs/3",
            "r/snapshots/x/config.json -> ../../blobs/1",
            "r/snapshots/x/1_Pooling/config.json -> ../../../blobs/2",
            "r/snapshots/x/escape -> /etc/passwd",
            "r/snapshots/y/config.json -> ../../blobs/3",
        ];
        check(&hub, "r/snapshots/x", "r", &["r/snapshots/x", "r/blobs/1", "r/blobs/2"]);
        check(&["m/a.gguf -> ../d/b", "d/b", "d/c"], "m/a.gguf", "m", &["m"]);
        check(&["m/a.gguf -> ../d/b", "d/b", "d/c"], "m/a.gguf", ".", &["m", "d/b"]);
        check(&["m/x -> ../d", "d/y -> ../m", "d/z -> ../e", "e/f"], "m", ".", &["m", "d", "e"]);
        check(&["m -> d", "d/a.gguf"], "m/a.gguf", ".", &["d"]);
    }
}
