//! Which models there are, by what names, and what a worker is told about each: the scan of `impetus-models`
//! joined with the configuration.

mod draft;
mod footprint;
mod hold;
mod names;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use impetus_config::Config;
use impetus_models::{Catalog, Model, NameError, Place};
use impetus_proto::{Code, Error};
use tokio::{
    sync::{Mutex, watch},
    time::Instant,
};

pub(crate) use footprint::held;
pub use hold::Held;
pub use names::Names;

use crate::{aliases::Aliases, fleet::Manifest};

/// How long a scan counts as fresh.
const FRESH: Duration = Duration::from_secs(1);

/// The models of this server.
#[derive(Debug)]
pub struct Library {
    bundled: Option<PathBuf>,
    names: RwLock<Arc<Names>>,
    /// Where models of the store are.
    stored: RwLock<Vec<Place>>,
    catalog: RwLock<Arc<Catalog>>,
    /// When the last scan ended; held during one.
    scanned: Mutex<Option<Instant>>,
    /// Names that nothing is found by for the moment, and how often each is held.
    held: watch::Sender<BTreeMap<String, usize>>,
    /// Told when a name may mean something else than before.
    meanings: watch::Sender<()>,
}

/// A `[[model]]` whose name cannot be one.
#[derive(Debug, thiserror::Error)]
#[error("[[model]] name = {name:?}: {source}")]
pub struct EntryError {
    name: String,
    source: NameError,
}

impl Library {
    /// The models that `config` names and those in `bundled`, with the swaps that still hold. Nothing is looked at
    /// before [`Library::scan`].
    pub fn new(config: &Config, bundled: Option<PathBuf>, swapped: Aliases) -> Result<Self, EntryError> {
        let names = Names::new(config, bundled.clone(), swapped)?;
        Ok(Self {
            bundled,
            names: RwLock::new(Arc::new(names)),
            stored: RwLock::default(),
            catalog: RwLock::default(),
            scanned: Mutex::new(None),
            held: watch::Sender::default(),
            meanings: watch::Sender::default(),
        })
    }

    /// Names and settings as `config` has them, with the swaps of now that still hold.
    pub fn names_of(&self, config: &Config) -> Result<Names, EntryError> {
        Names::new(config, self.bundled.clone(), self.names().swapped().clone())
    }

    /// Names and settings as they are.
    pub fn names(&self) -> Arc<Names> {
        self.names.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Goes on with other names and settings; what lies elsewhere is found by the next scan.
    pub fn set_names(&self, names: Arc<Names>) {
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = names;
        self.meanings.send_replace(());
    }

    /// Goes on with these models of the store.
    pub async fn set_stored(self: &Arc<Self>, places: Vec<Place>) {
        *self.stored.write().unwrap_or_else(PoisonError::into_inner) = places;
        self.rescan().await;
    }

    /// Looks at the disk again, unless that was done just now.
    pub async fn scan(self: &Arc<Self>) {
        let scanned = self.scanned.lock().await;
        if scanned.is_none_or(|time| time.elapsed() >= FRESH) {
            self.look(scanned).await;
        }
    }

    /// Looks at the disk again.
    pub async fn rescan(self: &Arc<Self>) {
        self.look(self.scanned.lock().await).await;
    }

    async fn look(self: &Arc<Self>, mut scanned: tokio::sync::MutexGuard<'_, Option<Instant>>) {
        let (catalog, names) = (self.catalog(), self.names());
        let stored = self.stored.read().unwrap_or_else(PoisonError::into_inner).clone();
        let scan = move || {
            let places: Vec<Place> = names.all_places().chain(stored).collect();
            catalog.rescan(&places, &names.patterns)
        };
        match tokio::task::spawn_blocking(scan).await {
            Ok(catalog) => *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(catalog),
            Err(error) => tracing::error!(%error, "model folders could not be searched"),
        }
        *scanned = Some(Instant::now());
        self.meanings.send_replace(());
    }

    /// What the last scan found.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The model that a client means by `name` (a name, an alias, or nothing for the default), looking at the disk
    /// again when it is not known. Waits while the name is held.
    pub async fn find(self: &Arc<Self>, name: &str) -> Result<Arc<Manifest>, Error> {
        self.released(name).await;
        self.find_now(name).await
    }

    /// The same, for whoever holds the name.
    pub async fn find_now(self: &Arc<Self>, name: &str) -> Result<Arc<Manifest>, Error> {
        match self.lookup(name) {
            Err(error) if matches!(error.code(), Code::ModelNotFound | Code::ModelLoadFailed) => {
                self.scan().await;
                self.lookup(name)
            }
            found => found,
        }
    }

    /// The model that `name` means as far as the last scan knows.
    pub fn lookup(&self, name: &str) -> Result<Arc<Manifest>, Error> {
        let (names, catalog) = (self.names(), self.catalog());
        let default;
        let name = if name.is_empty() {
            default = names.default_model(&catalog).ok_or_else(|| {
                Error::invalid(
                    "model",
                    "no model is named and there is no default; set models.default, or name one",
                )
            })?;
            default.as_str()
        } else {
            name
        };
        let found = catalog.find(name).or_else(|| catalog.find(names.canonical(name)));
        let model = found.ok_or_else(|| not_found(name))?;
        if let Some(broken) = model.broken() {
            return Err(Error::new(
                Code::ModelLoadFailed,
                format!("{} cannot be loaded: {broken}", model.name),
            ));
        }
        Ok(Arc::new(names.manifest(model, names.draft(model, &catalog)?)))
    }

    /// Changes when a name may mean something else than before.
    pub fn meanings(&self) -> watch::Receiver<()> {
        self.meanings.subscribe()
    }

    /// Whether a client that says `name` now gets `model` for it, and at once.
    pub fn means(&self, name: &str, model: &str) -> bool {
        let is_held = self.is_held(&self.held.borrow(), name);
        !is_held && self.lookup(name).is_ok_and(|manifest| manifest.spec.model == model)
    }

    /// The model's own name for `name`, which may be an alias.
    pub fn canonical(&self, name: &str) -> String {
        self.names().canonical(name).to_owned()
    }

    /// The further names of a model.
    pub fn aliases_of(&self, model: &str) -> Vec<String> {
        self.names().aliases_of(model)
    }

    /// Whether the model is to be up whoever asks for it, or a name besides its own and `except` means it.
    pub fn is_wanted(&self, model: &str, except: Option<&str>) -> bool {
        let names = self.names();
        let is_default = || match names.default_name() {
            Some(name) => Some(name) != except && names.canonical(name) == model,
            None => self.default_model().as_deref() == Some(model),
        };
        let has_alias = || names.aliases_of(model).iter().any(|alias| Some(alias.as_str()) != except);
        names.is_kept(model) || is_default() || has_alias()
    }

    /// The model for requests that name none.
    pub fn default_model(&self) -> Option<String> {
        self.names().default_model(&self.catalog())
    }

    /// Names of the models that are loaded at start.
    pub fn preloads(&self) -> Vec<String> {
        self.names().preloads().map(str::to_owned).collect()
    }

    /// Tokens of context that a slot gets for this model; 0 when only its worker knows.
    pub fn context_tokens(&self, model: &Model) -> u32 {
        let configured = self.names().spec(model).context_tokens;
        let trained = model.metadata().map(|metadata| metadata.context_tokens).unwrap_or_default();
        if configured == 0 { trained } else { configured }
    }
}

fn not_found(name: &str) -> Error {
    let message = format!("there is no model {name:?}; `supervisorctl models` lists those there are");
    Error::new(Code::ModelNotFound, message).with_param("model")
}

#[cfg(test)]
mod tests;
