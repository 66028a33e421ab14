//! Workers that served before this supervisor did.

use std::{cmp::Reverse, sync::Arc};

use impetus_proto::launch::WorkerSpec;
use tokio::{sync::watch, time::Instant};

use super::{
    Entry, Fleet, Manifest, Placed, order,
    rooms::{self, Room},
    seat::{Resident, Role, Stage},
    way::Way,
};
use crate::{
    budget::{Memory, RAM},
    worker::{Adopted, Leave, Nursery, Orders, Placement, State},
};

/// A worker of a former supervisor.
#[derive(Debug)]
pub struct Inherited<P> {
    /// The worker.
    pub worker: Adopted<P>,
    /// What its model is now, if there is such a model.
    pub manifest: Option<Arc<Manifest>>,
    /// What it holds at present; counted for it where its model is not known any more.
    pub held: Memory,
}

impl<N: Nursery> Fleet<N> {
    /// Goes on with these workers. One that serves a model as that is to be served now stays; the others finish what
    /// they have begun.
    pub(super) fn adopt(&mut self, mut inherited: Vec<Inherited<N::Claimed>>, now: Instant) {
        // Of several workers of a model the first is the usual one: later ones were to replace it, or had one request
        // to try. One that loads stays only where none serves.
        inherited.sort_by_key(|one| (Reverse(one.worker.description.is_some()), one.worker.id.number()));
        if !inherited.is_empty() {
            self.unsettle(now);
        }
        for one in inherited {
            self.adopt_one(one, now);
        }
        self.changed();
    }

    fn adopt_one(&mut self, Inherited { worker, manifest, held }: Inherited<N::Claimed>, now: Instant) {
        let (id, model, spec) = (worker.id.clone(), worker.spec.model.clone(), worker.spec.clone());
        self.next_worker = self.next_worker.max(id.number().unwrap_or_default());
        let has_worker = self.residents.contains_key(&model);
        let manifest = manifest.filter(|manifest| !has_worker && is_as(&spec, manifest));
        let as_placed = manifest.as_ref().map(|manifest| manifest.with_slots(spec.slots));
        let (role, footprint) = match &as_placed {
            Some(manifest) => (Role::Main, self.predict(manifest)),
            None => (Role::Retiring, held),
        };
        let room = match &as_placed {
            Some(manifest) => {
                let most = rooms::most(&manifest.spec);
                let told = rooms::most(&spec).min(self.free_beside(&footprint));
                // One that loads has kept nothing yet.
                let serves = worker.description.is_some();
                if serves { Room::inherited(most, told, now) } else { Room::new(most, told, now) }
            }
            // What one that is to go has kept is part of what it holds.
            None => Room::new(0, 0, now),
        };
        let limit_bytes = self.limit_of(&footprint, room.most);
        let placement = Placement { spec: spec.clone(), files: Vec::new(), limit_bytes };
        // It may have been told less since.
        let prefix_room = spec.prefixes.as_ref().map(|_| room.told);
        let place = Some(placement.into());
        let (orders, given) = watch::channel(Orders { place, prefix_room, ..Orders::default() });
        let mut entry = Entry::new(&worker.format, orders, now);
        entry.state = State::Loading { progress: 0.0 };
        if let Some(description) = &worker.description {
            entry.state = State::Ready;
            entry.useful_since = Some(now);
            entry.stats.slots_total = description.slots;
        }
        if let Some(manifest) = &manifest {
            let mut resident = Resident::new(manifest.clone(), now);
            resident.main = Stage::Placed(id.clone());
            if manifest.widths.is_empty() {
                resident.sizing.slots = (spec.slots < manifest.spec.slots).then_some(spec.slots);
            }
            resident.note_slots(spec.slots);
            self.residents.insert(model.clone(), resident);
        } else {
            order(&entry, Leave::Drain(now + self.settings.drain));
        }
        let manifest = as_placed.unwrap_or_else(|| Arc::new(unknown(&worker.format, spec)));
        tracing::info!(worker = %id, model, role = role.name(), "worker inherited");
        entry.placed = Some(Placed {
            model,
            role,
            manifest,
            footprint,
            room,
            limit_bytes,
            since: now,
            way: Way::begin(None, now),
        });
        self.nursery.adopt(worker, given, self.events.clone());
        self.workers.insert(id, entry);
    }

    /// RAM that is free beside a worker of this footprint once all have given up what they were told to.
    fn free_beside(&self, footprint: &Memory) -> u64 {
        let placed = self.workers.values().filter_map(|entry| entry.placed.as_ref());
        let told = |placed: &Placed| placed.footprint.plus(&Memory::ram(placed.room.told));
        let taken = placed.fold(footprint.clone(), |sum, placed| sum.plus(&told(placed)));
        self.memory.borrow().limit.minus(&taken).of(RAM)
    }
}

/// Whether what a worker was told is what it would be told now. It may have been given fewer slots for want of memory,
/// and less room for prefixes.
fn is_as(told: &WorkerSpec, manifest: &Manifest) -> bool {
    let wanted = &manifest.spec;
    let is_room_as = match (&told.prefixes, &wanted.prefixes) {
        (Some(told), Some(wanted)) => {
            told.ram_bytes <= wanted.ram_bytes && told.file_bytes <= wanted.file_bytes
        }
        (told, wanted) => told.is_none() == wanted.is_none(),
    };
    let is_number = match manifest.widths.as_slice() {
        [] => told.slots <= wanted.slots,
        widths => widths.iter().any(|width| width.slots == told.slots),
    };
    let told = WorkerSpec {
        socket: wanted.socket.clone(),
        slots: wanted.slots,
        prefixes: wanted.prefixes.clone(),
        ..told.clone()
    };
    told == *wanted && is_number && is_room_as
}

/// What can be said of a model that nobody knows any more.
fn unknown(format: &str, spec: WorkerSpec) -> Manifest {
    Manifest {
        spec,
        files: Vec::new(),
        format: format.to_owned(),
        pin: false,
        ttl: None,
        modified: None,
        size_bytes: 0,
        footprint: Memory::default(),
        growth: None,
        fixed: None,
        widths: Vec::new(),
    }
}
