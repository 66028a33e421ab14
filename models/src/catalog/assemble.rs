//! From places to models: files are found, grouped, named and listed once.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fs::{self, Metadata},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    CANDLE_FORMAT, Catalog, FormatPattern, ONNX_FORMAT, Place, Problem,
    file::{Files, Group, Part, file_name},
    folder::{self, Folder},
    found::{self, Found},
    pattern, place,
    probe::{Known, Probes},
    split::PartName,
    walk::{self, FoundFile},
};
use crate::{broken::Broken, name::ModelName};

struct Scan<'a> {
    probes: Probes<'a>,
    patterns: &'a [FormatPattern],
    problems: Vec<Problem>,
    found: Vec<Found>,
}

/// Scans all places, opening only what `known` does not tell.
pub(super) fn catalog(known: &Known, places: &[Place], patterns: &[FormatPattern]) -> Catalog {
    let mut scan = Scan { probes: Probes::new(known), patterns, problems: Vec::new(), found: Vec::new() };
    for place in places {
        let path = std::path::absolute(&place.path).unwrap_or_else(|_| place.path.clone());
        let place = Place { path, ..place.clone() };
        match &place.name {
            Some(name) => scan.named(name, &place),
            None => scan.unnamed(&place),
        }
    }
    let mut models = found::without_repeats(scan.found);
    let by_name = found::by_name(&mut models);
    Catalog { models, by_name, problems: scan.problems, known: scan.probes.into_known() }
}

