//! The file that keys are kept in, for this user alone.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use impetus_config::{KeyEntry, Moment, is_key_name};
use impetus_proto::{Code, Error, key::KeySet};
use serde::{Deserialize, Serialize, Serializer, ser};

use super::{is_alive, to_message};
use crate::state_file;

/// The name of the file.
const FILE: &str = "keys.json";

/// The most keys that are kept.
const MAX_KEYS: usize = 10_000;

/// Keys that were made.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MadeKeys {
    /// Whether one was made at any time: a server whose last key was revoked does not stand open.
    pub in_use: bool,
    /// Them.
    pub keys: Vec<Made>,
}

/// A key that was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Made {
    /// The key.
    #[serde(serialize_with = "sparing")]
    pub entry: KeyEntry,
    /// When.
    pub created: Moment,
}

/// Where keys are kept.
#[derive(Debug, Clone)]
pub struct KeyFile(PathBuf);

/// Keys cannot be kept, or those that are cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The file is there and cannot be understood.
    #[error(
        "cannot read the keys in {}: {source}; restore the file, or remove it and make new keys", path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot keep keys in {}: {source}; check supervisor.state_dir", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the kernel answered.
        source: io::Error,
    },
}

impl MadeKeys {
    /// These and another one.
    pub fn with(&self, entry: KeyEntry, created: Moment) -> Result<Self, Error> {
        if !is_key_name(&entry.name) {
            let message = format!(
                "{:?} cannot name a key: it takes at most 64 letters, digits, '-', '_' and '.'",
                entry.name
            );
            return Err(Error::invalid("name", message));
        }
        if self.find(&entry.name).is_some() {
            let message =
                format!("there is a key {:?} already; revoke it first, or take another name", entry.name);
            return Err(Error::new(Code::Conflict, message).with_param("name"));
        }
        if self.keys.len() >= MAX_KEYS {
            return Err(Error::new(
                Code::Conflict,
                format!("there are {MAX_KEYS} keys already; revoke some"),
            ));
        }
        let mut keys = self.keys.clone();
        keys.push(Made { entry, created });
        Ok(Self { in_use: true, keys })
    }

    /// These without one.
    pub fn without(&self, name: &str) -> Result<Self, Error> {
        if self.find(name).is_none() {
            let message =
                format!("there is no key {name:?}; `supervisorctl key list` shows those that there are");
            return Err(Error::new(Code::NotFound, message).with_param("name"));
        }
        let keys = self.keys.iter().filter(|made| made.entry.name != name).cloned().collect();
        Ok(Self { in_use: true, keys })
    }

    /// How many still open something.
    pub fn alive(&self, now: Moment) -> usize {
        self.keys.iter().filter(|made| is_alive(&made.entry, now)).count()
    }

    /// As gateways are told.
    pub fn to_message(&self) -> KeySet {
        let keys = self.keys.iter().map(|made| to_message(&made.entry, Some(made.created)));
        KeySet { keys: keys.collect(), in_use: self.in_use }
    }

    fn find(&self, name: &str) -> Option<&Made> {
        self.keys.iter().find(|made| made.entry.name == name)
    }
}

impl KeyFile {
    /// The file in this state folder.
    pub fn new(state_dir: &Path) -> Self {
        Self(state_dir.join(FILE))
    }

    /// What is kept; nothing when there is no file.
    pub fn read(&self) -> Result<MadeKeys, KeyFileError> {
        let read = fs::read(&self.0).and_then(|text| Ok(serde_json::from_slice(&text)?));
        match read {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(MadeKeys::default()),
            read => read.map_err(|source| KeyFileError::Read { path: self.0.clone(), source }),
        }
    }

    /// Keeps `made` instead; whatever happens meanwhile, either these or those remain.
    pub fn write(&self, made: &MadeKeys) -> Result<(), KeyFileError> {
        state_file::write(&self.0, made)
            .map_err(|source| KeyFileError::Write { path: self.0.clone(), source })
    }
}

/// Without what no supervisor needs to be told, so that one which does not know of it reads the file as well.
fn sparing<S: Serializer>(entry: &KeyEntry, serializer: S) -> Result<S::Ok, S::Error> {
    let mut value = serde_json::to_value(entry).map_err(ser::Error::custom)?;
    if let Some(fields) = value.as_object_mut().filter(|_| entry.priority == 0) {
        fields.remove("priority");
    }
    value.serialize(serializer)
}
