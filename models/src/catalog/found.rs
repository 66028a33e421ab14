//! Models with the files that they are recognised by: each is listed once and has a name of its own.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
};

use super::{
    Model, ONNX_FORMAT, State,
    file::{Files, file_name},
    folder::FolderModel,
    place,
    probe::Identity,
    walk::FoundFile,
};
use crate::{
    broken::{Broken, FolderProblem},
    name::{ModelName, stem},
};

/// A model and the files that it is recognised by when another path leads to it.
pub(super) struct Found {
    pub(super) model: Model,
    identity: Vec<Identity>,
    /// Whether it is a folder's, or should be, and not a file by itself.
    is_folder: bool,
}

impl Found {
    /// A model of one file or of numbered parts.
    pub(super) fn of_files(files: &Files, root: &Path) -> Self {
        let first = &files.parts[0];
        let model = Model {
            name: files.name(),
            path: first.path.clone(),
            root: root.to_owned(),
            size_bytes: files.parts.iter().map(|part| part.metadata.len()).sum(),
            modified: files.parts.iter().filter_map(|part| part.metadata.modified().ok()).max(),
            state: files.state(),
            duplicate_of: None,
            named: false,
            files: files.parts.iter().map(|part| part.path.clone()).collect(),
            format: files.format.clone(),
        };
        Self { model, identity: vec![first.identity()], is_folder: false }
    }

    /// A model of a folder.
    pub(super) fn of_folder(name: ModelName, folder: &FolderModel, root: &Path) -> Self {
        let model = Model {
            name,
            path: folder.path.clone(),
            root: root.to_owned(),
            size_bytes: folder.size_bytes,
            modified: folder.modified,
            state: folder.state.clone(),
            duplicate_of: None,
            named: false,
            files: folder.files.clone(),
            format: folder.format.to_owned(),
        };
        Self { model, identity: folder.identity.clone(), is_folder: true }
    }

    /// A file of a model's folder without the folder.
    pub(super) fn without_config(file: &FoundFile, format: &str, root: &Path) -> Self {
        let file_name = file_name(&file.path);
        let model = Model {
            name: ModelName::from_stem(stem(&file_name)),
            path: file.path.clone(),
            root: root.to_owned(),
            size_bytes: file.metadata.len(),
            modified: file.metadata.modified().ok(),
            state: State::Broken(FolderProblem::MissingConfig { file: file_name }.into()),
            duplicate_of: None,
            named: false,
            files: vec![file.path.clone()],
            format: format.to_owned(),
        };
        Self { model, identity: vec![Identity::of(&file.metadata)], is_folder: true }
    }

    /// A model that was configured but of which there are no files to look at.
    pub(super) fn broken(name: &ModelName, path: &Path, broken: Broken) -> Self {
        let model = Model {
            name: name.clone(),
            format: String::new(),
            path: path.to_owned(),
            root: PathBuf::new(),
            files: Vec::new(),
            size_bytes: 0,
            modified: None,
            state: State::Broken(broken),
            duplicate_of: None,
            named: true,
        };
        Self { model, identity: Vec::new(), is_folder: false }
    }

    /// The same under a given name.
    pub(super) fn named(mut self, name: ModelName) -> Self {
        self.model.name = name;
        self.model.named = true;
        self
    }

    /// Whether it is the ONNX model of the same folder.
    pub(super) fn is_export_of(&self, candle: &Self) -> bool {
        self.model.format == ONNX_FORMAT && self.is_folder && self.model.path.starts_with(&candle.model.path)
    }

    /// Sorts what is kept of several paths to one file first: given names, then names that end like models' do
    /// (caches keep a file under its digest and link to it), then the order of paths.
    fn rank(&self) -> (bool, bool, PathBuf) {
        let is_gguf = self.model.path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf"));
        (!self.model.named, !(is_gguf || self.is_folder), self.model.path.clone())
    }
}

/// Lists each file once, whatever paths lead to it; only given names can make several models of one file.
pub(super) fn without_repeats(mut found: Vec<Found>) -> Vec<Model> {
    found.sort_by_cached_key(Found::rank);
    let mut seen: HashMap<(String, Vec<Identity>), Vec<ModelName>> = HashMap::new();
    found.retain(|Found { model, identity, .. }| {
        if identity.is_empty() {
            return true;
        }
        let names = seen.entry((model.format.clone(), identity.clone())).or_default();
        let repeated = if model.named { names.contains(&model.name) } else { !names.is_empty() };
        names.push(model.name.clone());
        !repeated
    });
    let mut models: Vec<Model> = found.into_iter().map(|found| found.model).collect();
    models.sort_by(|a, b| (&a.path, &a.name).cmp(&(&b.path, &b.name)));
    models
}

/// Gives each name to one model and marks the others. Given names come first, then models that are not broken, then of
/// the hub's snapshots the newest, then the order of paths.
pub(super) fn by_name(models: &mut [Model]) -> BTreeMap<ModelName, usize> {
    let mut order: Vec<usize> = (0..models.len()).collect();
    order.sort_by_key(|&idx| {
        let model = &models[idx];
        let age = place::is_in_snapshot(&model.path).then_some(Reverse(model.modified));
        (!model.named, model.broken().is_some(), age, idx)
    });
    let mut by_name: BTreeMap<ModelName, usize> = BTreeMap::new();
    for idx in order {
        match by_name.get(&models[idx].name) {
            Some(&first) => models[idx].duplicate_of = Some(models[first].path.clone()),
            None => {
                by_name.insert(models[idx].name.clone(), idx);
            }
        }
    }
    by_name
}
