//! Which workers are up. One task owns all of it: it hears commands and what workers do, and gives orders.
//! What follows from what is in the files of this folder; this one is the loop around them.

mod account;
mod adoption;
mod ahead;
mod alone;
mod coming;
mod handle;
mod handover;
mod hindrance;
mod leasing;
mod notes;
mod placement;
mod pool;
mod refusal;
mod residency;
mod restraint;
mod rooms;
mod seat;
mod settings;
mod slots;
mod snapshot;
mod successor;
mod way;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use impetus_proto::worker::Stats;
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

pub use adoption::Inherited;
pub use handle::{FleetHandle, KeepAlive, Restarted, Wanted};
pub use seat::Role;
pub use settings::{FleetSettings, FormatSettings, Manifest, Width};
pub use snapshot::{Exit, ModelRow, Snapshot, WorkerRow};
pub use way::LoadTimes;

use self::{ahead::Ahead, handle::Command, pool::Pool, rooms::Room, seat::Resident, way::Way};
use crate::{
    budget::{Memory, Pools},
    footprints::Footprints,
    leases::{LeaseId, LeaseState, Releases},
    limit::Enforcer,
    policy::power::Restraint,
    shutdown::Phase,
    worker::{Birth, Event, Leave, Nursery, Orders, State, What, WorkerId},
};

/// Commands and events that may wait.
const WAITING: usize = 256;

/// What an earlier run of the server has left.
#[derive(Debug)]
pub struct Legacy<P> {
    /// Its workers.
    pub workers: Vec<Inherited<P>>,
    /// What it has measured.
    pub footprints: Footprints,
}

/// The owner of all workers.
struct Fleet<N> {
    settings: FleetSettings,
    nursery: N,
    events: mpsc::Sender<Event>,
    memory: watch::Receiver<Pools>,
    footprints: Footprints,
    /// Until then what was measured of the machine may be what a dying worker still held.
    settled_at: Instant,
    releases: Arc<Releases>,
    changes: watch::Sender<u64>,
    pools: BTreeMap<String, Pool>,
    residents: BTreeMap<String, Resident>,
    workers: BTreeMap<WorkerId, Entry>,
    leases: BTreeMap<LeaseId, LeaseEntry>,
    /// Models that wait, whose weights are read meanwhile.
    ahead: BTreeMap<String, Ahead>,
    /// How often workers ended, by whose and why.
    exits: BTreeMap<Exit, u64>,
    next_lease: u64,
    next_worker: u64,
    restraint: Restraint,
    is_stopping: bool,
}

/// A worker that has a process.
#[derive(Debug)]
struct Entry {
    format: String,
    /// What it serves, and what it was told.
    placed: Option<Placed>,
    state: State,
    orders: watch::Sender<Orders>,
    pid: Option<u32>,
    started: Instant,
    /// When it became useful: as a standby, then as a model's worker.
    useful_since: Option<Instant>,
    stats: Stats,
    /// The most that it has held, but for prefixes.
    peaks: Memory,
    /// Who holds it to its limit.
    limited_by: Option<Enforcer>,
    /// How far it is confined.
    sandbox: String,
}

/// A worker's part.
#[derive(Debug, Clone)]
struct Placed {
    model: String,
    role: Role,
    manifest: Arc<Manifest>,
    /// What the budget counts for it, but for prefixes.
    footprint: Memory,
    /// What it may keep prefixes in.
    room: Room,
    /// RAM at which it is killed.
    limit_bytes: Option<u64>,
    since: Instant,
    way: Way,
}

#[derive(Debug)]
struct LeaseEntry {
    model: String,
    alone: bool,
    /// The worker it was told of.
    worker: Option<WorkerId>,
    states: watch::Sender<LeaseState>,
}

