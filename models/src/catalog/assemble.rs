//! From places to models: files are found, grouped, named and listed once.

use std::{
    collections::{BTreeMap, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Catalog, FormatPattern, Model, Place, Problem, State,
    describe::{Files, Part},
    pattern,
    probe::{Identity, Probed, Probes},
    split::PartName,
    walk::{self, FoundFile},
};
use crate::{
    broken::Broken,
    name::{ModelName, stem},
};

struct Scan<'a> {
    probes: Probes<'a>,
    patterns: &'a [FormatPattern],
    problems: Vec<Problem>,
    found: Vec<Found>,
}

/// A model and the file that it is recognised by when another path leads to it.
struct Found {
    model: Model,
    identity: Option<Identity>,
}

/// What files of one model have in common.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Group {
    Single(PathBuf),
    Parts { folder: PathBuf, prefix: String, extension: String, total: u32, format: String },
}

/// Scans all places, opening only what `known` does not tell.
pub(super) fn catalog(
    known: &HashMap<PathBuf, Probed>,
    places: &[Place],
    patterns: &[FormatPattern],
) -> Catalog {
    let mut scan = Scan { probes: Probes::new(known), patterns, problems: Vec::new(), found: Vec::new() };
    for place in places {
        let path = std::path::absolute(&place.path).unwrap_or_else(|_| place.path.clone());
        let place = Place { path, ..place.clone() };
        match &place.name {
            Some(name) => scan.named(name, &place),
            None => scan.unnamed(&place),
        }
    }
    let mut models = without_repeats(scan.found);
    let by_name = by_name(&mut models);
    Catalog { models, by_name, problems: scan.problems, probed: scan.probes.into_known() }
}

impl Scan<'_> {
    fn unnamed(&mut self, place: &Place) {
        let (root, files) = match self.files(place) {
            Ok(found) => found,
            Err(source) => {
                self.problems.push(Problem::Unreadable { path: place.path.clone(), source });
                return;
            }
        };
        for files in self.grouped(files) {
            let name = derived_name(&files.parts[0]);
            self.found.push(Found::new(name, false, &files, &root));
        }
    }

    /// A place whose name was given has exactly one model; whatever else it has, the name is listed as broken.
    fn named(&mut self, name: &ModelName, place: &Place) {
        let path = place.path.as_path();
        let (root, files) = match self.files(place) {
            Ok(found) => found,
            Err(source) => {
                let broken = Broken::Path { path: path.to_owned(), source: Arc::new(source) };
                self.found.push(Found::broken(name, path, broken));
                return;
            }
        };
        let mut models = self.grouped(files);
        let found = match (models.pop(), models.len()) {
            (Some(files), 0) => Found::new(name.clone(), true, &files, &root),
            (None, _) if path.is_file() => {
                Found::broken(name, path, Broken::UnknownFormat { path: path.to_owned() })
            }
            (last, others) => {
                let count = others + usize::from(last.is_some());
                Found::broken(name, path, Broken::NotOneModel { path: path.to_owned(), count })
            }
        };
        self.found.push(found);
    }

    /// The files of a place: those of a folder, or one with its other parts if its name says that it has any; and the
    /// folder that links may not lead out of.
    fn files(&mut self, place: &Place) -> io::Result<(PathBuf, Vec<FoundFile>)> {
        let path = place.path.as_path();
        let root = root(place)?;
        let metadata = fs::metadata(path)?;
        if metadata.is_dir() {
            let files = walk::files(path, &root, &mut self.problems)?;
            return Ok((root, files));
        }
        if !metadata.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is neither a file nor a folder"));
        }
        let part = PartName::parse(&file_name(path));
        let Some(part) = part else { return Ok((root, vec![FoundFile { path: path.to_owned(), metadata }])) };
        let parts = (1..=part.total).filter_map(|number| {
            let path = path.with_file_name(part.sibling(number));
            let metadata = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
            Some(FoundFile { path, metadata })
        });
        Ok((root, parts.collect()))
    }

    /// The models that files make up.
    fn grouped(&mut self, files: Vec<FoundFile>) -> Vec<Files> {
        let mut groups: BTreeMap<Group, Files> = BTreeMap::new();
        for FoundFile { path, metadata } in files {
            let file_name = file_name(&path);
            let content = match self.probes.content(&path, &metadata) {
                Ok(content) => content,
                Err(source) => {
                    self.problems.push(Problem::Unreadable { path, source });
                    continue;
                }
            };
            let by_pattern = pattern::format_of(self.patterns, &file_name);
            let Some((format, header)) = Part::kind(content, &file_name, by_pattern) else { continue };
            let name = PartName::parse(&file_name);
            let group = Group::of(&path, name.as_ref(), &format);
            let part = Part { path, metadata, name, header };
            groups.entry(group).or_insert_with(|| Files { format, parts: Vec::new() }).parts.push(part);
        }
        let mut models: Vec<Files> = groups.into_values().collect();
        for files in &mut models {
            files.parts.sort_by_key(|part| part.name.as_ref().map(|name| name.number));
        }
        models
    }
}

