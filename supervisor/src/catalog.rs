//! Which models there are, by what names, and what a worker is told about each: the scan of `impetus-models`
//! joined with the configuration.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use impetus_config::{Config, ModelEntry, WorkerConfig};
use impetus_models::{Catalog, FormatPattern, Model, ModelName, NameError, Place};
use impetus_proto::{Code, Error, launch::WorkerSpec};
use tokio::{sync::Mutex, time::Instant};

use crate::{budget::Memory, fleet::Manifest};

/// The model that is the default when there are several and none is configured.
const BUNDLED: &str = "impetus-tiny";

/// How long a scan counts as fresh.
const FRESH: Duration = Duration::from_secs(1);

/// The models of this server.
#[derive(Debug)]
pub struct Library {
    default: Option<String>,
    workers: BTreeMap<String, WorkerConfig>,
    entries: BTreeMap<String, ModelEntry>,
    aliases: BTreeMap<String, String>,
    places: Vec<Place>,
    patterns: Vec<FormatPattern>,
    catalog: RwLock<Arc<Catalog>>,
    /// When the last scan ended; held during one.
    scanned: Mutex<Option<Instant>>,
}

/// A `[[model]]` whose name cannot be one.
#[derive(Debug, thiserror::Error)]
#[error("[[model]] name = {name:?}: {source}")]
pub struct EntryError {
    name: String,
    source: NameError,
}

impl Library {
    /// The models that `config` names and those in `bundled`. Nothing is looked at before [`Library::scan`].
    pub fn new(config: &Config, bundled: Option<PathBuf>) -> Result<Self, EntryError> {
        let follow_links = config.models.follow_links;
        let dirs = config.models.dirs.iter().cloned().chain(bundled);
        let folders = dirs.map(|path| Place { path, name: None, follow_links });
        let mut places: Vec<Place> = Vec::new();
        for entry in &config.model {
            let name = ModelName::new(&entry.name)
                .map_err(|source| EntryError { name: entry.name.clone(), source })?;
            let place = |path| Place { path, name: Some(name), follow_links };
            places.extend(entry.path.clone().map(place));
        }
        places.extend(folders);
        let patterns = config.workers.iter().map(|(format, worker)| FormatPattern {
            format: format.clone(),
            patterns: worker.patterns.clone(),
        });
        let aliases = config
            .model
            .iter()
            .flat_map(|entry| entry.aliases.iter().map(|alias| (alias.clone(), entry.name.clone())));
        Ok(Self {
            default: config.models.default.clone(),
            workers: config.workers.clone(),
            entries: config.model.iter().map(|entry| (entry.name.clone(), entry.clone())).collect(),
            aliases: aliases.collect(),
            places,
            patterns: patterns.collect(),
            catalog: RwLock::default(),
            scanned: Mutex::new(None),
        })
    }

