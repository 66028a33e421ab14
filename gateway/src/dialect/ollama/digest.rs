//! Digests of models: those of their files where the store knows them.

use std::{collections::HashMap, fmt::Write, time::Duration};

use impetus_proto::{
    store::{ListRequest, Stored},
    supervisor::ModelStatus,
};
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use crate::server::Gateway;

/// How long the store may take to say what it has. Without it there are digests all the same.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// Digests of the models of the store, by name.
#[derive(Debug, Default)]
pub(super) struct Digests(HashMap<String, String>);

impl Digests {
    /// Those that the store knows now.
    pub(super) async fn read(gateway: &Gateway) -> Self {
        let list = async {
            let mut store = gateway.upstream.store().await.ok()?;
            Some(store.list(ListRequest {}).await.ok()?.into_inner().models)
        };
        let stored = timeout(ANSWER_TIMEOUT, list).await.ok().flatten().unwrap_or_default();
        Self(stored.iter().filter_map(|model| Some((model.name.clone(), of_files(model)?))).collect())
    }

    /// The digest of a model, as 64 hex digits: of its file; of the digests of its files; where nobody knows these, of
    /// its name, size and time, which changes when the model does.
    pub(super) fn of(&self, model: &ModelStatus) -> String {
        let ModelStatus { name, size_bytes, modified_unix_s, .. } = model;
        let known = self.0.get(name).cloned();
        known.unwrap_or_else(|| hex(&format!("{name}\n{size_bytes}\n{modified_unix_s}\n")))
    }
}

fn of_files(model: &Stored) -> Option<String> {
    if model.files.iter().any(|file| file.sha256.is_empty()) {
        return None;
    }
    match &model.files[..] {
        [] => None,
        [only] => Some(only.sha256.clone()),
        files => {
            let mut lines: Vec<String> =
                files.iter().map(|file| format!("{}  {}\n", file.sha256, file.path)).collect();
            lines.sort();
            Some(hex(&lines.concat()))
        }
    }
}

/// The digest of a text.
pub(super) fn hex(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a string does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use impetus_proto::fetch::File;

    use super::*;

    #[test]
    fn a_digest_is_of_the_files_where_they_are_known() {
        let file = |path: &str, sha256: &str| File { path: path.into(), bytes: 1, sha256: sha256.into() };
        let stored = |files: Vec<File>| Stored { files, ..Stored::default() };
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        assert_eq!(of_files(&stored(vec![file("a.gguf", &one)])), Some(one.clone()));
        let several = of_files(&stored(vec![file("a", &one), file("b", &two)])).unwrap();
        assert_eq!(Some(&several), of_files(&stored(vec![file("b", &two), file("a", &one)])).as_ref());
        assert_eq!(several.len(), 64);
        assert_ne!(Some(several), of_files(&stored(vec![file("a", &two), file("b", &one)])));
        assert_eq!(of_files(&stored(vec![file("a", &one), file("b", "")])), None);
        assert_eq!(of_files(&stored(Vec::new())), None);
    }

    #[test]
    fn without_them_it_is_of_what_is_known() {
        let model = |size_bytes: u64, modified_unix_s: u64| ModelStatus {
            name: "m".into(),
            size_bytes,
            modified_unix_s,
            ..ModelStatus::default()
        };
        let none = Digests::default();
        let digest = none.of(&model(1, 2));
        assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
        assert_eq!(digest, none.of(&model(1, 2)));
        assert_ne!(digest, none.of(&model(2, 2)));
        assert_ne!(digest, none.of(&model(1, 3)));
        let known = Digests([("m".to_owned(), "0".repeat(64))].into());
        assert_eq!(known.of(&model(1, 2)), "0".repeat(64));
    }

    #[test]
    fn hex_is_that_of_sha_256() {
        assert_eq!(hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}