impl Scan<'_> {
    fn unnamed(&mut self, place: &Place) {
        match self.models(place) {
            Ok(models) => self.found.extend(models),
            Err(source) => self.problems.push(Problem::Unreadable { path: place.path.clone(), source }),
        }
    }

    /// A place whose name was given has exactly one model, or one in two formats; whatever else it has, the name is
    /// listed as broken.
    fn named(&mut self, name: &ModelName, place: &Place) {
        let path = place.path.as_path();
        let mut models = match self.models(place) {
            Ok(models) => models,
            Err(source) => {
                let broken = Broken::Path { path: path.to_owned(), source: Arc::new(source) };
                self.found.push(Found::broken(name, path, broken));
                return;
            }
        };
        match models.as_slice() {
            [_] => self.found.extend(models.pop().map(|found| found.named(name.clone()))),
            [candle, onnx] if candle.model.format == CANDLE_FORMAT && onnx.is_export_of(candle) => {
                let names = [name.clone(), export_name(name)];
                self.found.extend(models.into_iter().zip(names).map(|(found, name)| found.named(name)));
            }
            [] if path.is_file() => {
                let broken = Broken::UnknownFormat { path: path.to_owned() };
                self.found.push(Found::broken(name, path, broken));
            }
            several => {
                let broken = Broken::NotOneModel { path: path.to_owned(), count: several.len() };
                self.found.push(Found::broken(name, path, broken));
            }
        }
    }

    /// The models of a place, under the names of their files and folders.
    fn models(&mut self, place: &Place) -> io::Result<Vec<Found>> {
        let path = place.path.as_path();
        let root = place::root(path, place.follow_links)?;
        let metadata = fs::metadata(path)?;
        if metadata.is_dir() {
            let before = self.problems.len();
            let files = walk::files(path, &root, walk::DEPTH, &mut self.problems)?;
            let outside = outside(&self.problems[before..]);
            return Ok(self.below(files, &outside, &root));
        }
        if metadata.is_file() {
            return Ok(self.single(place, metadata, &root));
        }
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a file nor a folder"))
    }

    /// All models that the files of a folder and of those below it make up.
    fn below(&mut self, files: Vec<FoundFile>, outside: &BTreeSet<PathBuf>, root: &Path) -> Vec<Found> {
        let mut found = Vec::new();
        let mut claimed: HashSet<PathBuf> = HashSet::new();
        for folder in folder::candidates(&files, outside) {
            // Exports that the folder above has listed.
            if claimed.contains(folder.first_file()) {
                continue;
            }
            let models = self.of_folder(&folder, None, root);
            if !models.is_empty() {
                claimed.extend(folder.files().map(|file| file.path.clone()));
            }
            found.extend(models);
        }
        let (models, rest) = self.grouped(files, &claimed);
        found.extend(models.iter().map(|files| Found::of_files(files, root)));
        let graphs = rest.iter().filter(|file| folder::is_graph(&file.path));
        found.extend(graphs.map(|file| Found::without_config(file, ONNX_FORMAT, root)));
        found
    }

    /// What the one file that a place names stands for, with its other parts if its name says that it has any.
    fn single(&mut self, place: &Place, metadata: Metadata, root: &Path) -> Vec<Found> {
        let path = place.path.as_path();
        let parts = match PartName::parse(&file_name(path)) {
            None => vec![FoundFile { path: path.to_owned(), metadata: metadata.clone() }],
            Some(part) => {
                let sibling = |number| {
                    let path = path.with_file_name(part.sibling(number));
                    let metadata = fs::metadata(&path).ok().filter(Metadata::is_file)?;
                    Some(FoundFile { path, metadata })
                };
                (1..=part.total).filter_map(sibling).collect()
            }
        };
        let (models, _) = self.grouped(parts, &HashSet::new());
        if !models.is_empty() {
            return models.iter().map(|files| Found::of_files(files, root)).collect();
        }
        let format = match path {
            graph if folder::is_graph(graph) => ONNX_FORMAT,
            weights if folder::is_weights(weights) => CANDLE_FORMAT,
            _ => "",
        };
        for (folder, root) in folder::around(path, place.follow_links) {
            let graph = Some(path).filter(|_| format == ONNX_FORMAT);
            let mut models = self.of_folder(&folder, graph, &root);
            models.retain(|Found { model, .. }| {
                model.format == format || format.is_empty() && model.files.iter().any(|file| file == path)
            });
            if !models.is_empty() {
                return models;
            }
        }
        let file = FoundFile { path: path.to_owned(), metadata };
        let is_loose = format == ONNX_FORMAT || folder::is_safetensors(path);
        is_loose.then(|| Found::without_config(&file, format, root)).into_iter().collect()
    }

    /// The models of a folder; that in ONNX has a name of its own where there is another.
    fn of_folder(&mut self, folder: &Folder, graph: Option<&Path>, root: &Path) -> Vec<Found> {
        let name = place::model_name(folder.path());
        let models = self.probes.folder(folder, graph);
        let named = |(idx, model)| {
            let name = if idx == 0 { name.clone() } else { export_name(&name) };
            Found::of_folder(name, model, root)
        };
        models.iter().enumerate().map(named).collect()
    }

    /// The models that are files by themselves, and the files that are none. Those that are `claimed` by a folder are
    /// models only when their content says so.
    fn grouped(&mut self, files: Vec<FoundFile>, claimed: &HashSet<PathBuf>) -> (Vec<Files>, Vec<FoundFile>) {
        let mut groups: BTreeMap<Group, Files> = BTreeMap::new();
        let mut rest = Vec::new();
        for file in files {
            let content = match self.probes.content(&file.path, &file.metadata) {
                Ok(content) => content,
                Err(source) => {
                    self.problems.push(Problem::Unreadable { path: file.path, source });
                    continue;
                }
            };
            let file_name = file_name(&file.path);
            let is_claimed = claimed.contains(&file.path);
            let by_pattern = pattern::format_of(self.patterns, &file_name).filter(|_| !is_claimed);
            let Some((format, header)) = Part::kind(content, &file_name, by_pattern) else {
                rest.extend((!is_claimed).then_some(file));
                continue;
            };
            let name = PartName::parse(&file_name);
            let part = Part { path: file.path, metadata: file.metadata, name, header };
            let group = Group::of(&part, &format);
            groups.entry(group).or_insert_with(|| Files { format, parts: Vec::new() }).parts.push(part);
        }
        let mut models: Vec<Files> = groups.into_values().collect();
        for files in &mut models {
            files.parts.sort_by_key(|part| part.name.as_ref().map(|name| name.number));
        }
        (models, rest)
    }
}

/// The name of a model's export to ONNX where the model has its own name already.
fn export_name(name: &ModelName) -> ModelName {
    ModelName::from_stem(&format!("{name}-onnx"))
}

/// The links among `problems` that lead out of their place.
fn outside(problems: &[Problem]) -> BTreeSet<PathBuf> {
    let link = |problem: &Problem| match problem {
        Problem::OutsideLink { path } => Some(path.clone()),
        _ => None,
    };
    problems.iter().filter_map(link).collect()
}
