//! Who gets memory: seats that wait, in the order in which they came, idle workers that make room, and turns when all
//! memory is in use.

use std::time::Duration;

use impetus_proto::{Code, Error, launch::PoolBytes};
use tokio::time::Instant;

use super::{
    Fleet, Manifest, Placed,
    coming::Coming,
    hindrance::Hindrance,
    order,
    rooms::{self, Room},
    seat::{Role, Seat, Stage},
    way::Way,
};
use crate::{
    budget::{Memory, RAM},
    worker::{Leave, Nursery, Placement, State, WorkerId},
};

/// The hint that a refusal for lack of memory carries, in seconds.
const RETRY_AFTER_S: u32 = 10;

/// What a worker may hold beyond its footprint in any case, in bytes: small models are mostly estimate.
const LEAST_SLACK_BYTES: u64 = 256 << 20;

/// How long after the end of a worker the machine's figures may still count what it held.
const SETTLING: Duration = Duration::from_secs(2);

impl<N: Nursery> Fleet<N> {
    /// Places what waits and fits, and makes room for what does not.
    pub(super) fn advance(&mut self, now: Instant) {
        if self.is_stopping {
            return;
        }
        let limit = self.memory.borrow().limit.clone();
        self.keep_rooms_within(&limit, now);
        // Each round but the last takes room from a worker that loads, of which there is ever less.
        while self.advance_once(&limit, now) {}
        self.read_ahead(&limit.minus(&self.placed()));
    }

    /// Answers whether something has come free meanwhile.
    fn advance_once(&mut self, limit: &Memory, now: Instant) -> bool {
        let mut room = limit.minus(&self.placed());
        let mut coming = self.coming(now);
        let seats: Vec<_> =
            self.waiting_seats().into_iter().map(|(seat, since)| (self.need(&seat), seat, since)).collect();
        let mut needs = seats.iter().fold(Memory::default(), |sum, (need, ..)| sum.plus(need));
        let (mut is_short, mut is_freed) = (false, false);
        for (need, seat, since) in seats {
            if !self.can_start(&seat) {
                needs = needs.minus(&need);
                self.take_room(&seat);
                continue;
            }
            if need.fits(&room) {
                // What nobody else waits for may be lent to it.
                let spare = room.minus(&needs).of(RAM);
                needs = needs.minus(&need);
                room = room.minus(&need).minus(&self.give_room(&seat, &need, spare, now));
                continue;
            }
            needs = needs.minus(&need);
            self.take_room(&seat);
            match self.hindrance(&seat, since, &need, (&room, &coming), now) {
                Hindrance::TooLarge => self.refuse_seat(&seat, &need, now),
                Hindrance::InUse if now >= since + self.settings.wait => self.refuse_seat(&seat, &need, now),
                Hindrance::InUse => is_short = true,
                Hindrance::Leaving => {
                    coming.await_for(&need.minus(&room));
                    room = room.minus(&need);
                }
                Hindrance::Rooms(bytes) => {
                    is_freed |= self.take_back(bytes, now);
                    coming.keep(&need.minus(&room).minus(&Memory::ram(bytes)));
                    room = room.minus(&need);
                }
                Hindrance::Evict(victims, bytes) => {
                    for victim in victims {
                        tracing::info!(worker = %victim, for_model = %seat, "evicted to make room");
                        self.evict(&victim, now);
                    }
                    is_freed |= self.take_back(bytes, now);
                    coming = Coming::default();
                    room = room.minus(&need);
                }
            }
        }
        if !is_short {
            self.lend(&room, now);
        }
        is_freed
    }

    /// When others than workers take memory, prefixes are what is given up for it.
    fn keep_rooms_within(&mut self, limit: &Memory, now: Instant) {
        let over = self.placed().minus(limit).minus(&self.coming(now).all()).of(RAM);
        if over > 0 && now >= self.settled_at {
            self.take_back(over, now);
        }
    }

    /// What the budget counts for all workers that are up.
    pub(super) fn placed(&self) -> Memory {
        self.footprints(|_| true)
    }

    pub(super) fn leaving(&self) -> Memory {
        self.footprints(super::Entry::is_leaving)
    }