/// Starts the fleet with what was left to it. They hold no more than `memory` says. It ends after `phase` says
/// so and the last worker is gone.
pub fn start<N: Nursery>(
    settings: FleetSettings,
    nursery: N,
    legacy: Legacy<N::Claimed>,
    memory: watch::Receiver<Pools>,
    phase: watch::Receiver<Phase>,
) -> (FleetHandle, tokio::task::JoinHandle<()>) {
    let (commands, incoming) = mpsc::channel(WAITING);
    let (events, happenings) = mpsc::channel(WAITING);
    let (changes, watched) = watch::channel(0);
    let pools =
        settings.formats.iter().map(|(name, format)| (name.clone(), Pool::new(format.clone()))).collect();
    let mut fleet = Fleet {
        settings,
        nursery,
        events,
        memory,
        footprints: legacy.footprints,
        settled_at: Instant::now(),
        releases: Arc::default(),
        changes,
        pools,
        residents: BTreeMap::new(),
        workers: BTreeMap::new(),
        leases: BTreeMap::new(),
        ahead: BTreeMap::new(),
        next_lease: 0,
        next_worker: 0,
        restraint: Restraint::None,
        exits: BTreeMap::new(),
        is_stopping: false,
    };
    fleet.adopt(legacy.workers, Instant::now());
    let task = tokio::spawn(fleet.run(incoming, happenings, phase));
    (FleetHandle { commands, changes: watched }, task)
}

impl Entry {
    fn model(&self) -> Option<&str> {
        self.placed.as_ref().map(|placed| placed.model.as_str())
    }

    fn is_leaving(&self) -> bool {
        self.orders.borrow().leave != Leave::No
    }
}

