//! Changes to the configuration file that keep what else is in it, comments and order included.

use std::{collections::BTreeMap, fs, io, path::PathBuf};

use serde_json::Value as Json;
use similar::TextDiff;
use toml_edit::{Array, ArrayOfTables, DocumentMut, InlineTable, Item, Table, TableLike, Value, value};

use crate::{ConfigError, Loaded, Origin};

/// A change to the file that was checked and not made.
#[derive(Debug)]
pub struct Edit {
    /// The file.
    pub path: PathBuf,
    /// What it has now; none: it is not there.
    pub former: Option<String>,
    /// What it is to have.
    pub text: String,
    /// The configuration with it.
    pub loaded: Loaded,
}

/// A change that cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// There is no file to change.
    #[error("there is no configuration file, nor a place for one: HOME is not set; start with --config FILE")]
    NoFile,
    /// The file cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The file is not TOML any more.
    #[error("the configuration file {} is not valid TOML: {message}; put it right first", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What the parser says.
        message: String,
    },
    /// What the file says would not count.
    #[error("{key} comes from {origin}, which wins over the file; change it there")]
    Outranked {
        /// The setting.
        key: String,
        /// Where it comes from.
        origin: Origin,
    },
    /// Keys are made and revoked, and declared by hand.
    #[error("{key} is not changed this way; make and revoke keys, or write the file by hand")]
    Apart {
        /// The setting.
        key: String,
    },
    /// The key, or what the file has in its place, is none that a setting can have.
    #[error("{key} is no setting that a value can be given; expected section.key or model[NAME].key")]
    Key {
        /// The setting.
        key: String,
    },
    /// The configuration cannot be used with it.
    #[error(transparent)]
    Refused(#[from] ConfigError),
}

/// Where a setting stands in the file.
enum Place<'k> {
    /// In tables within each other.
    Tables(Vec<&'k str>),
    /// In the entry of a model.
    Model { name: &'k str, setting: &'k str },
}

/// Something else than a table is where one has to be.
struct Misplaced;

impl Edit {
    /// What changes in the file, as a unified diff.
    pub fn diff(&self) -> String {
        let former = self.former.as_deref().unwrap_or_default();
        let path = self.path.display().to_string();
        TextDiff::from_lines(former, &self.text).unified_diff().header(&path, &path).to_string()
    }
}

impl EditError {
    /// The setting that it is about, where it is known.
    pub fn key(&self) -> Option<&str> {
        match self {
            Self::Outranked { key, .. }
            | Self::Apart { key }
            | Self::Key { key }
            | Self::Refused(
                ConfigError::Unknown { key, .. }
                | ConfigError::Missing { key, .. }
                | ConfigError::Invalid { key, .. },
            ) => Some(key),
            Self::NoFile | Self::Read { .. } | Self::Syntax { .. } | Self::Refused(_) => None,
        }
    }
}

impl Loaded {
    /// The file with these values, of which null takes a setting out, and the configuration that it makes. Nothing is
    /// written. Reads the file.
    pub fn edit(&self, changes: &BTreeMap<String, Json>) -> Result<Edit, EditError> {
        let path = self.file().ok_or(EditError::NoFile)?.to_owned();
        // A link stays one, and what it leads to is changed.
        let path = path.canonicalize().unwrap_or(path);
        let former = match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(EditError::Read { path, source }),
        };
        let text = former.as_deref().unwrap_or_default();
        let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| {
            EditError::Syntax { path: path.clone(), message: error.message().replace('\n', ", ") }
        })?;
        for (key, wanted) in changes {
            self.check(key)?;
            change(&mut document, key, wanted)?;
        }
        let text = document.to_string();
        let loaded = self.with_file_of(&text)?;
        Ok(Edit { path, former, text, loaded })
    }

    fn check(&self, key: &str) -> Result<(), EditError> {
        if key.starts_with("auth.key") {
            return Err(EditError::Apart { key: key.into() });
        }
        if Place::of(key).is_none() {
            return Err(EditError::Key { key: key.into() });
        }
        let origin = self.settings_origin(key);
        if matches!(origin, Origin::Environment { .. } | Origin::Argument { .. }) {
            return Err(EditError::Outranked { key: key.into(), origin });
        }
        Ok(())
    }

    /// Where the value of a setting comes from, that of a model's entry by the model's name.
    fn settings_origin(&self, key: &str) -> Origin {
        match Place::of(key) {
            Some(Place::Model { name, setting }) => {
                let place = self.config.model.iter().position(|entry| entry.name == name);
                place.map_or(Origin::Default, |idx| self.origin(&format!("model.{idx}.{setting}")))
            }
            _ => self.origin(key),
        }
    }
}

