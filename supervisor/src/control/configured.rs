//! The configuration in force, and who may change it.

use std::{path::Path, sync::Arc};

use impetus_config::{Config, ConfigError, Loaded, starts_only};
use impetus_proto::{Code, Error};
use tokio::{
    sync::{Mutex, MutexGuard, watch},
    task::{JoinHandle, spawn_blocking},
};

use crate::{
    aliases::AliasFile, keys::Keys, places::Places, prefixes::PrefixFiles, settings, worker::Timeouts,
};

/// What the server runs with.
#[derive(Debug)]
pub struct Configured {
    /// What was read last. Held by whoever changes something that lasts, so that there is one change at a time.
    loaded: Mutex<Loaded>,
    /// What was read at the start.
    first: Loaded,
    in_force: watch::Sender<Arc<Config>>,
    timeouts: watch::Sender<Timeouts>,
    /// Where things are, which stays.
    pub places: Places,
    /// Where swapped aliases are kept.
    pub aliases: AliasFile,
    /// The keys that open the server.
    pub keys: Keys,
    /// The files of kept prefixes.
    pub prefixes: PrefixFiles,
}

/// What reading the configuration again has brought.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) loaded: Loaded,
    /// All of it that can be in force without a restart.
    pub(super) config: Arc<Config>,
    pub(super) changed: Vec<String>,
    pub(super) needs_restart: Vec<String>,
}

impl Configured {
    /// `loaded` is in force from the start.
    pub fn new(loaded: Loaded, places: Places, keys: Keys) -> Self {
        let in_force = watch::Sender::new(Arc::new(loaded.config.clone()));
        Self {
            prefixes: PrefixFiles::new(&places.state_dir, in_force.subscribe()),
            in_force,
            timeouts: watch::Sender::new(settings::timeouts(&loaded.config)),
            loaded: Mutex::new(loaded.clone()),
            first: loaded,
            aliases: AliasFile::new(&places.state_dir),
            places,
            keys,
        }
    }

    /// The configuration that is in force, now and later.
    pub fn watch(&self) -> watch::Receiver<Arc<Config>> {
        self.in_force.subscribe()
    }

    /// The patience with workers that is in force, now and later.
    pub fn timeouts(&self) -> watch::Receiver<Timeouts> {
        self.timeouts.subscribe()
    }

    /// The configuration that is in force now.
    pub fn now(&self) -> Arc<Config> {
        self.in_force.borrow().clone()
    }

    /// How much is logged unless somebody says otherwise.
    pub(super) fn first_log_level(&self) -> String {
        self.first.config.log.level.clone()
    }

    pub(super) fn set(&self, config: Arc<Config>) {
        self.timeouts.send_replace(settings::timeouts(&config));
        self.in_force.send_replace(config);
    }

    /// Waits for one's turn to change something that lasts. Turns are in the order in which they were asked for.
    pub(super) async fn turn(&self) -> MutexGuard<'_, Loaded> {
        self.loaded.lock().await
    }

    /// Reads the sources of `former` again, and tells what is new.
    pub(super) async fn read_again(&self, former: &Loaded) -> Result<Change, Error> {
        let sources = former.clone();
        let loaded =
            carried_through(spawn_blocking(move || sources.again().map_err(|error| refused(&error)))).await?;
        self.change(former, loaded)
    }

    /// What is new in `loaded`.
    pub(super) fn change(&self, former: &Loaded, loaded: Loaded) -> Result<Change, Error> {
        let is_late = |key: &String| starts_only(key);
        let config = Arc::new(self.without_late_settings(&loaded.config));
        // The configuration may move both, and only one of them moves now.
        if let Some(dir) = config.dir_with_store() {
            return Err(Error::new(Code::InvalidRequest, store_is_there(&config, dir)));
        }
        Ok(Change {
            changed: loaded.changes_from(former).into_iter().filter(|key| !is_late(key)).collect(),
            needs_restart: loaded.changes_from(&self.first).into_iter().filter(is_late).collect(),
            config,
            loaded,
        })
    }

    /// `config` with what only a start takes note of as it was then.
    fn without_late_settings(&self, config: &Config) -> Config {
        let first = &self.first.config;
        let mut config = Config { log: first.log.clone(), ..config.clone() };
        config.supervisor.runtime_dir.clone_from(&first.supervisor.runtime_dir);
        config.supervisor.state_dir.clone_from(&first.supervisor.state_dir);
        config.supervisor.orphan_grace_s = first.supervisor.orphan_grace_s;
        config.models.store.clone_from(&first.models.store);
        config.budget.cgroups = first.budget.cgroups;
        config
    }
}

/// The outcome of a task that goes on when nobody waits for it any more: what was begun is carried through.
pub(super) async fn carried_through<T>(task: JoinHandle<Result<T, Error>>) -> Result<T, Error> {
    task.await.unwrap_or_else(|error| {
        Err(Error::new(Code::Internal, format!("it could not be carried through: {error}; look at the log")))
    })
}

fn store_is_there(config: &Config, dir: &Path) -> String {
    format!(
        "nothing has changed: models.dirs names {}, and the models of the store are in {} until the server is started \
         again with another models.store; start it again, or leave that folder out",
        dir.display(),
        config.store_dir().display()
    )
}

fn refused(error: &ConfigError) -> Error {
    Error::new(Code::InvalidRequest, format!("nothing has changed: {error}"))
}
