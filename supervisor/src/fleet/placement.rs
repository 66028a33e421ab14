//! Who gets memory: seats that wait, in the order in which they came, idle workers that make room, and turns when all
//! memory is in use.

use tokio::time::Instant;

use super::{
    Fleet,
    coming::Coming,
    hindrance::Hindrance,
    order,
    seat::{Role, Seat, Stage},
    slots::Fit,
};
use crate::{
    budget::{Memory, RAM},
    events::{Kind, Note},
    worker::{Leave, Nursery, WorkerId},
};

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
        let seats: Vec<_> = self
            .waiting_seats()
            .into_iter()
            .map(|(seat, since)| (self.claim(&seat, limit), seat, since))
            .collect();
        let mut claims = seats.iter().fold(Memory::default(), |sum, (claim, ..)| sum.plus(claim));
        let (mut is_short, mut is_freed) = (false, false);
        for (claim, seat, since) in seats {
            claims = claims.minus(&claim);
            // More slots than the fewest are worth the prefixes of others, and a moment's wait for who goes at once.
            let free = room.plus(&coming.at_once()).plus(&Memory::ram(self.rooms())).minus(&claims);
            let Some(fit) = self.fit(&seat, &free).filter(|_| self.can_start(&seat)) else {
                self.take_room(&seat);
                continue;
            };
            let need = fit.need.clone();
            if need.fits(&room) {
                // What nobody else waits for may be lent to it.
                let spare = room.minus(&claims).minus(&need).of(RAM);
                room = room.minus(&need).minus(&self.give_room(&seat, fit, spare, now));
                continue;
            }
            self.take_room(&seat);
            match self.hindrance(&seat, since, &need, (&room, &coming), now) {
                Hindrance::TooLarge => self.refuse_seat(&seat, &fit, now),
                Hindrance::InUse if now >= since + self.settings.wait => self.refuse_seat(&seat, &fit, now),
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
                        self.evict(&victim, &seat.model, now);
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

    /// What a seat is to find when it is its turn, whatever others get before it: its fewest slots, where it can be
    /// placed at all.
    fn claim(&self, seat: &Seat, limit: &Memory) -> Memory {
        let need = self.least_need(seat);
        if self.can_start(seat) && need.fits(limit) { need } else { Memory::default() }
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

    /// There is room: the seat gets a ready standby, or waits for one. Of `spare` bytes of RAM its worker may keep
    /// prefixes in some; answers with those.
    fn give_room(&mut self, seat: &Seat, fit: Fit, spare: u64, now: Instant) -> Memory {
        let Some(resident) = self.residents.get_mut(&seat.model) else { return Memory::default() };
        let format = resident.manifest_of(seat.role).format.clone();
        if let Some(Stage::Waiting { room_since, .. }) = resident.stage_mut(seat.role) {
            room_since.get_or_insert(now);
        }
        let ready = self.standbys(&format).find(|(_, is_ready)| *is_ready).map(|(id, _)| id.clone());
        if let Some(id) = &ready {
            self.hand_over(seat, id, (fit, spare), now);
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

    /// Asks a worker to go so that another model can come.
    fn evict(&mut self, id: &WorkerId, for_model: &str, now: Instant) {
        let Some(placed) = self.workers.get(id).and_then(|entry| entry.placed.clone()) else { return };
        let note = Note::new(Kind::ModelEvicted, &placed.model, format!("makes room for {for_model}"));
        self.nursery.note(note.with("worker", id).with("for_model", for_model));
        if placed.role == Role::Main {
            return self.leave(&placed.model, id.clone(), false, now);
        }
        let is_held = self.is_held(id);
        if let Some(entry) = self.workers.get(id) {
            order(entry, if is_held { Leave::Drain(now + self.settings.drain) } else { Leave::Now });
        }
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
