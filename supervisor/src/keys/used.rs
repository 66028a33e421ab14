//! When keys were last used. It is a hint for people: what a crash loses of it is lost.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use impetus_proto::key::KeyUse;

use crate::state_file;

/// The name of the file.
const FILE: &str = "keys-used.json";

/// How much newer a time has to be than the one on disk for the disk to be troubled, in seconds.
const COARSENESS_S: u64 = 60;

/// Seconds since 1970, by the key's name.
#[derive(Debug)]
pub(super) struct Used {
    path: PathBuf,
    times: BTreeMap<String, u64>,
    kept: BTreeMap<String, u64>,
}

impl Used {
    pub(super) fn load(state_dir: &Path) -> Self {
        let path = state_dir.join(FILE);
        let times: BTreeMap<String, u64> = state_file::read(&path);
        Self { path, kept: times.clone(), times }
    }

    /// 0 when it never was.
    pub(super) fn of(&self, name: &str) -> u64 {
        self.times.get(name).copied().unwrap_or(0)
    }

    /// Notes times of keys that are known, and forgets keys that are not.
    pub(super) fn note(&mut self, uses: &[KeyUse], is_known: impl Fn(&str) -> bool) {
        for KeyUse { name, last_used_unix_s: at } in uses {
            if is_known(name) {
                let time = self.times.entry(name.clone()).or_default();
                *time = (*time).max(*at);
            }
        }
        self.times.retain(|name, _| is_known(name));
        let is_new =
            |(name, at): (&String, &u64)| *at > self.kept.get(name).copied().unwrap_or(0) + COARSENESS_S;
        if self.times.len() != self.kept.len() || self.times.iter().any(is_new) {
            match state_file::write(&self.path, &self.times) {
                Ok(()) => self.kept = self.times.clone(),
                Err(error) => tracing::warn!(%error, "when keys were last used cannot be kept"),
            }
        }
    }
}
