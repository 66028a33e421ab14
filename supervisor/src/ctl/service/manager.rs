//! The programs that speak to systemd and launchd.

use std::{ffi::OsStr, path::Path};

use super::{Kind, Scope, ServiceError, launchd, systemd};

/// What a program answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) is_ok: bool,
    /// Its output, or what it said of its failure.
    pub(super) text: String,
}

/// The service as its manager has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Whether it is started with the machine, or with its user's session.
    pub(super) enabled: String,
    /// Whether it runs.
    pub(super) active: String,
}

/// Fails unless the service manager runs.
pub(super) fn check(kind: Kind, scope: Scope) -> Result<(), ServiceError> {
    match kind {
        Kind::Systemd => {
            let answer = systemctl(scope, &["is-system-running"])?;
            // It fails where some unit has failed, too.
            let runs = ["initializing", "starting", "running", "degraded", "maintenance"];
            if runs.contains(&answer.text.as_str()) {
                return Ok(());
            }
            Err(ServiceError::NoManager { program: "systemd", answer: answer.text })
        }
        Kind::Launchd => {
            let answer = command("launchctl", &["print", &domain()])?;
            if answer.is_ok {
                return Ok(());
            }
            Err(ServiceError::NoManager { program: "launchd", answer: answer.text })
        }
    }
}

/// Has what was written taken up, and the service started now and from now on; one that runs goes on as it is. `main` is
/// its main file.
pub(super) fn enable(kind: Kind, scope: Scope, main: &Path) -> Result<(), ServiceError> {
    match kind {
        Kind::Systemd => {
            if scope == Scope::System {
                must("systemd-sysusers", &[OsStr::new(systemd::SYSUSERS_FILE)])?;
            }
            must_systemctl(scope, &["daemon-reload"])?;
            // No socket can be opened for a service that runs.
            let runs = systemctl(scope, &["is-active", systemd::SERVICE])?.text == "active";
            let verb = if runs { &["enable"][..] } else { &["enable", "--now"] };
            must_systemctl(scope, &[verb, &units(scope)?].concat())
        }
        Kind::Launchd => {
            // One that is loaded already is loaded anew; that none is, is no failure.
            command("launchctl", &["bootout", &target()])?;
            must("launchctl", &[OsStr::new("bootstrap"), OsStr::new(&domain()), main.as_os_str()])
        }
    }
}

/// Has the service stopped, and not started any more.
pub(super) fn disable(kind: Kind, scope: Scope) -> Result<(), ServiceError> {
    match kind {
        Kind::Systemd => must_systemctl(scope, &[&["disable", "--now"], &*units(scope)?].concat()),
        // That it is not loaded is no failure.
        Kind::Launchd => command("launchctl", &["bootout", &target()]).map(|_| ()),
    }
}

/// Has a socket closed, and not opened any more.
pub(super) fn close(scope: Scope, socket: &str) -> Result<(), ServiceError> {
    must_systemctl(scope, &["disable", "--now", socket])
}

/// Has it noticed that files were removed.
pub(super) fn forget(kind: Kind, scope: Scope) -> Result<(), ServiceError> {
    match kind {
        Kind::Systemd => must_systemctl(scope, &["daemon-reload"]),
        Kind::Launchd => Ok(()),
    }
}

pub(super) fn standing(kind: Kind, scope: Scope) -> Result<Standing, ServiceError> {
    match kind {
        Kind::Systemd => Ok(Standing {
            enabled: systemctl(scope, &["is-enabled", systemd::SERVICE])?.text,
            active: systemctl(scope, &["is-active", systemd::SERVICE])?.text,
        }),
        Kind::Launchd => {
            let answer = command("launchctl", &["print", &target()])?;
            let enabled = if answer.is_ok { "loaded" } else { "not loaded" }.to_owned();
            let state = answer.text.lines().find_map(|line| line.trim().strip_prefix("state = "));
            Ok(Standing { enabled, active: state.unwrap_or("not running").to_owned() })
        }
    }
}

/// How a person has the service started anew.
pub(super) fn restart_command(kind: Kind, scope: Scope, sockets: &[&str]) -> String {
    match kind {
        Kind::Systemd => {
            [&["systemctl"], of(scope), &["restart"], sockets, &[systemd::SERVICE]].concat().join(" ")
        }
        Kind::Launchd => format!("launchctl kickstart -k {}", target()),
    }
}

/// What was installed of units that are enabled.
fn units(scope: Scope) -> Result<Vec<&'static str>, ServiceError> {
    let mut units = systemd::sockets(scope)?;
    units.push(systemd::SERVICE);
    Ok(units)
}

fn domain() -> String {
    format!("gui/{}", nix::unistd::getuid())
}

fn target() -> String {
    format!("{}/{}", domain(), launchd::LABEL)
}

fn must_systemctl(scope: Scope, arguments: &[&str]) -> Result<(), ServiceError> {
    let all: Vec<&OsStr> = of(scope).iter().chain(arguments).map(OsStr::new).collect();
    must("systemctl", &all)
}

fn systemctl(scope: Scope, arguments: &[&str]) -> Result<Answer, ServiceError> {
    let all: Vec<&str> = of(scope).iter().chain(arguments).copied().collect();
    command("systemctl", &all)
}

fn of(scope: Scope) -> &'static [&'static str] {
    if scope == Scope::User { &["--user"] } else { &[] }
}

fn must(program: &'static str, arguments: &[&OsStr]) -> Result<(), ServiceError> {
    let answer = command(program, arguments)?;
    if answer.is_ok {
        return Ok(());
    }
    let words = arguments.iter().map(|argument| argument.to_string_lossy());
    let command = std::iter::once(program.into()).chain(words).collect::<Vec<_>>().join(" ");
    Err(ServiceError::Manager { command, answer: answer.text })
}

fn command<S: AsRef<OsStr>>(program: &'static str, arguments: &[S]) -> Result<Answer, ServiceError> {
    #[expect(clippy::disallowed_methods, reason = "the service manager's own client, no part of a server")]
    let mut command = std::process::Command::new(program);
    let output = command
        .args(arguments)
        .output()
        .map_err(|error| ServiceError::NoManager { program, answer: error.to_string() })?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    let (out, err) = (said(&output.stdout), said(&output.stderr));
    let text = if out.is_empty() { err } else { out };
    Ok(Answer { is_ok: output.status.success(), text })
}
