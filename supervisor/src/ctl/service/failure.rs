//! What keeps a service from being installed, removed or shown.

use std::{io, net::SocketAddr, path::PathBuf};

use impetus_config::{ConfigError, Entrance};

use crate::{
    keys::{Exposed, KeyFileError},
    lock::LockError,
};

#[derive(Debug, thiserror::Error)]
pub(crate) enum ServiceError {
    #[error("{0}")]
    Config(#[from] ConfigError),
    #[error("{0}")]
    Keys(#[from] KeyFileError),
    #[error("{0}")]
    Exposed(#[from] Exposed),
    #[error("{0}")]
    Locked(#[from] LockError),
    #[error("cannot {what} {}: {source}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },
    #[error(
        "{} is there and was not written by `supervisorctl service install`; nothing has changed. Move the file away, and \
         put what it has of its own into a drop-in afterwards",
        path.display()
    )]
    Foreign { path: PathBuf },
    #[error("{} cannot stand in a file of a service: it has {what}; choose another place", path.display())]
    Path { path: PathBuf, what: &'static str },
    #[error("there is no program {}; install from a complete folder of programs, or name theirs by --programs", path.display())]
    NoProgram { path: PathBuf },
    #[error(
        "{setting} is not set in {}, and the service's user has no home folder for its default; add {setting} = {example:?} \
         there",
        config.display()
    )]
    NoFolder { setting: &'static str, example: &'static str, config: PathBuf },
    #[error("{} = {listen} leaves the port open; a service needs one that clients can know: set it", entrance.setting())]
    AnyPort { entrance: Entrance, listen: SocketAddr },
    #[error("a service of the machine is installed by root: use sudo, or --user for a service of this user")]
    NotRoot,
    #[error("on macOS the service belongs to a user: say --user")]
    NoDaemon,
    #[error("HOME is not set, so there is no place for a user's service")]
    NoHome,
    #[error(
        "{program} does not run services here ({answer}); --dry-run prints what would be written, --root DIR writes it \
         below a folder"
    )]
    NoManager { program: &'static str, answer: String },
    #[error("`{command}` failed: {answer}")]
    Manager { command: String, answer: String },
    #[error("--manager is for --root and --dry-run: this machine's own service manager is {0}")]
    OtherManager(&'static str),
    #[error(
        "nothing has been removed: what the configuration calls the state folder is not known: {0}; correct that, or \
         uninstall without --purge and remove the folder by hand"
    )]
    NoConfig(String),
    #[error(
        "nothing has been removed: {} has no lock of a supervisor, so it may be something else than a state folder; \
         uninstall without --purge, and remove it by hand",
        .0.display()
    )]
    NoState(PathBuf),
}
