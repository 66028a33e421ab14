//! A standby becomes a model's worker.

use impetus_proto::launch::{PrefixSpec, WorkerSpec};
use tokio::time::Instant;

use super::{
    Fleet, Placed,
    rooms::{self, Room},
    seat::{Role, Seat, Stage},
    slots::Fit,
    way::Way,
};
use crate::{
    budget::RAM,
    events::{Kind, Note},
    worker::{Nursery, Placement, State, WorkerId},
};

impl<N: Nursery> Fleet<N> {
    /// Tells the worker what it serves: what `fit` says, with room for prefixes in `spare` bytes of RAM at most.
    pub(super) fn hand_over(&mut self, seat: &Seat, id: &WorkerId, (fit, spare): (Fit, u64), now: Instant) {
        let Fit { manifest, need: footprint, bound } = fit;
        let most = match seat.role {
            // What it computes is for nobody else.
            Role::Alone => 0,
            _ => rooms::most(&manifest.spec),
        };
        let room = Room::new(most, spare, now);
        let limit_bytes = self.limit_of(&footprint, most);
        let (Some(resident), Some(entry)) = (self.residents.get_mut(&seat.model), self.workers.get_mut(id))
        else {
            return;
        };
        let spec = WorkerSpec {
            socket: self.settings.runtime_dir.join(format!("{id}.sock")).to_string_lossy().into_owned(),
            slots: resident.sizing.slots.map_or(manifest.spec.slots, |slots| manifest.spec.slots.min(slots)),
            prefixes: match &manifest.spec.prefixes {
                Some(prefixes) if seat.role != Role::Alone => {
                    Some(PrefixSpec { ram_bytes: room.told, ..prefixes.clone() })
                }
                _ => None,
            },
            // Whether the request kills its worker is not to depend on what only makes it faster.
            speculation: manifest.spec.speculation.clone().filter(|_| seat.role != Role::Alone),
            ..manifest.spec.clone()
        };
        let (slots, most_slots) = (spec.slots, resident.manifest_of(seat.role).spec.slots);
        let (ram, room_bytes) = (footprint.of(RAM), room.told);
        let placement = Placement { spec, files: manifest.files.clone(), limit_bytes };
        entry.orders.send_modify(|orders| orders.place = Some(placement.into()));
        entry.state = State::Loading { progress: 0.0 };
        entry.useful_since = None;
        let placed = Placed {
            model: seat.model.clone(),
            role: seat.role,
            manifest,
            footprint,
            room,
            limit_bytes,
            since: now,
            way: Way::begin(resident.stage(seat.role), now),
        };
        entry.placed = Some(placed);
        if let Some(stage) = resident.stage_mut(seat.role) {
            *stage = Stage::Placed(id.clone());
        }
        if seat.role == Role::Main {
            resident.note_slots(slots);
        }
        if let Some(bound) = bound {
            tracing::info!(model = %seat, slots, most_slots, bound = bound.name(), "fewer slots than there could be");
        }
        let note = Note::new(Kind::ModelLoading, &seat.model, "is loaded");
        self.nursery.note(note.with("worker", id).with("slots", slots).with("footprint_bytes", ram));
        let (placed_bytes, limit) = (self.placed().of(RAM), self.memory.borrow().limit.of(RAM));
        tracing::info!(
            model = %seat, worker = %id, slots, footprint_bytes = ram, room_bytes, placed_bytes, limit_bytes = limit,
            "placed"
        );
    }
}
