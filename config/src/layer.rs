//! One source of settings, as a figment provider.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use figment::{
    Metadata, Profile, Provider,
    value::{Dict, Map, Value},
};

use crate::{Config, ConfigError, key::Key, place::Places, secret};

/// What the names of environment variables that are settings begin with.
pub(crate) const PREFIX: &str = "IMPETUS_";

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The value that the program has when nothing is said.
    Default,
    /// A configuration file.
    File {
        /// Its path.
        path: PathBuf,
        /// The line of the value, counted from 1, where it is known.
        line: Option<usize>,
    },
    /// An environment variable.
    Environment {
        /// Its name.
        variable: String,
    },
    /// A `--set` argument.
    Argument {
        /// The argument up to its `=`.
        key: String,
    },
}

/// The settings of one source.
#[derive(Clone)]
pub(crate) struct Layer {
    pub(crate) origin: Origin,
    pub(crate) settings: toml::Value,
    /// The text of a file, in which lines are looked up.
    text: String,
    /// The name by which figment's provenance leads back here.
    id: String,
}

impl Layer {
    pub(crate) fn defaults(config: &Config) -> Result<Self, ConfigError> {
        let settings = toml::Value::try_from(config).map_err(ConfigError::Environment)?;
        Ok(Self::new(Origin::Default, settings, String::new()))
    }

    pub(crate) fn file(path: &Path, places: &Places) -> Result<Self, ConfigError> {
        let text =
            fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.into(), source })?;
        Self::text(path, &text, places)
    }

    /// The layer of a file that has this text.
    pub(crate) fn text(path: &Path, text: &str, places: &Places) -> Result<Self, ConfigError> {
        let text = text.trim_start_matches('\u{feff}').to_owned();
        let table: toml::Table =
            toml::from_str(&text).map_err(|error| ConfigError::syntax(path, &text, &error))?;
        let path = places.cwd.join(path);
        let mut settings = toml::Value::Table(table);
        places.resolve(&mut settings, path.parent().unwrap_or(&places.cwd));
        secret::seal(&mut settings);
        Ok(Self::new(Origin::File { path, line: None }, settings, text))
    }

    /// The layer of one environment variable; `None` when it is not a setting of ours.
    pub(crate) fn variable(name: &str, value: &str, places: &Places) -> Result<Option<Self>, ConfigError> {
        let Some(name_of_key) = name.strip_prefix(PREFIX).map(str::to_lowercase) else { return Ok(None) };
        let origin = Origin::Environment { variable: name.into() };
        if name_of_key.contains("__") || Config::SECTIONS.contains(&&*name_of_key) {
            let key = Key::parse(&name_of_key.replace("__", "."))
                .ok_or_else(|| ConfigError::Variable { variable: name.into(), suggestion: None })?;
            return Ok(Some(Self::single(origin, &key, value, places)));
        }
        match name_of_key.split_once('_') {
            Some((section, rest)) if Config::SECTIONS.contains(&section) => Err(ConfigError::Variable {
                variable: name.into(),
                suggestion: Some(format!("{PREFIX}{}__{}", section.to_uppercase(), rest.to_uppercase())),
            }),
            _ => Ok(None),
        }
    }

    /// The layer of one `--set` argument.
    pub(crate) fn argument(argument: &str, places: &Places) -> Result<Self, ConfigError> {
        let refused = || ConfigError::Argument { argument: argument.into() };
        let (dotted, value) = argument.split_once('=').ok_or_else(refused)?;
        let key =
            Key::parse(dotted).filter(|key| key.0.len() > 1 || key.0[0] == "model").ok_or_else(refused)?;
        let origin = Origin::Argument { key: dotted.trim().into() };
        Ok(Self::single(origin, &key, value.trim(), places))
    }

    fn single(origin: Origin, key: &Key, value: &str, places: &Places) -> Self {
        let mut settings = parse_value(value);
        for step in key.0.iter().rev() {
            settings = toml::Value::Table([(step.clone(), settings)].into_iter().collect());
        }
        places.resolve(&mut settings, &places.cwd);
        secret::seal(&mut settings);
        Self::new(origin, settings, String::new())
    }

    fn new(origin: Origin, settings: toml::Value, text: String) -> Self {
        Self { origin, settings, text, id: String::new() }
    }

    /// The layer under the name by which `Loaded` finds it again.
    pub(crate) fn with_id(self, idx: usize) -> Self {
        Self { id: idx.to_string(), ..self }
    }

    /// Where the value of `key` stands in this source.
    pub(crate) fn origin_of(&self, key: &Key) -> Origin {
        match &self.origin {
            Origin::File { path, .. } => Origin::File { path: path.clone(), line: line_of(&self.text, key) },
            other => other.clone(),
        }
    }
}

/// Without the text, which may have keys in it.
impl fmt::Debug for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, settings, id, .. } = self;
        f.debug_struct("Layer").field("origin", origin).field("settings", settings).field("id", id).finish()
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.id.clone())
    }

    fn data(&self) -> figment::Result<Map<Profile, Dict>> {
        let settings = Value::serialize(&self.settings)?.into_dict().unwrap_or_default();
        Ok(Map::from([(Profile::Default, settings)]))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Environment { variable } => write!(f, "environment variable {variable}"),
            Self::Argument { key } => write!(f, "--set {key}"),
        }
    }
}

/// A TOML value; what is none is a string, so that paths and addresses need no quotes.
fn parse_value(text: &str) -> toml::Value {
    match text.parse() {
        Ok(toml::Value::Datetime(_)) | Err(_) => toml::Value::String(text.into()),
        Ok(value) => value,
    }
}

/// The line, counted from 1, on which the deepest part of `key` that the text has begins.
fn line_of(text: &str, key: &Key) -> Option<usize> {
    use toml::de::{DeTable, DeValue};

    let root = DeTable::parse(text).ok()?.into_inner();
    let mut table = Some(&root);
    let mut items = None;
    let mut start = None;
    for step in &key.0 {
        let (at, value) = match (table, items) {
            (Some(table), _) => match table.get_key_value(step.as_str()) {
                Some((key, value)) => (key.span().start, value),
                None => break,
            },
            (None, Some(items)) => {
                let items: &toml::de::DeArray<'_> = items;
                let Some(value) = step.parse().ok().and_then(|idx: usize| items.get(idx)) else { break };
                (value.span().start, value)
            }
            (None, None) => break,
        };
        start = Some(at);
        (table, items) = match value.get_ref() {
            DeValue::Table(table) => (Some(table), None),
            DeValue::Array(items) => (None, Some(items)),
            _ => (None, None),
        };
    }
    start.map(|start| text[..start].matches('\n').count() + 1)
}
