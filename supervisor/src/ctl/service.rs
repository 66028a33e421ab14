//! `supervisorctl service`: the server as systemd or launchd runs it. One room for each of the two; here is what they
//! have in common.

mod description;
mod failure;
mod files;
mod install;
mod launchd;
mod manager;
mod status;
mod systemd;
mod uninstall;

use std::{path::PathBuf, process::ExitCode};

use clap::{Subcommand, ValueEnum};

pub(super) use self::failure::ServiceError;
use self::files::Text;
use super::{Server, failure::Failure};

/// What to do with the service.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Writes what the service manager needs and starts the server, now and whenever the machine starts; again after a
    /// change of gateway.listen or gateway.ollama_listen.
    Install(install::Arguments),
    /// Stops the server and removes what install wrote; models, keys and state stay.
    Uninstall(uninstall::Arguments),
    /// Shows whether the service is installed, enabled and running; exits with 3 unless it serves, with 4 where it is not
    /// installed.
    Status {
        #[command(flatten)]
        whose: Whose,
    },
}

/// Whose service is meant.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(super) struct Whose {
    /// The service of this user instead of that of the machine.
    #[arg(long)]
    user: bool,
}

/// Who runs the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// The machine, under a user of its own.
    System,
    /// The user's own service manager.
    User,
}

/// Programs that run services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Systemd,
    Launchd,
}

/// The files of a service: where they are, and what they say.
type Files = Vec<(PathBuf, Text)>;

impl Whose {
    fn scope(self) -> Scope {
        if self.user { Scope::User } else { Scope::System }
    }
}

impl Kind {
    /// Its name.
    fn name(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Launchd => "launchd",
        }
    }

    /// That of this machine.
    fn of_machine() -> Self {
        if cfg!(target_os = "macos") { Self::Launchd } else { Self::Systemd }
    }

    /// The service's main file, whose presence means that it is installed.
    fn main_file(self, scope: Scope) -> Result<PathBuf, ServiceError> {
        match self {
            Self::Systemd => Ok(systemd::folder(scope)?.join(systemd::SERVICE)),
            Self::Launchd => launchd::file(scope),
        }
    }

    /// The main file of a service that is there, be it a package's.
    fn found_file(self, scope: Scope) -> Result<PathBuf, ServiceError> {
        let main = self.main_file(scope)?;
        let packaged = systemd::packaged_folder(scope).join(systemd::SERVICE);
        let is_packaged = self == Self::Systemd && !main.exists() && packaged.exists();
        Ok(if is_packaged { packaged } else { main })
    }

    /// The configuration that an installed main file starts the server with; `None` for the one in its default place.
    fn configuration(self, text: &str) -> Option<PathBuf> {
        match self {
            Self::Systemd => systemd::configuration(text),
            Self::Launchd => launchd::configuration(text),
        }
    }

    /// The verbs' suffix that asks for the same service.
    fn option(scope: Scope) -> &'static str {
        if scope == Scope::User { " --user" } else { "" }
    }
}

pub(super) async fn run(server: &Server, verb: Verb) -> Result<ExitCode, Failure> {
    match verb {
        Verb::Install(arguments) => install::run(server, &arguments),
        Verb::Uninstall(arguments) => uninstall::run(&arguments),
        Verb::Status { whose } => status::run(whose.scope()).await,
    }
}