impl Group {
    fn of(path: &Path, name: Option<&PartName>, format: &str) -> Self {
        match name {
            None => Self::Single(path.to_owned()),
            Some(name) => Self::Parts {
                folder: path.parent().map(Path::to_owned).unwrap_or_default(),
                prefix: name.prefix.clone(),
                extension: name.extension.clone(),
                total: name.total,
                format: format.to_owned(),
            },
        }
    }
}

impl Found {
    fn new(name: ModelName, named: bool, files: &Files, root: &Path) -> Self {
        let state = files.state();
        let first = &files.parts[0];
        let model = Model {
            name,
            path: first.path.clone(),
            root: root.to_owned(),
            size_bytes: files.parts.iter().map(|part| part.metadata.len()).sum(),
            modified: files.parts.iter().filter_map(|part| part.metadata.modified().ok()).max(),
            state,
            duplicate_of: None,
            named,
            files: files.parts.iter().map(|part| part.path.clone()).collect(),
            format: files.format.clone(),
        };
        Self { model, identity: Some(first.identity()) }
    }

    /// A model that was configured but of which there are no files to look at.
    fn broken(name: &ModelName, path: &Path, broken: Broken) -> Self {
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
        Self { model, identity: None }
    }

    /// Sorts what is kept of several paths to one file first: given names, then names that end like models' do
    /// (caches keep a file under its digest and link to it), then the order of paths.
    fn rank(&self) -> (bool, bool, PathBuf) {
        let usual = self.model.path.extension().is_some_and(|e| e.eq_ignore_ascii_case("gguf"));
        (!self.model.named, !usual, self.model.path.clone())
    }
}

/// Lists each file once, whatever paths lead to it; only given names can make several models of one file.
fn without_repeats(mut found: Vec<Found>) -> Vec<Model> {
    found.sort_by_cached_key(Found::rank);
    let mut seen: HashMap<Identity, Vec<ModelName>> = HashMap::new();
    found.retain(|Found { model, identity }| {
        let Some(identity) = identity else { return true };
        let names = seen.entry(*identity).or_default();
        let repeated = if model.named { names.contains(&model.name) } else { !names.is_empty() };
        names.push(model.name.clone());
        !repeated
    });
    let mut models: Vec<Model> = found.into_iter().map(|found| found.model).collect();
    models.sort_by(|a, b| (&a.path, &a.name).cmp(&(&b.path, &b.name)));
    models
}

/// Gives each name to one model and marks the others. Given names come first, then models that are not broken, then
/// the order of paths.
fn by_name(models: &mut [Model]) -> BTreeMap<ModelName, usize> {
    let mut order: Vec<usize> = (0..models.len()).collect();
    order.sort_by_key(|&idx| (!models[idx].named, models[idx].broken().is_some(), idx));
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

/// The canonical folder that a place's links may not lead out of.
fn root(place: &Place) -> io::Result<PathBuf> {
    let path = place.path.canonicalize()?;
    if place.follow_links {
        return Ok(PathBuf::from("/"));
    }
    Ok(match path.parent() {
        Some(parent) if !path.is_dir() => parent.to_owned(),
        _ => path,
    })
}

fn derived_name(part: &Part) -> ModelName {
    match &part.name {
        Some(name) => ModelName::from_stem(&name.prefix),
        None => ModelName::from_stem(stem(&file_name(&part.path))),
    }
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
