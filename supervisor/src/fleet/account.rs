//! What the budget counts for workers, and what is learned of what they hold.

use std::time::Duration;

use impetus_proto::launch::PoolBytes;
use tokio::time::Instant;

use super::{Entry, Fleet, Manifest, Placed, rooms, seat::Role};
use crate::{
    budget::{Memory, RAM},
    worker::{Nursery, WorkerId},
};

/// What a worker may hold beyond its footprint in any case, in bytes: small models are mostly estimate.
const LEAST_SLACK_BYTES: u64 = 256 << 20;

/// How long after the end of a worker the machine's figures may still count what it held.
const SETTLING: Duration = Duration::from_secs(2);

impl<N: Nursery> Fleet<N> {
    /// What the budget counts for all workers that are up.
    pub(super) fn placed(&self) -> Memory {
        self.footprints(|_| true)
    }

    pub(super) fn leaving(&self) -> Memory {
        self.footprints(Entry::is_leaving)
    }

    fn footprints(&self, of: impl Fn(&Entry) -> bool) -> Memory {
        let entries = self.workers.values().filter(|entry| of(entry));
        entries
            .filter_map(|entry| entry.placed.as_ref())
            .fold(Memory::default(), |sum, placed| sum.plus(&placed.counted()))
    }

    /// What a worker of this manifest will hold.
    pub(super) fn predict(&self, manifest: &Manifest) -> Memory {
        self.footprints.predict(manifest)
    }

    /// Takes in what a worker with a model has held at most so far.
    pub(super) fn on_peaks(&mut self, id: &WorkerId, peaks: &[PoolBytes]) {
        let total = self.memory.borrow().total.clone();
        let Some(entry) = self.workers.get_mut(id) else { return };
        // A worker may say anything: pools that there are, and no more than is in them.
        let known = peaks.iter().filter(|peak| peak.pool == RAM || total.of(&peak.pool) > 0);
        let peaks = known.fold(Memory::default(), |memory, peak| {
            let most = if total.of(&peak.pool) == 0 { u64::MAX } else { total.of(&peak.pool) };
            memory.with(&peak.pool, peak.bytes.min(most))
        });
        // Never too much: both are the most so far, be it at one time or at two.
        let prefixes = entry.placed.as_ref().map_or(0, |placed| rooms::peak(placed, &entry.stats));
        let peaks = peaks.minus(&Memory::ram(prefixes));
        entry.peaks = entry.peaks.max(&peaks);
        // One that retires may be of a model as it was, which says nothing of it as it is.
        let teaches = |placed: &&Placed| entry.useful_since.is_some() && placed.role != Role::Retiring;
        if let Some(placed) = entry.placed.as_ref().filter(teaches) {
            let model = &placed.model;
            if self.footprints.learn(&placed.manifest, &entry.peaks) {
                let (peak_bytes, footprint_bytes) = (entry.peaks.of(RAM), placed.footprint.of(RAM));
                tracing::debug!(model, worker = %id, peak_bytes, footprint_bytes, "footprint measured");
            }
        }
    }

    /// The RAM at which a worker of this footprint is killed that may keep prefixes in `room` bytes besides.
    pub(super) fn limit_of(&self, footprint: &Memory, room: u64) -> Option<u64> {
        let ram = footprint.of(RAM);
        let margin = (ram as f64 * self.settings.margin) as u64;
        (ram > 0).then(|| margin.max(ram.saturating_add(LEAST_SLACK_BYTES)).saturating_add(room))
    }

    /// What is measured from now on may be wrong for a while.
    pub(super) fn unsettle(&mut self, now: Instant) {
        self.settled_at = now + SETTLING;
    }
}
