//! What the files of a service are written from: a configuration as the service will read it, and where its programs are.

use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use impetus_config::{Config, Entrance, Loaded, Origin};

use super::{Scope, ServiceError};
use crate::keys::Keys;

/// Where the machine's service has its configuration unless it is named.
pub(super) const CONFIG: &str = "/etc/impetus/config.toml";

/// What a service of the machine keeps its state in, and its sockets, unless its configuration says otherwise.
pub(super) const STATE_DIR: &str = "/var/lib/impetus";
pub(super) const RUNTIME_DIR: &str = "/run/impetus";

/// Seconds beyond those that requests get to finish: processes are ended meanwhile.
const STOP_S: u64 = 15;

/// Places where people live.
const HOMES: [&str; 3] = ["/home", "/root", "/run/user"];

/// Variables that say where a user's files are, where they differ from the usual.
const VARIABLES: [&str; 2] = ["XDG_CONFIG_HOME", "XDG_STATE_HOME"];

/// A service to be.
#[derive(Debug, Clone)]
pub(super) struct Description {
    pub(super) scope: Scope,
    /// The folder of its programs.
    pub(super) programs: PathBuf,
    /// The configuration file that it is started with; `None` for the one in its default place.
    pub(super) config: Option<PathBuf>,
    /// Where it listens, at the server's own entrance first.
    pub(super) entrances: Vec<(Entrance, SocketAddr)>,
    pub(super) state_dir: PathBuf,
    pub(super) runtime_dir: PathBuf,
    pub(super) log_dir: PathBuf,
    /// Where its models are that are put there for it.
    pub(super) models: Vec<PathBuf>,
    /// Where it puts models itself.
    pub(super) store: PathBuf,
    /// Whether it reads anything in a home folder.
    pub(super) reads_homes: bool,
    /// Seconds that it may take to stop.
    pub(super) stop_s: u64,
    /// Variables that it needs to find the same places as whoever installs it.
    pub(super) environment: Vec<(&'static str, String)>,
}

impl Description {
    /// The service of the programs in `programs`, started with `config`. The configuration is read as the service will
    /// read it, without the environment of this process, and checked. That of the machine's service may have yet to be
    /// written, at its usual place below `root`.
    pub(super) fn new(
        scope: Scope,
        programs: PathBuf,
        config: Option<&Path>,
        root: Option<&Path>,
    ) -> Result<Self, ServiceError> {
        let is_absent = |path: &Path| matches!(below(root, path).try_exists(), Ok(false));
        let named = match (config, scope) {
            (Some(config), _) => Some(absolute(config)?),
            (None, Scope::System) => Some(PathBuf::from(CONFIG)),
            (None, Scope::User) => None,
        };
        let begins_config = config.is_none() && named.as_deref().is_some_and(is_absent);
        let loaded = match &named {
            Some(_) if begins_config => {
                // The settings that it will begin with.
                let sets = [
                    format!("supervisor.state_dir={STATE_DIR:?}"),
                    format!("supervisor.runtime_dir={RUNTIME_DIR:?}"),
                    format!("models.dirs=[{:?}]", format!("{STATE_DIR}/models")),
                ];
                impetus_config::load_for_service(Some(Path::new("/dev/null")), &sets)?
            }
            Some(path) if config.is_none() => {
                impetus_config::load_for_service(Some(&below(root, path)), &[])?
            }
            named => impetus_config::load_for_service(named.as_deref(), &[])?,
        };
        if let (Scope::System, Some(path)) = (scope, &named) {
            has_folders(&loaded, path)?;
        }
        let config = &loaded.config;
        if root.is_none() {
            Keys::load(&config.supervisor.state_dir)?.check_exposure(config)?;
        }
        let entrances: Vec<_> = config.gateway.entrances().collect();
        if let Some(&(entrance, listen)) = entrances.iter().find(|(_, listen)| listen.port() == 0) {
            return Err(ServiceError::AnyPort { entrance, listen });
        }
        let models = models(config);
        let mut read: Vec<&Path> = models.iter().map(PathBuf::as_path).chain([programs.as_path()]).collect();
        let (log_dir, store, tls) = (config.log_dir(), config.store_dir(), &config.gateway.tls);
        read.extend([&config.supervisor.state_dir, &log_dir, &store].map(PathBuf::as_path));
        read.extend(named.iter().chain(&tls.cert).chain(&tls.key).map(PathBuf::as_path));
        let reads_homes = read.iter().any(|path| HOMES.iter().any(|home| path.starts_with(home)));
        Ok(Self {
            scope,
            config: named,
            entrances,
            state_dir: config.supervisor.state_dir.clone(),
            runtime_dir: config.supervisor.runtime_dir.clone(),
            stop_s: config.supervisor.drain_timeout_s.saturating_add(STOP_S),
            reads_homes,
            programs,
            log_dir,
            models,
            store,
            environment: environment(scope),
        })
    }

    /// Where it listens, for people.
    pub(super) fn places(&self) -> String {
        let places: Vec<String> = self.entrances.iter().map(|(_, listen)| listen.to_string()).collect();
        places.join(" and ")
    }

    /// A program's path.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.programs.join(name)
    }
}

/// `path` as it is below another root.
pub(super) fn below(root: Option<&Path>, path: &Path) -> PathBuf {
    match root {
        Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
        None => path.into(),
    }
}

/// A service of the machine has no folders by default.
fn has_folders(loaded: &Loaded, config: &Path) -> Result<(), ServiceError> {
    let settings = [("supervisor.state_dir", STATE_DIR), ("supervisor.runtime_dir", RUNTIME_DIR)];
    for (setting, example) in settings {
        if loaded.origin(setting) == Origin::Default {
            return Err(ServiceError::NoFolder { setting, example, config: config.into() });
        }
    }
    Ok(())
}

/// The places of models that a configuration names.
pub(super) fn models(config: &Config) -> Vec<PathBuf> {
    let named = config.model.iter().filter_map(|entry| entry.path.clone());
    config.models.dirs.iter().cloned().chain(named).collect()
}

fn environment(scope: Scope) -> Vec<(&'static str, String)> {
    if scope == Scope::System {
        return Vec::new();
    }
    let set = |name: &'static str| Some((name, env::var(name).ok().filter(|value| !value.is_empty())?));
    VARIABLES.into_iter().filter_map(set).collect()
}

fn absolute(path: &Path) -> Result<PathBuf, ServiceError> {
    std::path::absolute(path).map_err(|source| ServiceError::Io { what: "find", path: path.into(), source })
}
