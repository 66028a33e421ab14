//! What can be wrong with a configuration, told so that it can be put right.

use std::{
    borrow::Cow,
    io,
    path::{Path, PathBuf},
};

use figment::error::Kind;

use crate::{
    Origin, auth::Scope, key::Key, moment, network, secret, size, slots, suggest, supervisor, workers,
};

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file is not TOML.
    #[error("{}:{line}:{column}: not valid TOML: {message}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The character within the line, counted from 1.
        column: usize,
        /// What the TOML parser says.
        message: String,
    },
    /// A `--set` argument without the form of one.
    #[error("--set {argument}: expected section.key=value, such as gateway.listen=127.0.0.1:8081")]
    Argument {
        /// The argument.
        argument: String,
    },
    /// An environment variable that begins like a setting and is none.
    #[error(
        "environment variable {variable}: expected the form IMPETUS_SECTION__KEY{}",
        suggestion.as_ref().map(|name| format!("; did you mean {name}?")).unwrap_or_default()
    )]
    Variable {
        /// Its name.
        variable: String,
        /// The name that was probably meant.
        suggestion: Option<String>,
    },
    /// A setting that does not exist.
    #[error("{origin}: there is no setting {key}; {hint}")]
    Unknown {
        /// Where it is set.
        origin: Origin,
        /// Its key.
        key: String,
        /// The nearest key, or those that there are.
        hint: Hint,
    },
    /// A setting that must be given and is not.
    #[error("{origin}: {key} lacks the setting {missing}")]
    Missing {
        /// Where the table is begun.
        origin: Origin,
        /// The key of the table.
        key: String,
        /// The setting within it.
        missing: String,
    },
    /// A value of the wrong type, form or size.
    #[error("{origin}: {key} = {value}: expected {expected}")]
    Invalid {
        /// Where it is set.
        origin: Origin,
        /// Its key.
        key: String,
        /// The value, as TOML.
        value: String,
        /// What the setting takes.
        expected: Cow<'static, str>,
    },
    /// A folder of this user cannot be written as text, which every setting must be.
    #[error("the defaults cannot be used: {0}; check that HOME and the XDG_ variables are UTF-8")]
    Environment(#[source] toml::ser::Error),
}

/// Help with a setting that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// The key that was probably meant.
    DidYouMean(String),
    /// The names that exist in its place.
    Known(&'static [&'static str]),
}

impl std::fmt::Display for Hint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DidYouMean(key) => write!(f, "did you mean {key}?"),
            Self::Known(names) => write!(f, "expected one of: {}", names.join(", ")),
        }
    }
}

impl ConfigError {
    pub(crate) fn syntax(path: &Path, text: &str, error: &toml::de::Error) -> Self {
        let before = &text[..error.span().map_or(0, |span| span.start.min(text.len()))];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self::Syntax {
            path: path.into(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: error.message().replace('\n', ", "),
        }
    }

    /// The error for what serde refused at `key`; `value` is what stands there.
    pub(crate) fn refused(kind: Kind, key: &Key, origin: Origin, value: Option<&toml::Value>) -> Self {
        match kind {
            Kind::UnknownField(name, known) => Self::Unknown {
                origin,
                hint: suggest::nearest(&name, known).map_or(Hint::Known(known), |nearest| {
                    let mut meant = key.clone();
                    meant.0.pop();
                    meant.0.push(nearest.into());
                    Hint::DidYouMean(meant.to_string())
                }),
                key: key.to_string(),
            },
            Kind::MissingField(name) => {
                Self::Missing { origin, key: key.to_string(), missing: name.into_owned() }
            }
            kind => Self::invalid(key, origin, value, expected(key, kind)),
        }
    }

    pub(crate) fn invalid(
        key: &Key,
        origin: Origin,
        value: Option<&toml::Value>,
        expected: Cow<'static, str>,
    ) -> Self {
        let value = match value {
            Some(_) if secret::is_secret(key) => "(a secret)".into(),
            value => value.map(ToString::to_string).unwrap_or_default(),
        };
        Self::Invalid { origin, key: key.to_string(), value, expected }
    }
}

/// What a setting takes, in the words of a person rather than of serde.
fn expected(key: &Key, kind: Kind) -> Cow<'static, str> {
    match &*key.to_string() {
        "gateway.listen" => return "an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080".into(),
        "gateway.ollama_listen" => return "an IP address and a port, such as 127.0.0.1:11434".into(),
        "log.format" => return "json or text".into(),
        "log.rotation" => return "minutely, hourly, daily or never".into(),
        "supervisor.on_battery" => return supervisor::EXPECTED_ON_BATTERY.into(),
        "telemetry.otlp_protocol" => return "grpc or http/protobuf".into(),
        "budget.ram" | "budget.gpu" => return size::EXPECTED_OR_AUTO.into(),
        "models.import" | "models.import.0" => {
            return "a list of huggingface, ollama, lm-studio and llama-cpp".into();
        }
        "budget.ram_reserve" | "budget.gpu_reserve" | "pull.chunk" | "pull.max_rate" | "pull.reserve"
        | "prefixes.ram" | "prefixes.file" | "prefixes.disk" => {
            return size::EXPECTED.into();
        }
        name if is_of_worker(name) && name.rsplit('.').next() == Some("slots") => {
            return slots::EXPECTED.into();
        }
        name if is_of_worker(name) && name.ends_with(".speculation") => {
            return workers::EXPECTED_SPECULATION.into();
        }
        name if name.starts_with("model[") && name.ends_with("].memory") => return size::EXPECTED.into(),
        name if name.starts_with("auth.allow_addresses[") || name.starts_with("auth.deny_addresses[") => {
            return network::EXPECTED.into();
        }
        name if name.starts_with("auth.key[") && name.ends_with("].expires") => {
            return moment::EXPECTED.into();
        }
        name if name.starts_with("auth.key[") && name.contains("].scopes[") => {
            return Scope::ALL.map(Scope::name).join(" or ").into();
        }
        _ => {}
    }
    match kind {
        Kind::InvalidType(_, wanted) | Kind::InvalidValue(_, wanted) => match &*wanted {
            "i32" => "a whole number".into(),
            "u16" | "u32" | "u64" | "usize" => "a whole number that is not negative".into(),
            "f64" => "a number".into(),
            "a boolean" => "true or false".into(),
            "a string" => "a string in quotes".into(),
            "path string" => "a path".into(),
            "a sequence" => "a list".into(),
            wanted if wanted.starts_with("struct ") || wanted == "a map" => "a table of settings".into(),
            _ => wanted.into(),
        },
        kind => kind.to_string().into(),
    }
}

/// Whether the setting is one of those of a format's worker, or of a single model, over them.
fn is_of_worker(name: &str) -> bool {
    name.starts_with("workers.") || name.starts_with("model[")
}
