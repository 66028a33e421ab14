//! What keeps a model from its memory, and who has to go for it: rooms for prefixes first, then the idle, then, when it is
//! the turn of who waits, those in use.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    Fleet, Manifest,
    coming::Coming,
    seat::{Role, Seat},
};
use crate::{
    budget::{Memory, RAM},
    policy::eviction::{self, Candidate},
    worker::{Nursery, State, WorkerId},
};

/// Taken for the speed of loading while no load has been timed, in bytes a second.
const LOAD_BYTES_PER_S: u64 = 500 << 20;

/// What keeps a seat from being placed.
pub(super) enum Hindrance {
    /// It could never be placed.
    TooLarge,
    /// What leaves already will be enough.
    Leaving,
    /// This much RAM of what others keep prefixes in will be enough.
    Rooms(u64),
    /// These have to go first, and this much RAM of the others' prefixes with them.
    Evict(Vec<WorkerId>, u64),
    /// All that could make room is in use.
    InUse,
}

impl<N: Nursery> Fleet<N> {
    /// What keeps a seat that came at `since` from being placed, where `room` is free and what is `coming` will be.
    pub(super) fn hindrance(
        &self,
        seat: &Seat,
        since: Instant,
        need: &Memory,
        (room, coming): (&Memory, &Coming),
        now: Instant,
    ) -> Hindrance {
        if !need.fits(&self.memory.borrow().limit) {
            let is_settled = now >= self.settled_at && self.leaving().total() == 0;
            return if is_settled { Hindrance::TooLarge } else { Hindrance::InUse };
        }
        // What others give up while a seat before this one waits would be lost to them for as long, and bring nothing.
        let rooms_of = |bytes: &Memory| {
            if coming.is_awaited { Hindrance::Leaving } else { Hindrance::Rooms(bytes.of(RAM)) }
        };
        let rest = need.minus(room).minus(&coming.soon);
        // Prefixes are given up in a moment, requests on a worker that drains may take long.
        if rest.total() > 0 && rest.fits(&Memory::ram(self.all_rooms())) {
            return rooms_of(&rest);
        }
        let missing = rest.minus(&coming.late);
        if missing.total() == 0 {
            return Hindrance::Leaving;
        }
        let rooms = self.rooms();
        if missing.fits(&Memory::ram(rooms)) {
            return rooms_of(&missing);
        }
        let idle = self.candidates(&seat.model, seat.role, |_, holders| holders == 0);
        if let Some((victims, bytes)) = plan(&missing, rooms, &idle) {
            return Hindrance::Evict(victims, bytes);
        }
        // Nobody in use has to go for what nobody waits for any more.
        let is_wanted = seat.role != Role::Main || self.n_waiting(&seat.model) > 0;
        if now < since + self.settings.turn || !is_wanted {
            return Hindrance::InUse;
        }
        // Who has just come up gets its turn as well.
        let had_a_turn = |served: Duration, _| served >= self.settings.turn;
        let used = self.candidates(&seat.model, seat.role, had_a_turn);
        plan(&missing, rooms, &used)
            .map_or(Hindrance::InUse, |(victims, bytes)| Hindrance::Evict(victims, bytes))
    }

    /// The workers that may make room for a seat, of those that `may` allows by how long they have served and how
    /// many hold them; and how much RAM for prefixes each of them would give up without going. What it gives up already
    /// is no part of that.
    fn candidates(
        &self,
        model: &str,
        role: Role,
        may: impl Fn(Duration, usize) -> bool,
    ) -> Vec<(Candidate<WorkerId>, u64)> {
        let now = Instant::now();
        let entries =
            self.workers.iter().filter(|(_, entry)| entry.state == State::Ready && !entry.is_leaving());
        entries
            .filter_map(|(id, entry)| {
                let placed = entry.placed.as_ref()?;
                // A successor does not drive out whom it is to replace.
                let is_own = placed.model == model && (role == Role::Next || placed.role == role);
                // Leases on a worker that was inherited are taken up again a moment later than it.
                let holders = self.n_holders(id).max(entry.stats.slots_busy as usize);
                let served = entry.useful_since.map(|since| now - since).unwrap_or_default();
                let is_pinned = placed.manifest.pin && placed.model != model;
                if is_pinned || is_own || placed.role == Role::Next || !may(served, holders) {
                    return None;
                }
                let reload = self.reload_time(&placed.model, &placed.manifest);
                let given_up = Memory::ram(placed.room.coming(now));
                let (worker, memory) = (id.clone(), placed.counted().minus(&given_up));
                Some((Candidate { worker, memory, reload, leases: holders }, placed.room.told))
            })
            .collect()
    }

    fn reload_time(&self, model: &str, manifest: &Manifest) -> Duration {
        let timed = self.residents.get(model).and_then(|resident| resident.load_time);
        timed.unwrap_or_else(|| Duration::from_secs_f64(manifest.size_bytes as f64 / LOAD_BYTES_PER_S as f64))
    }

    pub(super) fn fits_beside(&self, manifest: &Arc<Manifest>, keep: &str, now: Instant) -> bool {
        let limit = self.memory.borrow().limit.clone();
        let taken = self.placed().minus(&Memory::ram(self.rooms_coming(now)));
        let missing = self.need_beside(manifest).minus(&limit.minus(&taken));
        let idle = self.candidates(keep, Role::Next, |_, holders| holders == 0);
        plan(&missing, self.rooms(), &idle).is_some()
    }
}

/// Who of `candidates` has to go when all workers together give up the `rooms` bytes of RAM that they have for prefixes,
/// and how much of that those that stay have to give up then: no more than those who go leave missing.
fn plan(
    missing: &Memory,
    rooms: u64,
    candidates: &[(Candidate<WorkerId>, u64)],
) -> Option<(Vec<WorkerId>, u64)> {
    let roomless = |(candidate, room): &(Candidate<WorkerId>, u64)| {
        let memory = candidate.memory.minus(&Memory::ram(*room));
        Candidate { memory, ..candidate.clone() }
    };
    let bare = candidates.iter().map(roomless).collect();
    let victims = eviction::plan(&missing.minus(&Memory::ram(rooms)), bare)?;
    let going = candidates.iter().filter(|(candidate, _)| victims.contains(&candidate.worker));
    let freed = going.fold(Memory::default(), |sum, (candidate, _)| sum.plus(&candidate.memory));
    Some((victims, missing.minus(&freed).of(RAM)))
}
