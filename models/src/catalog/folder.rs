//! Models that are a folder: `config.json` or `genai_config.json` with weights, with graphs, or with both.
//!
//! A file belongs to the nearest such folder at or above it. Subfolders for exports and for the modules of
//! sentence-transformers belong to the folder above them too if they have settings of their own. What is found out
//! about a folder depends on the files that belong to it alone.

mod candidate;
mod candle;
mod onnx;
mod settings;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    path::{Component, Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use super::{State, file::file_name, place::ONNX_FOLDER, probe::Identity, walk::FoundFile};
use crate::{
    broken::{Broken, FolderProblem},
    excerpt::excerpt,
    metadata::{Config, Metadata, Weights},
};

pub(super) use candidate::{around, candidates};
pub(super) use candle::{is_safetensors, is_weights};
pub(super) use onnx::is_graph;

/// The settings that make a folder one that may hold a model.
const CONFIG: &str = "config.json";
const GENAI_CONFIG: &str = "genai_config.json";
/// How many files are named in a message.
const NAMED: usize = 4;
/// What workers read beside weights, graphs and their data.
const COMPANIONS: [&str; 16] = [
    CONFIG,
    GENAI_CONFIG,
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "chat_template.jinja",
    "chat_template.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
];

/// A folder with settings, and the files that belong to it.
pub(super) struct Folder {
    path: PathBuf,
    files: BTreeMap<PathBuf, FoundFile>,
    /// Links that lead out of the place.
    outside: BTreeSet<PathBuf>,
}

/// One model of a folder.
#[derive(Debug, Clone)]
pub(super) struct FolderModel {
    pub(super) format: &'static str,
    pub(super) path: PathBuf,
    /// Those with weights first.
    pub(super) files: Vec<PathBuf>,
    pub(super) size_bytes: u64,
    pub(super) modified: Option<SystemTime>,
    pub(super) state: State,
    /// All its files: another template makes another model of the same weights.
    pub(super) identity: Vec<Identity>,
}

/// Files of one model, found by their names, with what could be told from their content.
struct Parts<'a> {
    format: &'static str,
    path: PathBuf,
    /// Those with weights, the one to begin with first; of a broken model those that are there.
    files: Vec<&'a FoundFile>,
    /// The index of shards.
    index: Option<&'a FoundFile>,
    weights: Result<Weights, FolderProblem>,
}

impl Folder {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// All its files in the order of their paths.
    pub(super) fn files(&self) -> impl Iterator<Item = &FoundFile> {
        self.files.values()
    }

    /// The first of its files.
    pub(super) fn first_file(&self) -> &Path {
        self.files.keys().next().map_or(&self.path, PathBuf::as_path)
    }

    pub(super) fn outside(&self) -> &BTreeSet<PathBuf> {
        &self.outside
    }

    /// The file at a path within the folder.
    fn file(&self, name: impl AsRef<Path>) -> Option<&FoundFile> {
        self.files.get(&self.path.join(name))
    }

    /// The files directly in the folder, or in its subfolder.
    fn files_in(&self, subfolder: &str) -> impl Iterator<Item = &FoundFile> {
        let folder = self.path.join(subfolder);
        self.files.values().filter(move |file| file.path.parent() == Some(folder.as_path()))
    }

    /// The files of sentence-transformers' modules, such as `1_Pooling`.
    fn module_files(&self) -> impl Iterator<Item = &FoundFile> {
        let folder = |file: &FoundFile| file.path.parent().map(Path::to_owned);
        let is_module =
            move |path: &Path| path.parent() == Some(&self.path) && candidate::is_module(&file_name(path));
        self.files.values().filter(move |file| folder(file).is_some_and(|folder| is_module(&folder)))
    }

    /// The path within the folder, for people.
    fn name_of(&self, path: &Path) -> String {
        path.strip_prefix(&self.path).unwrap_or(path).to_string_lossy().into_owned()
    }

