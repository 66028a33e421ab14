//! What workers were measured to hold, kept over restarts of the server, so that the next worker with the same model
//! and the same settings is placed with what is known instead of what was computed.
//!
//! A peak is what was needed so far: a worker whose slots were never full will need more. So what is predicted is the
//! first measured peak, which is that of the load, and what the formula says comes on top of a load; or the highest
//! peak so far, where that is more. A load tells best what formulas tell worst: in which form the library holds the
//! weights. Where no formula is known, a measured peak raises a prediction and never lowers it.

mod record;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use self::{
    record::{Key, Record, Stamp, Stored},
    writer::Writer,
};
use crate::{budget::Memory, fleet::Manifest, state_file};

/// The name of the file in the state folder.
const FILE: &str = "footprints.json";

/// Models and settings that are remembered; of more, those that were measured longest ago are forgotten.
const MAX_RECORDS: usize = 512;

/// A peak that is higher by less than this many bytes is no news.
const LEAST_NEWS_BYTES: u64 = 1 << 20;

/// What was measured so far.
#[derive(Debug)]
pub struct Footprints {
    records: BTreeMap<Key, Record>,
    /// The programs of the workers, by format: another program holds other amounts.
    programs: BTreeMap<String, Stamp>,
    /// Counts what was learned, so that it is known what was measured longest ago.
    age: u64,
    writer: Writer,
    /// Whether something was learned that the writer has not been given.
    is_unwritten: bool,
}

impl Footprints {
    /// What is kept in the state folder; nothing when that cannot be read, which the log then says. `programs` are the
    /// workers' programs by format. Reads files.
    pub fn load(state_dir: &Path, programs: &BTreeMap<String, PathBuf>) -> Self {
        let path = state_dir.join(FILE);
        let mut stored: Stored = state_file::read(&path);
        stored.records.truncate(MAX_RECORDS);
        let age = stored.records.iter().map(|(_, record)| record.age).max().unwrap_or(0);
        let stamp = |(format, program): (&String, &PathBuf)| (format.clone(), Stamp::of(program));
        Self {
            records: stored.records.into_iter().collect(),
            programs: programs.iter().map(stamp).collect(),
            age,
            writer: Writer::start(path),
            is_unwritten: false,
        }
    }

    /// What a worker of `manifest` will hold: the figure that the user gives, or what follows from what was measured
    /// and computed.
    pub fn predict(&self, manifest: &Manifest) -> Memory {
        if let Some(fixed) = &manifest.fixed {
            return fixed.clone();
        }
        let Some(record) = self.records.get(&self.key(manifest)) else { return manifest.footprint.clone() };
        let peak = record.peak();
        match &manifest.growth {
            Some(growth) => peak.max(&record.loaded().plus(growth)),
            None => peak.max(&manifest.footprint),
        }
    }

    /// Takes in what a worker of `manifest` has held at most so far; the first call for a model is to be the one after
    /// its load. Says whether that was news. Writes nothing itself: a thread does, and when it is still busy with what
    /// it has, the next call that finds it free hands over all that was learned meanwhile.
    pub fn learn(&mut self, manifest: &Manifest, peaks: &Memory) -> bool {
        let is_news = peaks.total() > 0 && self.take_in(manifest, peaks);
        self.is_unwritten |= is_news;
        if self.is_unwritten {
            self.is_unwritten = !self.writer.offer(|| self.stored());
        }
        is_news
    }

    /// What was measured of `manifest` counts no more: it was more than the worker had use for.
    pub fn forget(&mut self, manifest: &Manifest) {
        if self.records.remove(&self.key(manifest)).is_some() {
            self.is_unwritten = !self.writer.offer(|| self.stored());
        }
    }

    fn take_in(&mut self, manifest: &Manifest, peaks: &Memory) -> bool {
        let key = self.key(manifest);
        if let Some(record) = self.records.get_mut(&key) {
            if peaks.minus(&record.peak()).total() < LEAST_NEWS_BYTES {
                return false;
            }
            self.age = self.age.saturating_add(1);
            record.raise(peaks, self.age);
            return true;
        }
        self.age = self.age.saturating_add(1);
        // What the same path held before is gone.
        self.records.retain(|known, _| !known.is_former(&key));
        self.records.insert(key, Record::new(peaks, self.age));
        if self.records.len() > MAX_RECORDS {
            let oldest = self.records.iter().min_by_key(|(_, record)| record.age).map(|(key, _)| key.clone());
            oldest.and_then(|key| self.records.remove(&key));
        }
        true
    }

    fn key(&self, manifest: &Manifest) -> Key {
        let program = self.programs.get(&manifest.format).copied().unwrap_or_default();
        Key::new(manifest, program)
    }

    fn stored(&self) -> Stored {
        let records = self.records.iter().map(|(key, record)| (key.clone(), record.clone()));
        Stored { records: records.collect() }
    }
}

impl Drop for Footprints {
    fn drop(&mut self) {
        let unwritten = self.is_unwritten.then(|| self.stored());
        self.writer.finish(unwritten);
    }
}
