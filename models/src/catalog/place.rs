//! What a place's path says: how far its links may lead, and what a folder's model is called.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::file::file_name;
use crate::name::ModelName;

/// How the hub's cache names the folder of a repository.
const REPOSITORY: &str = "models--";
/// The folders of a repository in the hub's cache: files by their digests, and links to them.
const REPOSITORY_FOLDERS: [&str; 2] = ["blobs", "snapshots"];
/// The subfolder in which exports to ONNX lie beside the weights that they were made from.
pub(super) const ONNX_FOLDER: &str = "onnx";

/// The canonical folder that links at `path`, a folder or a file, may not lead out of. A snapshot in the hub's cache is
/// links to files beside it, so that its repository counts as one folder.
pub(super) fn root(path: &Path, follow_links: bool) -> io::Result<PathBuf> {
    let path = path.canonicalize()?;
    if follow_links {
        return Ok(PathBuf::from("/"));
    }
    let folder = match path.parent() {
        Some(parent) if !path.is_dir() => parent,
        _ => &path,
    };
    Ok(repository(folder).unwrap_or(folder).to_owned())
}

/// The name of the model in a folder: that of the folder, of the repository when it is a snapshot in the hub's cache,
/// of the folder above when it is one of exports alone.
pub(super) fn model_name(folder: &Path) -> ModelName {
    let above = |folder: &Path| folder.parent().map(file_name).unwrap_or_default();
    if let Some(repository) = repository(folder)
        && folder.parent().is_some_and(|parent| parent.parent() == Some(repository))
    {
        let name = file_name(repository);
        return ModelName::from_stem(name.rsplit_once("--").map_or(name.as_str(), |(_, name)| name));
    }
    match file_name(folder) {
        name if name == ONNX_FOLDER => ModelName::from_stem(&above(folder)),
        name => ModelName::from_stem(&name),
    }
}

/// Whether a path lies in a snapshot of the hub's cache, of which there can be several of one model.
pub(super) fn is_in_snapshot(path: &Path) -> bool {
    repository(path).is_some()
}

/// The repository of the hub's cache that a folder in it belongs to.
fn repository(folder: &Path) -> Option<&Path> {
    let within = folder.ancestors().find(|path| {
        let is_repository = path.parent().map(file_name).is_some_and(|name| name.starts_with(REPOSITORY));
        is_repository && REPOSITORY_FOLDERS.contains(&file_name(path).as_str())
    });
    within?.parent()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_name_models() {
        fn check(folder: &str, expected: &str) {
            assert_eq!(model_name(Path::new(folder)).as_str(), expected, "{folder}");
        }
        check("/m/Llama-3.2-1B", "Llama-3.2-1B");
        check("/m/tiny/onnx", "tiny");
        check("/hub/models--org--Name-7B/snapshots/0123abc", "Name-7B");
        check("/hub/models--gpt2/snapshots/0123abc", "gpt2");
        check("/hub/models--org--name/snapshots/0123abc/sub", "sub");
        check("/hub/models--org--name", "models--org--name");
        check("/", "model");
    }

    #[test]
    fn a_repository_is_one_folder() {
        fn check(folder: &str, expected: Option<&str>) {
            assert_eq!(repository(Path::new(folder)), expected.map(Path::new), "{folder}");
        }
        check("/hub/models--a--b/snapshots/1/onnx", Some("/hub/models--a--b"));
        check("/hub/models--a--b/blobs", Some("/hub/models--a--b"));
        check("/hub/models--a--b", None);
        check("/hub/models--a--b/other/1", None);
        check("/hub/datasets--a--b/snapshots/1", None);
    }
}