    /// Looks at the disk again, unless that was done just now.
    pub async fn scan(self: &Arc<Self>) {
        let mut scanned = self.scanned.lock().await;
        if scanned.is_some_and(|time| time.elapsed() < FRESH) {
            return;
        }
        let library = self.clone();
        let scan = move || library.catalog().rescan(&library.places, &library.patterns);
        match tokio::task::spawn_blocking(scan).await {
            Ok(catalog) => *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalog),
            Err(error) => tracing::error!(%error, "model folders could not be searched"),
        }
        *scanned = Some(Instant::now());
    }

    /// What the last scan found.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The model that a client means by `name` (a name, an alias, or nothing for the default), looking at the disk
    /// again when it is not known.
    pub async fn find(self: &Arc<Self>, name: &str) -> Result<Arc<Manifest>, Error> {
        match self.lookup(name) {
            Err(error) if matches!(error.code(), Code::ModelNotFound | Code::ModelLoadFailed) => {
                self.scan().await;
                self.lookup(name)
            }
            found => found,
        }
    }

    /// The model's own name for `name`, which may be an alias.
    pub fn canonical<'a>(&'a self, name: &'a str) -> &'a str {
        self.aliases.get(name).map_or(name, String::as_str)
    }

    /// The further names of a model.
    pub fn aliases_of(&self, model: &str) -> Vec<String> {
        self.entries.get(model).map(|entry| entry.aliases.clone()).unwrap_or_default()
    }

    /// The model for requests that name none.
    pub fn default_model(&self) -> Option<String> {
        if let Some(name) = &self.default {
            return Some(self.canonical(name).to_owned());
        }
        let catalog = self.catalog();
        let servable: Vec<&str> = catalog
            .models()
            .iter()
            .filter(|model| model.is_servable())
            .map(|model| model.name.as_str())
            .collect();
        match servable.as_slice() {
            [only] => Some((*only).to_owned()),
            several => several.iter().find(|name| **name == BUNDLED).map(ToString::to_string),
        }
    }

    /// Names of the models that are loaded at start.
    pub fn preloads(&self) -> impl Iterator<Item = &str> {
        self.entries.values().filter(|entry| entry.preload).map(|entry| entry.name.as_str())
    }

    /// Tokens of context that a slot gets for this model; 0 when only its worker knows.
    pub fn context_tokens(&self, model: &Model) -> u32 {
        let configured = self.spec(model).context_tokens;
        let trained = model.metadata().map(|metadata| metadata.context_tokens).unwrap_or_default();
        if configured == 0 { trained } else { configured }
    }

    fn lookup(&self, name: &str) -> Result<Arc<Manifest>, Error> {
        let default;
        let name = if name.is_empty() {
            default = self.default_model().ok_or_else(|| {
                Error::invalid(
                    "model",
                    "no model is named and there is no default; set models.default, or name one",
                )
            })?;
            default.as_str()
        } else {
            name
        };
        let catalog = self.catalog();
        let found = catalog.find(name).or_else(|| catalog.find(self.canonical(name)));
        let model = found.ok_or_else(|| not_found(name))?;
        if let Some(broken) = model.broken() {
            return Err(Error::new(
                Code::ModelLoadFailed,
                format!("{} cannot be loaded: {broken}", model.name),
            ));
        }
        Ok(Arc::new(self.manifest(model)))
    }

    fn manifest(&self, model: &Model) -> Manifest {
        let entry = self.entries.get(model.name.as_str());
        Manifest {
            spec: self.spec(model),
            format: model.format.clone(),
            pin: entry.is_some_and(|entry| entry.pin),
            ttl: entry.and_then(|entry| entry.ttl).filter(|seconds| *seconds > 0).map(Duration::from_secs),
            modified: model.modified,
            size_bytes: model.size_bytes,
            footprint: Memory::ram(model.size_bytes),
            fixed: entry.and_then(|entry| entry.memory).map(|size| Memory::ram(size.0)),
        }
    }

    fn spec(&self, model: &Model) -> WorkerSpec {
        let worker = self.workers.get(&model.format).cloned().unwrap_or_default();
        let entry = self.entries.get(model.name.as_str());
        WorkerSpec {
            model: model.name.to_string(),
            path: model.path.to_string_lossy().into_owned(),
            root: model.root.to_string_lossy().into_owned(),
            socket: String::new(),
            slots: entry.and_then(|entry| entry.slots).unwrap_or(worker.slots),
            context_tokens: entry.and_then(|entry| entry.context).unwrap_or(worker.context),
            threads: worker.threads,
            options: worker
                .options
                .into_iter()
                .chain(entry.map(|entry| entry.options.clone()).unwrap_or_default())
                .collect(),
        }
    }
}

fn not_found(name: &str) -> Error {
    let message = format!("there is no model {name:?}; `supervisorctl models` lists those there are");
    Error::new(Code::ModelNotFound, message).with_param("model")
}

#[cfg(test)]
mod tests;
