//! `supervisorctl service install`

use std::{
    fmt::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use super::{
    Files, Kind, Scope, ServiceError, Whose,
    description::{Description, below},
    files, launchd, manager, systemd,
};
use crate::ctl::{Server, failure::Failure, print};

#[derive(Debug, clap::Args)]
pub(in crate::ctl) struct Arguments {
    #[command(flatten)]
    whose: Whose,
    /// Prints the files instead of writing them, and starts nothing.
    #[arg(long)]
    dry_run: bool,
    /// Writes the files of a package below this folder, and starts nothing.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The folder that the programs will be in. Default: where this program is.
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
    /// The service manager that files are written for, with --root and --dry-run. Default: this machine's.
    #[arg(long)]
    manager: Option<Kind>,
}

pub(super) fn run(server: &Server, arguments: &Arguments) -> Result<ExitCode, Failure> {
    print(&install(server, arguments)?)?;
    Ok(ExitCode::SUCCESS)
}

fn install(server: &Server, arguments: &Arguments) -> Result<String, ServiceError> {
    let scope = arguments.whose.scope();
    let is_for_elsewhere = arguments.dry_run || arguments.root.is_some();
    let kind = match arguments.manager {
        Some(kind) if !is_for_elsewhere && kind != Kind::of_machine() => {
            return Err(ServiceError::OtherManager(Kind::of_machine().name()));
        }
        chosen => chosen.unwrap_or_else(Kind::of_machine),
    };
    if !is_for_elsewhere && scope == Scope::System && !nix::unistd::geteuid().is_root() {
        return Err(ServiceError::NotRoot);
    }
    let root = arguments.root.as_deref();
    let programs = programs(arguments.programs.as_deref(), is_for_elsewhere)?;
    let service = Description::new(scope, programs, server.config.as_deref(), root)?;
    let files = of(kind, &service, root)?;
    if arguments.dry_run {
        return Ok(shown(&files));
    }
    files::check(&files)?;
    if root.is_some() {
        let written = files::write(&files)?;
        return Ok(told(&files, &written));
    }
    manager::check(kind, scope)?;
    if kind == Kind::Systemd {
        close_others(&service)?;
    }
    let written = files::write(&files)?;
    let main = kind.main_file(scope)?;
    manager::enable(kind, scope, &main)?;
    Ok(told(&files, &written) + &summary(kind, &service, written.contains(&main.as_path())))
}

/// Takes away the sockets of entrances that are configured no more.
fn close_others(service: &Description) -> Result<(), ServiceError> {
    let folder = systemd::folder(service.scope)?;
    for socket in systemd::sockets(service.scope)? {
        if !service.sockets().contains(&socket) {
            manager::close(service.scope, socket)?;
            files::remove(&folder.join(socket), &files::Text::Ours(String::new()))?;
        }
    }
    Ok(())
}

/// Everything that is to be written, below `root` where there is one.
fn of(kind: Kind, service: &Description, root: Option<&Path>) -> Result<Files, ServiceError> {
    let files = match (kind, root) {
        (Kind::Systemd, None) => systemd::files(service)?,
        (Kind::Systemd, Some(_)) => systemd::packaged(service)?,
        (Kind::Launchd, None) => launchd::files(service)?,
        (Kind::Launchd, Some(_)) => launchd::packaged(service)?,
    };
    Ok(files.into_iter().map(|(path, text)| (below(root, &path), text)).collect())
}

/// The folder of the programs, which are there unless they are to be elsewhere.
fn programs(named: Option<&Path>, is_for_elsewhere: bool) -> Result<PathBuf, ServiceError> {
    let find = |source| ServiceError::Io { what: "find", path: "supervisorctl".into(), source };
    let folder = if let Some(named) = named {
        std::path::absolute(named).map_err(find)?
    } else {
        let own = std::env::current_exe().map_err(find)?;
        own.parent().map(Path::to_path_buf).unwrap_or_default()
    };
    let missing = ["supervisor", "supervisorctl"].map(|name| folder.join(name));
    match missing.into_iter().find(|program| !program.is_file()) {
        Some(path) if !is_for_elsewhere => Err(ServiceError::NoProgram { path }),
        _ => Ok(folder),
    }
}

fn shown(files: &Files) -> String {
    let parts: Vec<String> =
        files.iter().map(|(path, text)| format!("==> {} <==\n{}", path.display(), text.as_str())).collect();
    parts.join("\n")
}

fn told(files: &Files, written: &[&Path]) -> String {
    let mut text = String::new();
    for (path, _) in files {
        let what = if written.contains(&path.as_path()) { "wrote" } else { "kept" };
        writeln!(text, "{what} {}", path.display()).expect("writing to a String cannot fail");
    }
    text
}

/// What whoever has installed it wants to know.
fn summary(kind: Kind, service: &Description, is_new: bool) -> String {
    let option = Kind::option(service.scope);
    let models: Vec<String> = service.models.iter().map(|path| path.display().to_string()).collect();
    let mut text = format!(
        "the service is enabled and listens on {}; `supervisorctl service status{option}` shows how it is\n\
         state: {}\nlogs: {}\n",
        service.places(),
        service.state_dir.display(),
        service.log_dir.display()
    );
    let mut line = |line: String| text.push_str(&(line + "\n"));
    if let Some(config) = &service.config {
        line(format!("configuration: {}", config.display()));
    }
    if !models.is_empty() {
        line(format!("models: {}", models.join(", ")));
    }
    line(format!("models that are pulled: {}", service.store.display()));
    if is_new {
        let command = manager::restart_command(kind, service.scope, &service.sockets());
        line(format!("a server that ran before goes on as it was until: {command}"));
    }
    if kind == Kind::Systemd && service.scope == Scope::User {
        line("it runs while you are logged in; for ever with: loginctl enable-linger".into());
    }
    let ignored = std::env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with("IMPETUS_"));
    if ignored {
        line(
            "settings in IMPETUS_ variables of this shell are not the service's: put them into its file"
                .into(),
        );
    }
    text
}
