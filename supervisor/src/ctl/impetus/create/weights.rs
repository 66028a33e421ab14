//! Files of this machine that a model is made of.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use impetus_proto::fetch::FetchProgress;

use super::{CreateError, Failure};
use crate::{
    ctl::{impetus::api::Api, pull::Bar},
    store::Digest,
};

/// The most files of one model, and folders within folders.
const MAX_FILES: usize = 1000;
const MAX_DEPTH: usize = 4;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Weights {
    pub(super) parts: Vec<Part>,
}

/// One file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Within the model's folder, with slashes.
    pub(super) name: String,
    path: PathBuf,
}

impl Weights {
    /// The file at `path`, or those of a folder. What is hidden is none of a model's.
    pub(super) fn find(path: &Path) -> Result<Self, CreateError> {
        let failed = |source| CreateError::File { path: path.to_owned(), source };
        let mut parts = Vec::new();
        if fs::metadata(path).map_err(failed)?.is_dir() {
            gather(path, "", MAX_DEPTH, &mut parts)?;
        } else {
            let name = path.file_name().and_then(|name| name.to_str());
            let name = name.ok_or_else(|| CreateError::Name(path.to_owned()))?.to_owned();
            parts.push(Part { name, path: path.to_owned() });
        }
        if parts.is_empty() {
            return Err(CreateError::Empty(path.to_owned()));
        }
        parts.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(Self { parts })
    }
}

fn gather(folder: &Path, prefix: &str, depth: usize, parts: &mut Vec<Part>) -> Result<(), CreateError> {
    let failed = |source| CreateError::File { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| CreateError::Name(path.clone()))?;
        if name.starts_with('.') {
            continue;
        }
        let name = format!("{prefix}{name}");
        let is_folder = fs::metadata(&path).map_err(failed)?.is_dir();
        if parts.len() == MAX_FILES || (is_folder && depth == 1) {
            return Err(CreateError::TooMany(folder.to_owned()));
        }
        if is_folder {
            gather(&path, &format!("{name}/"), depth - 1, parts)?;
        } else {
            parts.push(Part { name, path });
        }
    }
    Ok(())
}

impl Part {
    /// Sends it, unless the server has it, and answers by what it is known there.
    pub(super) async fn bring(self, api: &Api) -> Result<String, Failure> {
        let failed = |source| CreateError::File { path: self.path.clone(), source };
        let digest = format!("sha256:{}", Digest::of(&self.path).map_err(failed)?);
        let path = format!("/api/blobs/{digest}");
        if !api.has(&path).await? {
            let file = File::open(&self.path).map_err(failed)?;
            let n_bytes = file.metadata().map_err(failed)?.len();
            let mut bar = Bar::new();
            bar.begin(n_bytes, 0);
            let sent = |bytes| bar.at(&FetchProgress { bytes, ..FetchProgress::default() });
            api.send_file(&path, file, n_bytes, sent).await?;
            bar.clear();
        }
        Ok(digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_models_files_are_those_that_are_not_hidden() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str| {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "x").unwrap();
        };
        let names = |path: &Path| {
            let found = Weights::find(path).map(|weights| weights.parts.into_iter().map(|part| part.name));
            found.map(Iterator::collect::<Vec<_>>)
        };
        assert!(matches!(names(dir.path()), Err(CreateError::Empty(_))));
        assert!(matches!(names(&dir.path().join("none")), Err(CreateError::File { .. })));
        for name in ["config.json", "onnx/model.onnx", ".git/HEAD", "b.txt"] {
            put(name);
        }
        assert_eq!(names(dir.path()).unwrap(), ["b.txt", "config.json", "onnx/model.onnx"]);
        assert_eq!(names(&dir.path().join("b.txt")).unwrap(), ["b.txt"]);
        put("a/b/c/d/e");
        assert!(matches!(names(dir.path()), Err(CreateError::TooMany(_))));
    }
}
