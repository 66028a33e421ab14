//! What a hub has.

use std::{collections::BTreeMap, fs, path::Path};

use bytes::Bytes;
use serde_json::{Value, json};
use sha1::{Digest, Sha1};
use sha2::Sha256;

/// Files of this length and more are large ones, which a hub keeps apart.
const LARGE_BYTES: usize = 16 << 10;

/// Files under one name.
#[derive(Debug, Clone, Default)]
pub struct Repository {
    files: BTreeMap<String, Bytes>,
    /// What it says that the contents of its large files are, where that is not true.
    lies: BTreeMap<String, String>,
    revision: u64,
    pub(super) is_gated: bool,
}

impl Repository {
    /// With this file.
    #[must_use]
    pub fn with(mut self, path: &str, content: impl Into<Bytes>) -> Self {
        self.files.insert(path.into(), content.into());
        self
    }

    /// With the files of a folder.
    #[must_use]
    pub fn with_folder(mut self, folder: &Path) -> Self {
        for entry in fs::read_dir(folder).expect("the folder can be read").flatten() {
            let name = entry.file_name().into_string().expect("its names are UTF-8");
            self.files.insert(name, fs::read(entry.path()).expect("its files can be read").into());
        }
        self
    }

    /// Only for those who have the token.
    #[must_use]
    pub fn gated(self) -> Self {
        Self { is_gated: true, ..self }
    }

    /// A later state.
    #[must_use]
    pub fn revised(self) -> Self {
        Self { revision: self.revision + 1, ..self }
    }

    /// Says of a file that it is another.
    #[must_use]
    pub fn lying_about(mut self, path: &str) -> Self {
        self.lies.insert(path.into(), sha256(b"another"));
        self
    }

    /// Says of a file's content what nobody can read.
    #[must_use]
    pub fn mumbling_about(mut self, path: &str) -> Self {
        self.lies.insert(path.into(), "sha-256".into());
        self
    }

    /// What tells this state of a file from another.
    pub(super) fn tag(&self, path: &str) -> String {
        format!("{path}-{}", self.revision)
    }

    pub(super) fn file(&self, path: &str) -> Option<&Bytes> {
        self.files.get(path)
    }

    pub(super) fn is_large(&self, file: &Bytes) -> bool {
        file.len() >= LARGE_BYTES || !self.lies.is_empty()
    }

    /// The file that a registry knows by its digest.
    pub(super) fn blob(&self, digest: &str) -> Option<Bytes> {
        let named =
            self.files.iter().find(|(path, file)| format!("sha256:{}", self.told(path, file)) == digest);
        named.map(|(_, file)| file.clone())
    }

    /// As the hub's interface says it.
    pub(super) fn description(&self, name: &str) -> Value {
        let sibling = |(path, file): (&String, &Bytes)| {
            let mut sibling = json!({ "rfilename": path, "size": file.len(), "blobId": git_blob(file) });
            if self.is_large(file) {
                sibling["lfs"] =
                    json!({ "sha256": self.told(path, file), "size": file.len(), "pointerSize": 134 });
            }
            sibling
        };
        json!({
            "id": name,
            "sha": format!("{:040x}", self.revision + 0xabc),
            "gated": self.is_gated,
            "siblings": self.files.iter().map(sibling).collect::<Vec<_>>(),
        })
    }

    /// As Ollama's registry says it.
    pub(super) fn manifest(&self) -> Value {
        let layer = |(path, file): (&String, &Bytes)| {
            let kind = path.split('.').next().unwrap_or(path);
            json!({
                "mediaType": format!("application/vnd.ollama.image.{kind}"),
                "digest": format!("sha256:{}", self.told(path, file)),
                "size": file.len(),
            })
        };
        json!({ "schemaVersion": 2, "layers": self.files.iter().map(layer).collect::<Vec<_>>() })
    }

    fn told(&self, path: &str, file: &Bytes) -> String {
        self.lies.get(path).cloned().unwrap_or_else(|| sha256(file))
    }
}

/// In hexadecimal digits.
pub fn sha256(content: &[u8]) -> String {
    hex(&Sha256::digest(content))
}

fn git_blob(content: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(format!("blob {}\0", content.len()));
    hash.update(content);
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}
