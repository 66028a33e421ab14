//! Whether the files of models are as they came.

use std::path::PathBuf;

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

impl Store {
    /// Reads all files of a model and compares them with their digests; `tell` hears of each, and says whether to go on.
    /// A model that is damaged is not served from then on, one that was and is no more is served again.
    pub fn verify(&self, name: &str, mut tell: impl FnMut(Checked) -> bool) -> Result<(), StoreError> {
        let kept = self.find(name)?;
        let mut files = Vec::new();
        let mut damage = None;
        for file in &kept.files {
            let (read, problem) = self.read(&kept, file);
            let told = Checked {
                model: name.to_owned(),
                path: file.path.clone(),
                bytes: file.bytes,
                problem: problem.clone(),
            };
            damage = damage.or_else(|| Some(format!("{}: {}", file.path.display(), problem?)));
            files.push(read);
            if !tell(told) {
                return Ok(());
            }
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

    fn read(&self, kept: &Kept, file: &KeptFile) -> (KeptFile, Option<String>) {
        let path = self.folder.of(&kept.name).join(&file.path);
        match (Digest::of(&path), file.sha256) {
            (Err(error), _) => (file.clone(), Some(error.to_string())),
            (Ok(found), Some(expected)) if found != expected => {
                (file.clone(), Some(format!("its content is sha256:{found} and was sha256:{expected}")))
            }
            (Ok(found), _) => {
                let modified_ns = modified_ns(&path);
                (KeptFile { sha256: Some(found), modified_ns, ..file.clone() }, None)
            }
        }
    }
}
