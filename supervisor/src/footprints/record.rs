//! What is remembered of one model under the same circumstances, and what these are.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

use crate::{budget::Memory, fleet::Manifest};

/// All that decides how much a worker holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Key {
    path: String,
    file: Stamp,
    format: String,
    program: Stamp,
    slots: u32,
    context_tokens: u32,
    threads: u32,
    options: BTreeMap<String, String>,
    /// The path of its draft model; empty where it has none.
    #[serde(default)]
    draft: String,
    #[serde(default)]
    draft_options: BTreeMap<String, String>,
}

/// Which version of a file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub(super) struct Stamp {
    bytes: u64,
    /// When it was last written, in nanoseconds since 1970; 0 where that is unknown.
    modified_ns: u64,
}

/// Peaks by pool, in bytes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The first that was measured.
    loaded: BTreeMap<String, u64>,
    /// The highest of each pool.
    peak: BTreeMap<String, u64>,
    /// The higher, the later it was measured.
    pub(super) age: u64,
}

/// The file's content.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Stored {
    pub(super) records: Vec<(Key, Record)>,
}

impl Key {
    pub(super) fn new(manifest: &Manifest, program: Stamp) -> Self {
        let spec = &manifest.spec;
        let draft = spec.speculation.as_ref().and_then(|speculation| speculation.draft.as_ref());
        let sorted = |options: &HashMap<String, String>| {
            options.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
        };
        Self {
            path: spec.path.clone(),
            file: Stamp { bytes: manifest.size_bytes, modified_ns: nanoseconds(manifest.modified) },
            format: manifest.format.clone(),
            program,
            slots: spec.slots,
            context_tokens: spec.context_tokens,
            threads: spec.threads,
            options: sorted(&spec.options),
            draft: draft.map(|draft| draft.path.clone()).unwrap_or_default(),
            draft_options: draft.map(|draft| sorted(&draft.options)).unwrap_or_default(),
        }
    }

    /// Whether this is of a file, or of a program, that `newer` has in a later version.
    pub(super) fn is_former(&self, newer: &Self) -> bool {
        let is_same = self.path == newer.path && self.format == newer.format;
        is_same && (self.file != newer.file || self.program != newer.program)
    }
}

impl Stamp {
    /// That of the file at `path`; of one that is not there, the same as of others that are not.
    pub(super) fn of(path: &Path) -> Self {
        let stamp = |metadata: std::fs::Metadata| Self {
            bytes: metadata.len(),
            modified_ns: nanoseconds(metadata.modified().ok()),
        };
        std::fs::metadata(path).map(stamp).unwrap_or_default()
    }
}

impl Record {
    pub(super) fn new(peaks: &Memory, age: u64) -> Self {
        let peaks = by_pool(peaks);
        Self { loaded: peaks.clone(), peak: peaks, age }
    }

    pub(super) fn loaded(&self) -> Memory {
        memory(&self.loaded)
    }

    pub(super) fn peak(&self) -> Memory {
        memory(&self.peak)
    }

    pub(super) fn raise(&mut self, peaks: &Memory, age: u64) {
        self.peak = by_pool(&self.peak().max(peaks));
        self.age = age;
    }
}

fn memory(pools: &BTreeMap<String, u64>) -> Memory {
    pools.iter().fold(Memory::default(), |memory, (pool, bytes)| memory.with(pool, *bytes))
}

fn by_pool(memory: &Memory) -> BTreeMap<String, u64> {
    memory.pools().map(|(pool, bytes)| (pool.to_owned(), bytes)).collect()
}

fn nanoseconds(time: Option<SystemTime>) -> u64 {
    let since = time.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or_default()
}
