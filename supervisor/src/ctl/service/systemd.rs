//! systemd's units, and the user that a service of the machine has.

mod escape;

use std::{
    fmt::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use impetus_config::Entrance;

use self::escape::{argument, program, quoted, setting};
use super::{
    Files, Scope, ServiceError,
    description::{CONFIG, Description},
    files::Text,
};

pub(super) const SERVICE: &str = "impetus.service";

const SYSTEM: &str = include_str!("systemd/system.service");
const USER: &str = include_str!("systemd/user.service");
const ENTRANCE: &str = include_str!("systemd/entrance.socket");
const SYSUSERS: &str = include_str!("systemd/sysusers.conf");
const BEGINNING: &str = include_str!("systemd/config.toml");

/// What a unit's line of the configuration begins with.
const NOTE: &str = "# Configuration: ";
const DEFAULT_PLACE: &str = "the default place";

/// Where the definition of the service's user is.
pub(super) const SYSUSERS_FILE: &str = "/etc/sysusers.d/impetus.conf";

/// Where units are that somebody installs on this machine.
pub(super) fn folder(scope: Scope) -> Result<PathBuf, ServiceError> {
    match scope {
        Scope::System => Ok("/etc/systemd/system".into()),
        Scope::User => Ok(config_home()?.join("systemd/user")),
    }
}

/// Where packages have theirs.
pub(super) fn packaged_folder(scope: Scope) -> &'static Path {
    Path::new(match scope {
        Scope::System => "/usr/lib/systemd/system",
        Scope::User => "/usr/lib/systemd/user",
    })
}

/// The unit of an entrance's socket: a unit gives all of its sockets one name.
pub(super) fn socket(entrance: Entrance) -> &'static str {
    match entrance {
        Entrance::Gateway => "impetus.socket",
        Entrance::Ollama => "impetus-ollama.socket",
    }
}

/// The units of sockets that were installed.
pub(super) fn sockets(scope: Scope) -> Result<Vec<&'static str>, ServiceError> {
    let folder = folder(scope)?;
    Ok(Entrance::ALL.map(socket).into_iter().filter(|socket| folder.join(socket).exists()).collect())
}

/// Everything that a service needs on this machine.
pub(super) fn files(service: &Description) -> Result<Files, ServiceError> {
    let folder = folder(service.scope)?;
    let mut files = units(service, &folder)?;
    if service.scope == Scope::System {
        files.insert(0, (SYSUSERS_FILE.into(), Text::Ours(SYSUSERS.into())));
    }
    files.extend(begun(service));
    Ok(files)
}

/// The same for a package: where packages put theirs.
pub(super) fn packaged(service: &Description) -> Result<Files, ServiceError> {
    let mut files = units(service, packaged_folder(service.scope))?;
    if service.scope == Scope::System {
        files.insert(0, ("/usr/lib/sysusers.d/impetus.conf".into(), Text::Ours(SYSUSERS.into())));
    }
    files.extend(begun(service));
    Ok(files)
}

/// The configuration that a service of the machine begins with.
pub(super) fn beginning() -> (PathBuf, Text) {
    (CONFIG.into(), Text::Begun(BEGINNING.into()))
}

/// The configuration that is named in a unit.
pub(super) fn configuration(unit: &str) -> Option<PathBuf> {
    let noted = unit.lines().find_map(|line| line.strip_prefix(NOTE))?;
    (noted != DEFAULT_PLACE).then(|| noted.into())
}

fn begun(service: &Description) -> Option<(PathBuf, Text)> {
    let is_usual = service.config.as_deref() == Some(Path::new(CONFIG));
    (service.scope == Scope::System && is_usual).then(beginning)
}

fn units(service: &Description, folder: &Path) -> Result<Files, ServiceError> {
    let unit = match service.scope {
        Scope::System => system(service)?,
        Scope::User => user(service)?,
    };
    let socket = |&(entrance, listen): &(Entrance, SocketAddr)| {
        let text = ENTRANCE
            .replace("@FOR@", whom(entrance))
            .replace("@SETTING@", entrance.setting())
            .replace("@LISTEN@", &listen.to_string())
            .replace("@NAME@", entrance.name());
        (folder.join(self::socket(entrance)), Text::Ours(text))
    };
    let mut files: Files = service.entrances.iter().map(socket).collect();
    files.push((folder.join(SERVICE), Text::Ours(unit)));
    Ok(files)
}