impl<N: Nursery> Fleet<N> {
    async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut events: mpsc::Receiver<Event>,
        mut phase: watch::Receiver<Phase>,
    ) {
        let releases = self.releases.clone();
        let mut memory = self.memory.clone();
        let mut is_measured = true;
        while !(self.is_stopping && self.workers.is_empty()) {
            let now = Instant::now();
            self.on_time(now);
            self.advance(now);
            self.start_standbys(now);
            self.tell_retired();
            let deadline = self.deadline(now);
            tokio::select! {
                biased;
                changed = phase.changed(), if !matches!(*phase.borrow(), Phase::Hurried) => {
                    let phase = if changed.is_ok() { *phase.borrow_and_update() } else { Phase::Hurried };
                    self.on_phase(phase);
                }
                Some(event) = events.recv() => self.on_event(event, Instant::now()),
                () = releases.any() => self.on_releases(Instant::now()),
                Some(command) = commands.recv() => self.on_command(command, Instant::now()),
                changed = memory.changed(), if is_measured => is_measured = changed.is_ok(),
                () = sleep_until(deadline.unwrap_or(now)), if deadline.is_some() => {}
            }
        }
    }

    fn on_command(&mut self, command: Command, now: Instant) {
        // Whoever asked and no longer waits for the answer needs none.
        match command {
            Command::Acquire { wanted, reply } => drop(reply.send(self.acquire(&wanted, now))),
            Command::Place { manifest } if self.is_left_out(&manifest.spec.model) => return,
            Command::Place { manifest } => self.place(&manifest, now),
            Command::Unload { model, reply } => self.unload(&model, reply, now),
            Command::Restart { target, reply } => drop(reply.send(self.restart(&target, now))),
            Command::Replace { manifest, reply } => self.replace(manifest, reply, now),
            Command::FitsBeside { manifest, keep, reply } => {
                let _ = reply.send(self.fits_beside(&manifest, &keep, now));
                return;
            }
            Command::Forgive { manifest, reply } => {
                self.forgive(&manifest.spec.model, &manifest.format, now);
                let _ = reply.send(());
            }
            Command::Restrain { restraint } => self.restrain(restraint),
            Command::Configure { settings, reply } => {
                self.configure(*settings);
                let _ = reply.send(());
            }
            Command::Snapshot { reply } => {
                drop(reply.send(self.snapshot(now)));
                return;
            }
        }
        self.changed();
    }

    fn on_event(&mut self, Event { id, what }: Event, now: Instant) {
        if let What::Exited(cause) = what {
            self.on_exit(&id, &cause, now);
            return self.changed();
        }
        let Some(entry) = self.workers.get_mut(&id) else { return };
        match what {
            What::Started { pid } => entry.pid = Some(pid),
            What::Waiting => {
                entry.state = State::Standby { ready: true };
                entry.useful_since = Some(now);
                self.on_standby(&id);
            }
            What::Progress(progress) => {
                entry.state = State::Loading { progress };
                if let Some(placed) = &mut entry.placed {
                    placed.way.load(now);
                }
            }
            What::Serving(description) => {
                entry.state = State::Ready;
                entry.useful_since = Some(now);
                entry.stats.slots_total = description.slots;
                self.on_serving(&id, now);
            }
            What::Tick(tick) => {
                let stats = tick.stats.unwrap_or_default();
                let shown = |stats: &Stats| (stats.slots_busy, stats.slots_total, stats.waiting);
                let is_same = shown(&stats) == shown(&entry.stats);
                entry.stats = stats;
                self.hear_room(&id);
                self.on_peaks(&id, &tick.peaks);
                if is_same {
                    return;
                }
            }
            What::Draining(deadline) => entry.state = State::Draining { deadline },
            What::Stopping => entry.state = State::Stopping,
            What::Peaks(peaks) => self.on_peaks(&id, &peaks),
            What::Limited { by, .. } => entry.limited_by = Some(by),
            What::Sandboxed(level) => entry.sandbox = level,
            What::Exited(_) => {}
        }
        if let Some(model) = self.workers.get(&id).and_then(Entry::model).map(ToOwned::to_owned) {
            self.tell_leases(&model, now);
        }
        self.changed();
    }

    /// Stops everything: what nobody leases at once, the rest by the deadline, or all of it right now.
    fn on_phase(&mut self, phase: Phase) {
        let held: Vec<WorkerId> = self.leases.values().filter_map(|lease| lease.worker.clone()).collect();
        for (id, entry) in &self.workers {
            let leave = match phase {
                Phase::Running => return,
                Phase::Draining { deadline } if held.contains(id) => Leave::Drain(deadline),
                Phase::Draining { .. } => Leave::Now,
                Phase::Hurried => Leave::Kill,
            };
            order(entry, leave);
        }
        self.is_stopping = true;
        let models: Vec<String> = self.residents.keys().cloned().collect();
        for model in &models {
            self.tell_leases(model, Instant::now());
        }
        self.changed();
    }

    fn start_standbys(&mut self, now: Instant) {
        if self.is_stopping {
            return;
        }
        let formats: Vec<String> = self.pools.keys().cloned().collect();
        for format in formats {
            for _ in 0..self.missing_standbys(&format, now) {
                self.start_worker(&format, now);
            }
        }
    }

    fn start_worker(&mut self, format: &str, now: Instant) {
        let Some(pool) = self.pools.get_mut(format) else { return };
        self.next_worker += 1;
        let id = WorkerId::new(format, self.next_worker);
        let settings = &pool.settings;
        let birth = Birth {
            id: id.clone(),
            format: format.into(),
            program: settings.program.clone(),
            threads: settings.threads,
            sandbox: settings.sandbox,
            prefix_file_bytes: settings.prefix_file_bytes,
        };
        let (orders, given) = watch::channel(Orders::default());
        self.nursery.start(birth, given, self.events.clone());
        self.workers.insert(id, Entry::new(format, orders, now));
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|version| *version += 1);
    }
}

impl Entry {
    fn new(format: &str, orders: watch::Sender<Orders>, now: Instant) -> Self {
        Self {
            format: format.into(),
            placed: None,
            state: State::Standby { ready: false },
            orders,
            pid: None,
            started: now,
            useful_since: None,
            stats: Stats::default(),
            peaks: Memory::default(),
            limited_by: None,
            sandbox: String::new(),
        }
    }
}

/// Tells a worker to go. It never goes slower than it was told before.
fn order(entry: &Entry, leave: Leave) {
    entry.orders.send_if_modified(|orders| {
        let rank = |leave| match leave {
            Leave::No => 0,
            Leave::Drain(_) => 1,
            Leave::Now => 2,
            Leave::Kill => 3,
        };
        let is_faster = rank(leave) > rank(orders.leave)
            || matches!((leave, orders.leave), (Leave::Drain(new), Leave::Drain(old)) if new < old);
        if is_faster {
            orders.leave = leave;
        }
        is_faster
    });
}
