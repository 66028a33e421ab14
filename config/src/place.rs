//! Where things lie: the folders of the user, and what a path in a setting is relative to.

use std::path::{Path, PathBuf};

/// The settings that are paths; `*` stands for any key or index.
const PATHS: &[&[&str]] = &[
    &["gateway", "tls", "cert"],
    &["gateway", "tls", "key"],
    &["supervisor", "runtime_dir"],
    &["supervisor", "state_dir"],
    &["log", "dir"],
    &["telemetry", "otlp_headers"],
    &["telemetry", "otlp_ca"],
    &["models", "dirs", "*"],
    &["models", "store"],
    &["pull", "ca_file"],
    &["model", "*", "path"],
];

/// The settings that are programs: a bare name is looked up beside the supervisor, only the others are paths.
const PROGRAMS: &[&[&str]] = &[&["gateway", "command"], &["pull", "command"], &["workers", "*", "command"]];

/// What paths are resolved against.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) cwd: PathBuf,
    pub(crate) home: Option<PathBuf>,
}

impl Places {
    pub(crate) fn of_process() -> Self {
        Self { cwd: std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/")), home: home() }
    }

    /// Makes every path among `settings` absolute: `~/` is the home folder, the rest is relative to `base`.
    pub(crate) fn resolve(&self, settings: &mut toml::Value, base: &Path) {
        for pattern in PATHS {
            visit(settings, pattern, &mut |text| *text = self.absolute(text, base));
        }
        for pattern in PROGRAMS {
            visit(settings, pattern, &mut |text| {
                if text.contains('/') {
                    *text = self.absolute(text, base);
                }
            });
        }
    }

    fn absolute(&self, text: &str, base: &Path) -> String {
        // What cannot be resolved becomes empty, for the validation to refuse.
        let path = match text.strip_prefix('~') {
            Some(rest) if rest.is_empty() || rest.starts_with('/') => match &self.home {
                Some(home) => home.join(rest.trim_start_matches('/')),
                None => PathBuf::new(),
            },
            _ if text.is_empty() => PathBuf::new(),
            _ => base.join(text.strip_prefix("./").unwrap_or(text)),
        };
        path.to_string_lossy().into_owned()
    }
}

/// The user's home folder. There is no substitute: what lies in a folder that others can write is not ours to run.
pub(crate) fn home() -> Option<PathBuf> {
    folder("HOME")
}

/// The configuration file that is read when none is named.
pub(crate) fn default_file() -> Option<PathBuf> {
    let folder = folder("XDG_CONFIG_HOME").or_else(|| Some(home()?.join(".config")))?;
    Some(folder.join("impetus/config.toml"))
}

/// A folder that an environment variable names; a relative one is ignored, as the XDG base directory
/// specification asks.
pub(crate) fn folder(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn visit(value: &mut toml::Value, pattern: &[&str], change: &mut impl FnMut(&mut String)) {
    let Some((step, rest)) = pattern.split_first() else {
        if let toml::Value::String(text) = value {
            change(text);
        }
        return;
    };
    match value {
        toml::Value::Table(table) => {
            for (_, value) in table.iter_mut().filter(|(name, _)| *step == "*" || name == step) {
                visit(value, rest, change);
            }
        }
        toml::Value::Array(items) if *step == "*" => {
            for value in items {
                visit(value, rest, change);
            }
        }
        _ => {}
    }
}