impl Description {
    /// The units of its sockets.
    pub(super) fn sockets(&self) -> Vec<&'static str> {
        self.entrances.iter().map(|(entrance, _)| socket(*entrance)).collect()
    }
}

fn system(service: &Description) -> Result<String, ServiceError> {
    let config = service.config.as_deref().unwrap_or(Path::new(CONFIG));
    let homes = if service.reads_homes { "read-only" } else { "yes" };
    Ok(common(SYSTEM, service)?
        .replace("@CONFIG@", &argument(config)?)
        .replace("@FOLDERS@", &folders(service)?)
        .replace("@PROTECT_HOME@", homes))
}

fn user(service: &Description) -> Result<String, ServiceError> {
    let arguments = match &service.config {
        Some(config) => format!(" \"--config\" {}", argument(config)?),
        None => String::new(),
    };
    let mut environment = String::new();
    for (name, value) in &service.environment {
        let set = quoted(Path::new(&format!("{name}={value}")))?;
        writeln!(environment, "Environment={set}").expect("writing to a String cannot fail");
    }
    Ok(common(USER, service)?.replace("@ARGUMENTS@", &arguments).replace("@ENVIRONMENT@", &environment))
}

fn common(template: &str, service: &Description) -> Result<String, ServiceError> {
    let note = match &service.config {
        Some(config) => setting(config)?.to_owned(),
        None => DEFAULT_PLACE.to_owned(),
    };
    Ok(template
        .replace("@CONFIG_NOTE@", &note)
        .replace("@SUPERVISOR@", &program(&service.program("supervisor"))?)
        .replace("@SUPERVISORCTL@", &program(&service.program("supervisorctl"))?)
        .replace("@SOCKETS@", &service.sockets().join(" "))
        .replace("@STOP_S@", &service.stop_s.to_string()))
}

/// Whom an entrance is for, where it is not for everybody.
fn whom(entrance: Entrance) -> &'static str {
    match entrance {
        Entrance::Gateway => "",
        Entrance::Ollama => " for Ollama's clients",
    }
}

/// The folders that the service writes to: systemd makes those that lie where it has a place for them.
fn folders(service: &Description) -> Result<String, ServiceError> {
    let mut lines = String::new();
    let mut add = |kind: &str, base: &str, path: &Path| -> Result<(), ServiceError> {
        let line = match managed(base, path) {
            Some(name) if kind == "State" => {
                let inner = service.models.iter().filter(|models| models.starts_with(path));
                let names: Vec<&str> =
                    std::iter::once(name).chain(inner.filter_map(|models| managed(base, models))).collect();
                format!("StateDirectory={}\nStateDirectoryMode=0700\n", names.join(" "))
            }
            // Beside the state: both are of one mode.
            Some(name) if kind == "Store" => format!("StateDirectory={name}\nStateDirectoryMode=0700\n"),
            Some(name) => format!("{kind}Directory={name}\n{kind}DirectoryMode=0700\n"),
            // Others have to be there, and the service's own.
            None => format!("ReadWritePaths=\"-{}\n", quoted(path)?.trim_start_matches('"')),
        };
        lines.push_str(&line);
        Ok(())
    };
    add("State", "/var/lib", &service.state_dir)?;
    add("Runtime", "/run", &service.runtime_dir)?;
    if !service.log_dir.starts_with(&service.state_dir) {
        add("Logs", "/var/log", &service.log_dir)?;
    }
    if !service.store.starts_with(&service.state_dir) {
        add("Store", "/var/lib", &service.store)?;
    }
    lines.push_str("WorkingDirectory=/");
    Ok(lines)
}

/// The part of `path` below `base`, if that needs no escaping.
fn managed<'p>(base: &str, path: &'p Path) -> Option<&'p str> {
    let name = path.strip_prefix(base).ok()?.to_str()?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    (!name.is_empty() && !name.starts_with('.') && name.chars().all(is_plain)).then_some(name)
}

fn config_home() -> Result<PathBuf, ServiceError> {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    folder("XDG_CONFIG_HOME").or_else(|| Some(folder("HOME")?.join(".config"))).ok_or(ServiceError::NoHome)
}

#[cfg(test)]
mod tests;