    /// The files that the file `by` names by their paths relative to `base`. All of them must be plain paths within the
    /// folder.
    fn named<'a>(
        &self,
        by: &str,
        base: &Path,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<Vec<&FoundFile>, FolderProblem> {
        let mut files = Vec::new();
        let mut missing = Vec::new();
        for name in names {
            let plain = |component| matches!(component, Component::Normal(_) | Component::CurDir);
            if name.is_empty() || name.contains(['\\', '\0']) || !Path::new(name).components().all(plain) {
                return Err(FolderProblem::FilePath { by: by.to_owned(), name: excerpt(name) });
            }
            let path: PathBuf = base.join(name).components().collect();
            match self.files.get(&path) {
                Some(file) => files.push(file),
                None if self.leads_out(&path) => {
                    return Err(FolderProblem::OutsideLink { file: self.name_of(&path) });
                }
                None => missing.push(excerpt(name)),
            }
        }
        if missing.is_empty() {
            return Ok(files);
        }
        let count = missing.len();
        missing.truncate(NAMED);
        Err(FolderProblem::MissingFiles { by: by.to_owned(), count, names: missing })
    }

    /// Whether the path, or a folder on the way to it, is a link that leads out.
    fn leads_out(&self, path: &Path) -> bool {
        path.ancestors().take_while(|ancestor| *ancestor != self.path).any(|path| self.outside.contains(path))
    }

    /// The first link directly in the folder, or in its subfolder, that leads out and is named as `wanted`.
    fn outside_in(&self, subfolder: &str, wanted: fn(&Path) -> bool) -> Option<FolderProblem> {
        let folder = self.path.join(subfolder);
        let mut links = self.outside.iter().filter(|link| link.parent() == Some(&folder) && wanted(link));
        links.next().map(|link| FolderProblem::OutsideLink { file: self.name_of(link) })
    }

    /// Opens one of its files.
    fn open(&self, file: &FoundFile) -> Result<File, FolderProblem> {
        File::open(&file.path).map_err(|source| self.unread(file, source))
    }

    fn unread(&self, file: &FoundFile, source: io::Error) -> FolderProblem {
        FolderProblem::File { file: self.name_of(&file.path), source: Arc::new(source) }
    }
}

impl FolderModel {
    /// Whether it is broken for a reason that may pass without a change of its files.
    pub(super) fn is_unread(&self) -> bool {
        matches!(&self.state, State::Broken(broken) if broken.is_unread())
    }
}

impl Parts<'_> {
    fn model(self, folder: &Folder, metadata: Result<Metadata, Broken>) -> FolderModel {
        let size_bytes = self.files.iter().fold(0u64, |sum, file| sum.saturating_add(file.metadata.len()));
        let mut files = self.files;
        files.extend(self.index);
        files.extend(COMPANIONS.iter().filter_map(|name| folder.file(name)));
        files.extend(folder.module_files());
        FolderModel {
            format: self.format,
            path: self.path,
            size_bytes,
            modified: files.iter().filter_map(|file| file.metadata.modified().ok()).max(),
            identity: files.iter().map(|file| Identity::of(&file.metadata)).collect(),
            files: files.into_iter().map(|file| file.path.clone()).collect(),
            state: metadata.map_or_else(State::Broken, |metadata| State::Described(Box::new(metadata))),
        }
    }
}

/// The models of a folder, that with weights before that with graphs; `graph` is the one that a place names.
pub(super) fn describe(folder: &Folder, graph: Option<&Path>) -> Vec<FolderModel> {
    let settings = settings::read(folder);
    // A folder of other settings is no model; one whose settings are damaged is.
    if settings.as_ref().is_ok_and(|config| !config.is_model()) {
        return Vec::new();
    }
    let assumed = Config::default();
    let config = settings.as_ref().unwrap_or(&assumed);
    let parts = [candle::find(folder, config), onnx::find(folder, config, graph)];
    let model = |parts: Parts| {
        let metadata = match (&settings, &parts.weights) {
            (Err(problem), _) | (_, Err(problem)) => Err(problem.clone().into()),
            (Ok(config), Ok(weights)) => Metadata::from_config(config, weights),
        };
        parts.model(folder, metadata)
    };
    parts.into_iter().flatten().map(model).collect()
}
