//! launchd's property list. On macOS the service is an agent of its user.

use std::{
    env,
    fmt::Write,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use impetus_config::Entrance;

use super::{Files, Scope, ServiceError, description::Description, files::Text};

/// What launchd calls the service.
pub(super) const LABEL: &str = "impetus.supervisor";

const AGENT: &str = include_str!("launchd/agent.plist");
const SOCKET: &str = include_str!("launchd/socket.plist");

/// What stands before the configuration's path in the list.
const OPTION: &str = "--config";

/// Characters of XML that stand for themselves only when they are written so; the first one first.
const ENTITIES: [(&str, &str); 5] =
    [("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\"", "&quot;"), ("'", "&apos;")];

/// Where the property list is.
pub(super) fn file(scope: Scope) -> Result<PathBuf, ServiceError> {
    if scope == Scope::System {
        return Err(ServiceError::NoDaemon);
    }
    let home = env::var_os("HOME").map(PathBuf::from).filter(|home| home.is_absolute());
    let home = home.ok_or(ServiceError::NoHome)?;
    Ok(home.join("Library/LaunchAgents").join(format!("{LABEL}.plist")))
}

/// Everything that a service needs on this machine.
pub(super) fn files(service: &Description) -> Result<Files, ServiceError> {
    Ok(vec![(file(service.scope)?, Text::Ours(agent(service)?))])
}

/// The same for a package.
pub(super) fn packaged(service: &Description) -> Result<Files, ServiceError> {
    file(service.scope)?;
    let path = Path::new("/Library/LaunchAgents").join(format!("{LABEL}.plist"));
    Ok(vec![(path, Text::Ours(agent(service)?))])
}

/// The configuration that is named in a property list.
pub(super) fn configuration(list: &str) -> Option<PathBuf> {
    let mut strings = list.lines().filter_map(|line| {
        line.trim().strip_prefix("<string>").and_then(|line| line.strip_suffix("</string>"))
    });
    strings.find(|text| *text == OPTION)?;
    let escaped = strings.next()?.to_owned();
    Some(ENTITIES.iter().rev().fold(escaped, |text, (plain, entity)| text.replace(entity, plain)).into())
}

fn agent(service: &Description) -> Result<String, ServiceError> {
    let mut arguments = element(text(&service.program("supervisor"))?);
    if let Some(config) = &service.config {
        arguments.push_str(&element(OPTION));
        arguments.push_str(&element(text(config)?));
    }
    let mut environment = String::new();
    for (name, value) in &service.environment {
        writeln!(environment, "        <key>{name}</key>").expect("writing to a String cannot fail");
        environment.push_str(&element(value));
    }
    let sockets: String = service.entrances.iter().map(socket).collect();
    // What is said before the log files are open.
    let stderr = service.log_dir.join("launchd.log");
    Ok(AGENT
        .replace("@ARGUMENTS@", &arguments)
        .replace("@ENVIRONMENT@", &environment)
        .replace("@SOCKETS@", &sockets)
        .replace("@STOP_S@", &service.stop_s.to_string())
        .replace("@STDERR@", &escaped(text(&stderr)?)))
}

/// The socket of an entrance, by the name that it is asked for.
fn socket(&(entrance, listen): &(Entrance, SocketAddr)) -> String {
    let name = match entrance {
        Entrance::Gateway => "Gateway",
        Entrance::Ollama => "Ollama",
    };
    let family = match listen.ip() {
        IpAddr::V4(_) => "IPv4",
        IpAddr::V6(_) => "IPv6",
    };
    SOCKET
        .replace("@NAME@", name)
        .replace("@HOST@", &listen.ip().to_string())
        .replace("@PORT@", &listen.port().to_string())
        .replace("@FAMILY@", family)
}

fn element(text: &str) -> String {
    format!("        <string>{}</string>\n", escaped(text))
}

fn escaped(text: &str) -> String {
    ENTITIES.iter().fold(text.to_owned(), |text, (plain, entity)| text.replace(plain, entity))
}

/// What a property list can hold.
fn text(path: &Path) -> Result<&str, ServiceError> {
    let refused = |what| ServiceError::Path { path: path.into(), what };
    let text = path.to_str().ok_or_else(|| refused("characters that are no UTF-8"))?;
    if text.contains(char::is_control) { Err(refused("control characters")) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_found_again_whatever_its_path() {
        let check = |path: &str| {
            let list = format!("<array>\n{}{}{}</array>", element("/s"), element(OPTION), element(path));
            assert_eq!(configuration(&list).as_deref(), Some(Path::new(path)), "{list}");
        };
        check("/etc/impetus.toml");
        check("/a b/<x> & \"y\" 'z' &lt; &amp;quot;");
        assert_eq!(configuration(&element("/s")), None);
    }
}
