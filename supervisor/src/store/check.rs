//! Whether the files of models are as they came.

use std::{io::ErrorKind, path::PathBuf};

use super::{Digest, Kept, KeptFile, Store, StoreError, kept::modified_ns, unix_s};
use crate::store::database::Stage;

/// What became of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Its model.
    pub model: String,
    /// Its path within the model's folder.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// What is wrong with it.
    pub problem: Option<String>,
}

/// Whoever wants to know.
pub trait Listener {
    /// Whether anybody listens still.
    fn listens(&self) -> bool;
    /// What became of a file.
    fn hear(&self, checked: Checked);
}

/// Nobody, for whom everything is read nevertheless.
impl Listener for () {
    fn listens(&self) -> bool {
        true
    }

    fn hear(&self, _: Checked) {}
}

/// What a file was found to be.
enum Found {
    Right(KeptFile),
    Wrong(String),
    /// It cannot be read now, which says nothing of its content.
    Unread(String),
}

impl Store {
    /// Reads all files of a model and compares them with their digests, as long as somebody listens. A model that is damaged
    /// is not served from then on, one that was and is no more is served again. One that was replaced or removed
    /// meanwhile stays as it has become.
    pub fn verify(&self, name: &str, listener: &impl Listener) -> Result<(), StoreError> {
        let kept = self.find(name)?;
        let mut files = Vec::new();
        let (mut damage, mut has_all) = (None, true);
        for file in &kept.files {
            let Some(found) = self.read(&kept, file, listener) else { return Ok(()) };
            let (read, problem) = match found {
                Found::Right(read) => (read, None),
                Found::Wrong(why) => {
                    damage = damage.or_else(|| Some(format!("{}: {why}", file.path.display())));
                    (file.clone(), Some(why))
                }
                Found::Unread(why) => {
                    has_all = false;
                    (file.clone(), Some(why))
                }
            };
            files.push(read);
            let (model, path, bytes) = (name.to_owned(), file.path.clone(), file.bytes);
            listener.hear(Checked { model, path, bytes, problem });
        }
        if damage.is_none() && !has_all {
            return Ok(());
        }
        let _changing = self.changing();
        match self.find(name) {
            Ok(now) if now == kept => {}
            Ok(_) | Err(StoreError::Absent { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        let verified_s = if damage.is_none() { unix_s() } else { kept.verified_s };
        self.catalogue().put(&Kept { verified_s, damage, files, ..kept }, &Stage::Present)
    }

    /// The models whose files are not as they were written down: of another length, or changed since. Reads no content.
    pub fn suspects(&self) -> Result<Vec<String>, StoreError> {
        let is_suspect = |kept: &Kept| {
            let folder = self.folder.of(&kept.name);
            kept.files.iter().any(|file| {
                let path = folder.join(&file.path);
                let bytes = path.metadata().map(|metadata| metadata.len()).ok();
                bytes != Some(file.bytes) || modified_ns(&path) != file.modified_ns
            })
        };
        Ok(self.models()?.iter().filter(|kept| is_suspect(kept)).map(|kept| kept.name.to_string()).collect())
    }

    /// `None`: nobody wants to know.
    fn read(&self, kept: &Kept, file: &KeptFile, listener: &impl Listener) -> Option<Found> {
        let path = self.folder.of(&kept.name).join(&file.path);
        let found = match Digest::of_while(&path, || listener.listens()) {
            Ok(found) => found?,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Some(Found::Wrong(error.to_string()));
            }
            Err(error) => return Some(Found::Unread(format!("it cannot be read: {error}"))),
        };
        Some(match file.sha256 {
            Some(expected) if found != expected => {
                Found::Wrong(format!("its content is sha256:{found} and was sha256:{expected}"))
            }
            _ => {
                let modified_ns = modified_ns(&path);
                Found::Right(KeptFile { sha256: Some(found), modified_ns, ..file.clone() })
            }
        })
    }
}
