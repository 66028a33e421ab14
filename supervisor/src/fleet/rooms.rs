//! RAM for prefixes that no slot holds: what is free is lent to workers, counted, and taken back before anybody has to
//! go for want of it.

use std::{cmp::Reverse, time::Duration};

use impetus_proto::{launch::WorkerSpec, worker::Stats};
use tokio::time::Instant;

use super::{Entry, Fleet, Placed};
use crate::{
    budget::{Memory, RAM},
    worker::{Leave, Nursery, State, WorkerId},
};

/// How long a worker that is to give up room may take for it; what it has by then is not waited for any longer. It does
/// so between two steps, and says so with its next tick.
const PATIENCE: Duration = Duration::from_secs(3);

/// How long a room stays as it is before it may grow, so that it does not come and go.
const REST: Duration = Duration::from_secs(10);

/// How much RAM one worker may keep prefixes in, in bytes.
#[derive(Debug, Clone)]
pub(super) struct Room {
    /// The most that it may ever be told.
    pub(super) most: u64,
    /// What it was told last.
    pub(super) told: u64,
    /// What the budget counts: what it was told before, until it has given up what is over.
    pub(super) counted: u64,
    /// When it was told last.
    changed: Instant,
}

impl Room {
    /// That of a worker that is told `told` of `most`.
    pub(super) fn new(most: u64, told: u64, now: Instant) -> Self {
        let told = told.min(most);
        Self { most, told, counted: told, changed: now }
    }

    /// One that may have more than it is told, until it says what it has.
    pub(super) fn inherited(most: u64, told: u64, now: Instant) -> Self {
        Self { counted: most, ..Self::new(most, told, now) }
    }

    /// What it is about to give up.
    pub(super) fn coming(&self, now: Instant) -> u64 {
        let is_late = now >= self.changed + PATIENCE;
        if is_late { 0 } else { self.counted - self.told }
    }
}

impl Placed {
    /// All that the budget counts for it.
    pub(super) fn counted(&self) -> Memory {
        self.footprint.plus(&Memory::ram(self.room.counted))
    }
}

/// The most that a worker with this spec may keep prefixes in.
pub(super) fn most(spec: &WorkerSpec) -> u64 {
    spec.prefixes.as_ref().map_or(0, |prefixes| prefixes.ram_bytes)
}

/// What the worker has held at most of prefixes, as far as it can have: it may say anything.
pub(super) fn peak(placed: &Placed, stats: &Stats) -> u64 {
    stats.prefix_ram_peak_bytes.min(placed.room.most)
}

impl<N: Nursery> Fleet<N> {
    /// RAM that workers that stay would give up for a seat.
    pub(super) fn rooms(&self) -> u64 {
        self.staying().map(|(_, _, room)| room.told).fold(0, u64::saturating_add)
    }

    /// The same with what workers that drain would give up before they go.
    pub(super) fn all_rooms(&self) -> u64 {
        self.lent().map(|(_, _, room)| room.told).fold(0, u64::saturating_add)
    }

    /// RAM that workers that stay are about to give up.
    pub(super) fn rooms_coming(&self, now: Instant) -> u64 {
        self.staying().map(|(_, _, room)| room.coming(now)).fold(0, u64::saturating_add)
    }

    /// Asks workers to give up so much together: those first that nobody uses, then those with the largest rooms, and
    /// last those that drain, whose room is free without that a little later. Answers whether any of it is free at once.
    pub(super) fn take_back(&mut self, mut bytes: u64, now: Instant) -> bool {
        let mut lenders: Vec<_> = self
            .lent()
            .filter(|(_, _, room)| room.told > 0)
            .map(|(id, entry, room)| (entry.is_leaving(), self.is_held(id), Reverse(room.told), id.clone()))
            .collect();
        lenders.sort();
        let mut is_free = false;
        for (.., Reverse(told), id) in lenders {
            if bytes == 0 {
                break;
            }
            let given = told.min(bytes);
            bytes -= given;
            tracing::debug!(worker = %id, given, "gives up room for prefixes");
            is_free |= self.resize(&id, told - given, now);
        }
        is_free
    }

    /// A worker says how it is: what it has given up is free.
    pub(super) fn hear_room(&mut self, id: &WorkerId) {
        let Some(entry) = self.workers.get_mut(id) else { return };
        let stats = &entry.stats;
        if let Some(placed) = &mut entry.placed {
            let held = stats.prefix_room_bytes.max(stats.prefix_ram_bytes);
            placed.room.counted = placed.room.counted.min(held.max(placed.room.told));
        }
    }

    /// Lends what nobody else waits for to workers that have less than they may.
    pub(super) fn lend(&mut self, free: &Memory, now: Instant) {
        let mut free = free.of(RAM);
        let hungry: Vec<_> = self
            .staying()
            .filter(|(_, entry, room)| {
                let is_settled = room.counted == room.told && now >= room.changed + REST;
                entry.state == State::Ready && is_settled && room.told < room.most
            })
            .map(|(id, _, room)| (id.clone(), room.told, room.most))
            .collect();
        for (id, told, most) in hungry {
            let more = (most - told).min(free);
            if more > 0 {
                free -= more;
                self.resize(&id, told + more, now);
            }
        }
    }

    /// When something is due: a worker that is too late.
    pub(super) fn next_room(&self, now: Instant) -> Option<Instant> {
        self.lent()
            .filter(|(_, _, room)| room.coming(now) > 0)
            .map(|(_, _, room)| room.changed + PATIENCE)
            .min()
    }

    /// Answers whether the worker counts for less at once.
    fn resize(&mut self, id: &WorkerId, told: u64, now: Instant) -> bool {
        let Some(entry) = self.workers.get_mut(id) else { return false };
        let Some(placed) = &mut entry.placed else { return false };
        let room = &mut placed.room;
        let former = room.counted;
        // One that loads has kept nothing yet.
        let kept = if matches!(entry.state, State::Loading { .. }) { told } else { former };
        (room.told, room.counted, room.changed) = (told, kept.max(told), now);
        let is_less = room.counted < former;
        entry.orders.send_modify(|orders| orders.prefix_room = Some(told));
        is_less
    }

    /// The rooms of workers that stay.
    fn staying(&self) -> impl Iterator<Item = (&WorkerId, &Entry, &Room)> {
        self.lent().filter(|(_, entry, _)| !entry.is_leaving())
    }

    /// The rooms of workers that stay or drain.
    fn lent(&self) -> impl Iterator<Item = (&WorkerId, &Entry, &Room)> {
        let is_going = |entry: &Entry| matches!(entry.orders.borrow().leave, Leave::Now | Leave::Kill);
        let others = self.workers.iter().filter(move |(_, entry)| !is_going(entry));
        others.filter_map(|(id, entry)| Some((id, entry, &entry.placed.as_ref()?.room)))
    }
}