    fn footprints(&self, of: impl Fn(&super::Entry) -> bool) -> Memory {
        let entries = self.workers.values().filter(|entry| of(entry));
        entries
            .filter_map(|entry| entry.placed.as_ref())
            .fold(Memory::default(), |sum, placed| sum.plus(&placed.counted()))
    }

    /// Seats that wait for room or for a standby, the first to come first.
    pub(super) fn waiting_seats(&self) -> Vec<(Seat, Instant)> {
        let seats = self.residents.iter().flat_map(|(model, resident)| {
            [Role::Main, Role::Next, Role::Alone].into_iter().filter_map(move |role| {
                match resident.stage(role)? {
                    Stage::Waiting { since, .. } => Some((Seat::new(model, role), *since)),
                    _ => None,
                }
            })
        });
        let mut seats: Vec<_> = seats.collect();
        seats.sort_by(|a, b| (a.1, &a.0).cmp(&(b.1, &b.0)));
        seats
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

    /// What a seat needs, earlier deaths for lack of memory considered.
    pub(super) fn need(&self, seat: &Seat) -> Memory {
        let Some(resident) = self.residents.get(&seat.model) else { return Memory::default() };
        let manifest = resident.manifest_of(seat.role);
        let need = self.predict(manifest).times(resident.sizing.factor);
        // What was learned from workers that took too much must not make a model too large for good.
        let limit = &self.memory.borrow().limit;
        if manifest.fixed.is_none() && manifest.footprint.fits(limit) { need.min(limit) } else { need }
    }

    /// Whether workers of the seat's format come up, or one is there.
    fn can_start(&self, seat: &Seat) -> bool {
        let Some(resident) = self.residents.get(&seat.model) else { return false };
        let format = &resident.manifest_of(seat.role).format;
        self.pools.get(format).is_some_and(|pool| pool.broken.is_none()) || self.has_ready_standby(format)
    }

    pub(super) fn has_ready_standby(&self, format: &str) -> bool {
        self.standbys(format).any(|(_, is_ready)| is_ready)
    }

    /// What is measured from now on may be wrong for a while.
    pub(super) fn unsettle(&mut self, now: Instant) {
        self.settled_at = now + SETTLING;
    }

    /// There is room: the seat gets a ready standby, or waits for one. Of `spare` bytes of RAM its worker may keep
    /// prefixes in some; answers with those.
    fn give_room(&mut self, seat: &Seat, need: &Memory, spare: u64, now: Instant) -> Memory {
        let Some(resident) = self.residents.get_mut(&seat.model) else { return Memory::default() };
        let format = resident.manifest_of(seat.role).format.clone();
        if let Some(Stage::Waiting { room_since, .. }) = resident.stage_mut(seat.role) {
            room_since.get_or_insert(now);
        }
        let ready = self.standbys(&format).find(|(_, is_ready)| *is_ready).map(|(id, _)| id.clone());
        if let Some(id) = &ready {
            self.hand_over(seat, id, (need.clone(), spare), now);
        }
        self.tell_leases(&seat.model, now);
        let placed = ready.and_then(|id| self.workers.get(&id)?.placed.as_ref());
        Memory::ram(placed.map_or(0, |placed| placed.room.counted))
    }

    fn take_room(&mut self, seat: &Seat) {
        let stage = self.residents.get_mut(&seat.model).and_then(|resident| resident.stage_mut(seat.role));
        if let Some(Stage::Waiting { room_since, .. }) = stage {
            *room_since = None;
        }
    }

    /// The RAM at which a worker of this footprint is killed that may keep prefixes in `room` bytes besides.
    pub(super) fn limit_of(&self, footprint: &Memory, room: u64) -> Option<u64> {
        let ram = footprint.of(RAM);
        let margin = (ram as f64 * self.settings.margin) as u64;
        (ram > 0).then(|| margin.max(ram.saturating_add(LEAST_SLACK_BYTES)).saturating_add(room))
    }

    fn hand_over(&mut self, seat: &Seat, id: &WorkerId, (footprint, spare): (Memory, u64), now: Instant) {
        let most = match (self.residents.get(&seat.model), seat.role) {
            // What it computes is for nobody else.
            (None, _) | (_, Role::Alone) => 0,
            (Some(resident), role) => rooms::most(&resident.manifest_of(role).spec),
        };
        let room = Room::new(most, spare, now);
        let limit_bytes = self.limit_of(&footprint, most);
        let (Some(resident), Some(entry)) = (self.residents.get_mut(&seat.model), self.workers.get_mut(id))
        else {
            return;
        };
        let manifest = resident.manifest_of(seat.role).clone();
        let mut spec = manifest.spec.clone();
        spec.socket = self.settings.runtime_dir.join(format!("{id}.sock")).to_string_lossy().into_owned();
        if let Some(slots) = resident.sizing.slots {
            spec.slots = spec.slots.min(slots);
        }
        match &mut spec.prefixes {
            prefixes if seat.role == Role::Alone => *prefixes = None,
            Some(prefixes) => prefixes.ram_bytes = room.told,
            None => {}
        }
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
        let (placed_bytes, limit) = (self.placed().of(RAM), self.memory.borrow().limit.of(RAM));
        tracing::info!(
            model = %seat, worker = %id, footprint_bytes = ram, room_bytes, placed_bytes, limit_bytes = limit, "placed"
        );
    }

    /// Asks a worker to go so that another model can come.
    fn evict(&mut self, id: &WorkerId, now: Instant) {
        let Some(placed) = self.workers.get(id).and_then(|entry| entry.placed.clone()) else { return };
        if placed.role == Role::Main {
            return self.leave(&placed.model, id.clone(), false, now);
        }
        let is_held = self.is_held(id);
        if let Some(entry) = self.workers.get(id) {
            order(entry, if is_held { Leave::Drain(now + self.settings.drain) } else { Leave::Now });
        }
    }

    /// Refuses a seat with the numbers.
    fn refuse_seat(&mut self, seat: &Seat, need: &Memory, now: Instant) {
        let error = self.no_room(seat, need);
        tracing::warn!(model = %seat, %error, "not placed");
        match seat.role {
            Role::Next => self.drop_successor(&seat.model, &error),
            role => {
                if let Some(stage) =
                    self.residents.get_mut(&seat.model).and_then(|resident| resident.stage_mut(role))
                {
                    *stage = Stage::Absent;
                }
                self.refuse(&seat.model, role == Role::Alone, &error);
            }
        }
        self.tell_leases(&seat.model, now);
        self.changed();
    }

    fn no_room(&self, seat: &Seat, need: &Memory) -> Error {
        let limit = self.memory.borrow().limit.clone();
        let holders: Vec<String> = self
            .workers
            .values()
            .filter_map(|entry| entry.placed.as_ref())
            .map(|placed| format!("{} holds {}", placed.model, placed.footprint))
            .collect();
        let holders = if holders.is_empty() { "nobody holds any".to_owned() } else { holders.join(", ") };
        let (model, free) = (&seat.model, limit.minus(&self.placed()));
        let message = if need.fits(&limit) {
            format!(
                "there is no memory for {model}: it needs {need}, {free} is free of {limit}, and {holders}; all of that is \
                 in use or pinned"
            )
        } else {
            format!(
                "{model} is too large: it needs {need}, and workers may hold {limit} together, of which {free} is free \
                 ({holders}); give it fewer slots or a shorter context, or raise the budget"
            )
        };
        Error::new(Code::NoCapacity, message).with_retry_after(RETRY_AFTER_S)
    }

    /// When a seat that waits has its turn, or has waited too long.
    pub(super) fn next_turn(&self, now: Instant) -> Option<Instant> {
        let waits = self
            .waiting_seats()
            .into_iter()
            .flat_map(|(_, since)| [since + self.settings.turn, since + self.settings.wait]);
        let turns = self.workers.values().filter_map(|entry| Some(entry.useful_since? + self.settings.turn));
        let has_waiting = !self.waiting_seats().is_empty();
        let times = waits.chain(turns.chain([self.settled_at]).filter(|_| has_waiting));
        times.filter(|time| *time > now).min()
    }
}
