//! `supervisorctl service uninstall`

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{
    Files, Kind, Scope, ServiceError, Whose,
    description::{CONFIG, models},
    files,
    files::Text,
    launchd, manager, systemd,
};
use crate::{
    ctl::{failure::Failure, print},
    lock::FolderLock,
};

#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Arguments {
    #[command(flatten)]
    whose: Whose,
    /// Removes the state folder as well: keys, stored responses, what is kept of prompts, logs, and models in it; and the
    /// machine's configuration.
    #[arg(long)]
    purge: bool,
}

/// What a service leaves behind.
struct Left {
    state_dir: PathBuf,
    log_dir: PathBuf,
    models: Vec<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<ExitCode, Failure> {
    let (kind, scope) = (Kind::of_machine(), arguments.whose.scope());
    let main = kind.main_file(scope)?;
    let Some(text) = files::read(&main)? else {
        print(&format!("there is no service: {} is not there\n", main.display()))?;
        return Ok(ExitCode::SUCCESS);
    };
    if !files::is_ours(&text) {
        return Err(ServiceError::Foreign { path: main }.into());
    }
    // Before the files go that say where it is.
    let left = Left::of(kind.configuration(&text).as_deref());
    let purged = match &left {
        Ok(left) if arguments.purge => {
            left.check()?;
            Some(left)
        }
        Err(error) if arguments.purge => return Err(ServiceError::NoConfig(error.to_string()).into()),
        _ => None,
    };
    manager::check(kind, scope)?;
    manager::disable(kind, scope)?;
    let mut told = Vec::new();
    // The main file stays until that is done, so that it can be tried again.
    if let Some(left) = purged {
        left.purge(&mut told)?;
    }
    for (path, text) in written(kind, scope)? {
        if files::remove(&path, &text)? {
            told.push(format!("removed {}", path.display()));
        }
    }
    manager::forget(kind, scope)?;
    match left {
        Ok(left) => left.tell(&mut told),
        Err(error) => {
            told.push(format!("its state is where its configuration said, which cannot be read: {error}"));
        }
    }
    if scope == Scope::System {
        let config = Path::new(CONFIG);
        if arguments.purge && config.exists() {
            remove(config, &mut told)?;
        } else if config.exists() {
            told.push(format!("the configuration stays in {CONFIG}"));
        }
        told.push("the user impetus stays; `userdel impetus` removes it".into());
    }
    print(&(told.join("\n") + "\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// What install may have written, the main file last, so that what was interrupted can be done again.
fn written(kind: Kind, scope: Scope) -> Result<Files, ServiceError> {
    let ours = |path| (path, Text::Ours(String::new()));
    let mut files = match kind {
        Kind::Systemd => {
            let folder = systemd::folder(scope)?;
            let sockets = systemd::sockets(scope)?.into_iter();
            sockets.chain([systemd::SERVICE]).map(|unit| ours(folder.join(unit))).collect()
        }
        Kind::Launchd => vec![ours(launchd::file(scope)?)],
    };
    if (kind, scope) == (Kind::Systemd, Scope::System) {
        files.splice(0..0, [ours(systemd::SYSUSERS_FILE.into()), systemd::beginning()]);
    }
    Ok(files)
}

impl Left {
    /// What the service with this configuration leaves.
    fn of(config: Option<&Path>) -> Result<Self, ServiceError> {
        let config = impetus_config::load_for_service(config, &[])?.config;
        let (log_dir, mut models) = (config.log_dir(), models(&config));
        models.push(config.store_dir());
        Ok(Self { state_dir: config.supervisor.state_dir, log_dir, models })
    }

    fn tell(&self, told: &mut Vec<String>) {
        if self.state_dir.exists() {
            told.push(format!("state, keys and stored responses stay in {}", self.state_dir.display()));
        }
        if self.log_dir.exists() && !self.log_dir.starts_with(&self.state_dir) {
            told.push(format!("logs stay in {}", self.log_dir.display()));
        }
        let models = self.models.iter().filter(|path| path.exists());
        told.extend(models.map(|path| format!("models stay in {}", path.display())));
    }

    /// Refuses a state folder that may be something else.
    fn check(&self) -> Result<(), ServiceError> {
        let dir = &self.state_dir;
        if dir.exists() && !dir.join("lock").is_file() {
            return Err(ServiceError::NoState(dir.clone()));
        }
        Ok(())
    }

    /// Removes the state folder, if it is one that nobody uses.
    fn purge(&self, told: &mut Vec<String>) -> Result<(), ServiceError> {
        if !self.state_dir.exists() {
            return Ok(());
        }
        let _lock = FolderLock::take(&self.state_dir, "lock", "supervisor.state_dir")?;
        remove(&self.state_dir, told)
    }
}

fn remove(path: &Path, told: &mut Vec<String>) -> Result<(), ServiceError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.map_err(|source| ServiceError::Io { what: "remove", path: path.into(), source })?;
    told.push(format!("removed {}", path.display()));
    Ok(())
}
