//! Which folders may hold models, and which files belong to them.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::{Path, PathBuf},
};

use super::{CONFIG, Folder, GENAI_CONFIG};
use crate::catalog::{
    Problem,
    file::file_name,
    place::{self, ONNX_FOLDER},
    walk::{self, FoundFile},
};

/// How many levels below a folder are searched when a place names a file in it.
const SHALLOW: usize = 2;

/// The folders among `files`, which are sorted by path, that may hold models; those above others first. `outside` are
/// links that lead out of the place.
pub(crate) fn candidates(files: &[FoundFile], outside: &BTreeSet<PathBuf>) -> Vec<Folder> {
    let is_config = |file: &&FoundFile| [CONFIG, GENAI_CONFIG].contains(&file_name(&file.path).as_str());
    let folders: HashSet<&Path> =
        files.iter().filter(is_config).filter_map(|file| file.path.parent()).collect();
    let owners = |path: &Path| -> Vec<PathBuf> {
        let nearest = path.ancestors().skip(1).find(|folder| folders.contains(folder));
        let above = nearest.filter(|folder| is_part(&file_name(folder))).and_then(Path::parent);
        let above = above.filter(|folder| folders.contains(folder));
        nearest.into_iter().chain(above).map(Path::to_owned).collect()
    };
    let mut found: BTreeMap<PathBuf, Folder> = BTreeMap::new();
    let folder_at = |path: PathBuf| Folder { path, files: BTreeMap::new(), outside: BTreeSet::new() };
    for file in files {
        for owner in owners(&file.path) {
            let folder = found.entry(owner.clone()).or_insert_with(|| folder_at(owner));
            folder.files.insert(file.path.clone(), file.clone());
        }
    }
    for link in outside {
        for owner in owners(link) {
            if let Some(folder) = found.get_mut(&owner) {
                folder.outside.insert(link.clone());
            }
        }
    }
    found.into_values().collect()
}

/// The folders that a file may belong to, those above others first, and the canonical ones that their files may resolve
/// into.
pub(crate) fn around(file: &Path, follow_links: bool) -> Vec<(Folder, PathBuf)> {
    let has_config = |folder: &&Path| [CONFIG, GENAI_CONFIG].iter().any(|name| folder.join(name).is_file());
    let nearest = file.parent();
    let above = nearest.filter(|folder| is_part(&file_name(folder))).and_then(Path::parent);
    let folders = above.into_iter().chain(nearest).filter(has_config);
    folders.filter_map(|folder| at(folder, follow_links)).collect()
}

/// The folder at `path`, searched a few levels down.
fn at(path: &Path, follow_links: bool) -> Option<(Folder, PathBuf)> {
    let root = place::root(path, follow_links).ok()?;
    // What is wrong with its other files is no matter of the place that names one of them.
    let mut problems = Vec::new();
    let files = walk::files(path, &root, SHALLOW, &mut problems).ok()?;
    let outside = problems.into_iter().filter_map(|problem| match problem {
        Problem::OutsideLink { path } => Some(path),
        _ => None,
    });
    let folder = candidates(&files, &outside.collect()).into_iter().find(|found| found.path == path)?;
    Some((folder, root))
}

/// Whether a subfolder of this name is a part of the model above it.
fn is_part(name: &str) -> bool {
    is_module(name) || name == ONNX_FOLDER
}

/// Whether a subfolder of this name is a module of sentence-transformers, such as `1_Pooling`.
pub(super) fn is_module(name: &str) -> bool {
    name.split_once('_').is_some_and(|(number, _)| number.parse::<u8>().is_ok())
}