impl<'k> Place<'k> {
    fn of(key: &'k str) -> Option<Self> {
        if let Some(rest) = key.strip_prefix("model[") {
            // A name may have brackets and dots in it.
            let (name, setting) = rest.rsplit_once("].")?;
            return (!name.is_empty() && !setting.is_empty()).then_some(Self::Model { name, setting });
        }
        let steps: Vec<&str> = key.split('.').collect();
        (steps.len() > 1 && steps.iter().all(|step| !step.is_empty())).then_some(Self::Tables(steps))
    }
}

fn change(document: &mut DocumentMut, key: &str, wanted: &Json) -> Result<(), EditError> {
    let wrong = |_| EditError::Key { key: key.into() };
    let (table, name) = match Place::of(key).ok_or(Misplaced).map_err(wrong)? {
        Place::Tables(steps) => {
            let (last, before) = steps.split_last().ok_or(Misplaced).map_err(wrong)?;
            (tables(document.as_table_mut(), before, wanted.is_null()).map_err(wrong)?, *last)
        }
        Place::Model { name, setting } => (entry(document, name, wanted.is_null()).map_err(wrong)?, setting),
    };
    if let Some(table) = table {
        set(table, name, wanted);
    }
    Ok(())
}

/// The table within tables, made where it is not there and is needed; none where it is neither.
fn tables<'t>(
    table: &'t mut dyn TableLike,
    steps: &[&str],
    is_taken_out: bool,
) -> Result<Option<&'t mut dyn TableLike>, Misplaced> {
    let Some((first, rest)) = steps.split_first() else { return Ok(Some(table)) };
    if table.get(first).is_none_or(Item::is_none) {
        if is_taken_out {
            return Ok(None);
        }
        let mut made = Table::new();
        made.set_implicit(!rest.is_empty());
        table.insert(first, Item::Table(made));
    }
    let next = table.get_mut(first).and_then(Item::as_table_like_mut).ok_or(Misplaced)?;
    tables(next, rest, is_taken_out)
}

/// The entry of a model, likewise.
fn entry<'d>(
    document: &'d mut DocumentMut,
    name: &str,
    is_taken_out: bool,
) -> Result<Option<&'d mut dyn TableLike>, Misplaced> {
    let is_it = |entry: &dyn TableLike| entry.get("name").and_then(Item::as_str) == Some(name);
    if document.get("model").is_none_or(Item::is_none) {
        if is_taken_out {
            return Ok(None);
        }
        document.insert("model", Item::ArrayOfTables(ArrayOfTables::new()));
    }
    match document.get_mut("model").ok_or(Misplaced)? {
        Item::ArrayOfTables(entries) => {
            let place = entries.iter().position(|entry| is_it(entry));
            if place.is_none() && is_taken_out {
                return Ok(None);
            }
            if place.is_none() {
                let mut made = Table::new();
                made.insert("name", value(name));
                entries.push(made);
            }
            let place = place.unwrap_or(entries.len() - 1);
            Ok(Some(entries.get_mut(place).ok_or(Misplaced)?))
        }
        Item::Value(Value::Array(entries)) => {
            let place =
                entries.iter().position(|entry| entry.as_inline_table().is_some_and(|table| is_it(table)));
            if place.is_none() && is_taken_out {
                return Ok(None);
            }
            if place.is_none() {
                let mut made = InlineTable::new();
                made.insert("name", name.into());
                entries.push(made);
            }
            let place = place.unwrap_or(entries.len() - 1);
            Ok(Some(entries.get_mut(place).and_then(Value::as_inline_table_mut).ok_or(Misplaced)?))
        }
        _ => Err(Misplaced),
    }
}

/// Sets a value, or takes it out; what stands around the former one stays.
fn set(table: &mut dyn TableLike, name: &str, wanted: &Json) {
    let Some(mut wanted) = toml_of(wanted) else {
        table.remove(name);
        return;
    };
    match table.get_mut(name) {
        Some(item) => {
            if let Some(former) = item.as_value() {
                *wanted.decor_mut() = former.decor().clone();
            }
            *item = Item::Value(wanted);
        }
        None => {
            table.insert(name, Item::Value(wanted));
        }
    }
}

/// JSON as TOML has it, which has no null.
fn toml_of(json: &Json) -> Option<Value> {
    Some(match json {
        Json::Null => return None,
        Json::Bool(flag) => (*flag).into(),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => number.as_f64()?.into(),
        },
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => Value::Array(items.iter().filter_map(toml_of).collect::<Array>()),
        Json::Object(fields) => {
            let fields = fields.iter().filter_map(|(name, field)| Some((name.as_str(), toml_of(field)?)));
            Value::InlineTable(fields.collect::<InlineTable>())
        }
    })
}
