//! Which workers are up. One task owns all of it: it hears commands and what workers do, and gives orders.
//! What follows from what is in `residency` (models) and `pool` (standbys); this file is the loop around them.

mod pool;
mod residency;
mod resident;
mod snapshot;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use impetus_proto::{Code, Error, launch::WorkerSpec, worker::Stats};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

pub use snapshot::{ModelRow, Snapshot, WorkerRow};

use self::{pool::Pool, resident::Resident};
use crate::{
    budget::Memory,
    leases::{Lease, LeaseId, LeaseState, Releases},
    policy::restart::Limits,
    shutdown::Phase,
    worker::{Birth, Event, Leave, Nursery, Orders, State, What, WorkerId},
};

/// Commands and events that may wait.
const WAITING: usize = 256;

/// What a model is to the fleet.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    /// What its worker is told, but for the socket.
    pub spec: WorkerSpec,
    /// The format, and so the kind of worker.
    pub format: String,
    /// Never stopped for being idle.
    pub pin: bool,
    /// Stopped after this long without a lease.
    pub ttl: Option<Duration>,
    /// When its file was last written: another one deserves another try.
    pub modified: Option<SystemTime>,
    /// Bytes of its files.
    pub size_bytes: u64,
    /// What its worker will hold, by formula; measured peaks count more.
    pub footprint: Memory,
    /// What its worker is given whatever is computed or measured.
    pub fixed: Option<Memory>,
}

/// How the workers of one format are run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatSettings {
    /// The program.
    pub program: PathBuf,
    /// Workers kept started without a model.
    pub standby: usize,
    /// Compute threads of the engine; 0 leaves it to the engine.
    pub threads: u32,
}

/// Settings of the fleet.
#[derive(Debug, Clone)]
pub struct FleetSettings {
    /// By format.
    pub formats: BTreeMap<String, FormatSettings>,
    /// When the dead are started again.
    pub restart: Limits,
    /// How long leases may go on when their worker is stopped.
    pub drain: Duration,
    /// Where workers' sockets are.
    pub runtime_dir: PathBuf,
}

/// Gives commands to the fleet.
#[derive(Debug, Clone)]
pub struct FleetHandle {
    commands: mpsc::Sender<Command>,
    changes: watch::Receiver<u64>,
}

/// What a restart was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restarted {
    /// A model, which is being placed again.
    Model(String),
    /// A standby, whose successor starts.
    Standby,
}

#[derive(Debug)]
enum Command {
    Acquire { manifest: Arc<Manifest>, reply: oneshot::Sender<Lease> },
    Place { manifest: Arc<Manifest> },
    Unload { model: String, reply: oneshot::Sender<()> },
    Restart { target: String, reply: oneshot::Sender<Option<Restarted>> },
    Forgive { manifest: Arc<Manifest>, reply: oneshot::Sender<()> },
    Snapshot { reply: oneshot::Sender<Snapshot> },
}

/// The owner of all workers.
struct Fleet<N> {
    settings: FleetSettings,
    nursery: N,
    events: mpsc::Sender<Event>,
    releases: Arc<Releases>,
    changes: watch::Sender<u64>,
    pools: BTreeMap<String, Pool>,
    residents: BTreeMap<String, Resident>,
    workers: BTreeMap<WorkerId, Entry>,
    leases: BTreeMap<LeaseId, LeaseEntry>,
    next_lease: u64,
    next_worker: u64,
    is_stopping: bool,
}

/// A worker that has a process.
#[derive(Debug)]
struct Entry {
    format: String,
    model: Option<String>,
    state: State,
    orders: watch::Sender<Orders>,
    pid: Option<u32>,
    started: Instant,
    /// When it became useful: as a standby, then as a model's worker.
    useful_since: Option<Instant>,
    stats: Stats,
}

#[derive(Debug)]
struct LeaseEntry {
    model: String,
    /// The worker it was told of.
    worker: Option<WorkerId>,
    states: watch::Sender<LeaseState>,
}

/// Starts the fleet. It ends after `phase` says so and the last worker is gone.
pub fn start(
    settings: FleetSettings,
    nursery: impl Nursery,
    phase: watch::Receiver<Phase>,
) -> (FleetHandle, tokio::task::JoinHandle<()>) {
    let (commands, incoming) = mpsc::channel(WAITING);
    let (events, happenings) = mpsc::channel(WAITING);
    let (changes, watched) = watch::channel(0);
    let pools =
        settings.formats.iter().map(|(name, format)| (name.clone(), Pool::new(format.clone()))).collect();
    let fleet = Fleet {
        settings,
        nursery,
        events,
        releases: Arc::default(),
        changes,
        pools,
        residents: BTreeMap::new(),
        workers: BTreeMap::new(),
        leases: BTreeMap::new(),
        next_lease: 0,
        next_worker: 0,
        is_stopping: false,
    };
    let task = tokio::spawn(fleet.run(incoming, happenings, phase));
    (FleetHandle { commands, changes: watched }, task)
}

impl FleetHandle {
    /// A lease on the model, which tells how the wait goes.
    pub async fn acquire(&self, manifest: Arc<Manifest>) -> Result<Lease, Error> {
        self.ask(|reply| Command::Acquire { manifest, reply }).await
    }

    /// Has the model placed, and waits for nothing.
    pub async fn place(&self, manifest: Arc<Manifest>) -> Result<(), Error> {
        self.commands.send(Command::Place { manifest }).await.map_err(|_| stopping())
    }

    /// Drains and stops the model's worker; answers when it is gone.
    pub async fn unload(&self, model: String) -> Result<(), Error> {
        self.ask(|reply| Command::Unload { model, reply }).await
    }

    /// Stops what `target`, a model or a worker, names and clears its failure; it is started again. `None` when
    /// the fleet has never had such a thing.
    pub async fn restart(&self, target: String) -> Result<Option<Restarted>, Error> {
        self.ask(|reply| Command::Restart { target, reply }).await
    }

    /// Clears the failure of the model and of its format's standbys, and ends their backoff.
    pub async fn forgive(&self, manifest: Arc<Manifest>) -> Result<(), Error> {
        self.ask(|reply| Command::Forgive { manifest, reply }).await
    }

    /// How things stand.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        self.ask(|reply| Command::Snapshot { reply }).await
    }

    /// Changes whenever a snapshot would.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())
    }
}

fn stopping() -> Error {
    Error::new(Code::Unavailable, "the server is stopping")
}

impl<N: Nursery> Fleet<N> {
    async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut events: mpsc::Receiver<Event>,
        mut phase: watch::Receiver<Phase>,
    ) {
        let releases = self.releases.clone();
        while !(self.is_stopping && self.workers.is_empty()) {
            let now = Instant::now();
            self.on_time(now);
            self.start_standbys(now);
            let deadline = self.deadline();
            tokio::select! {
                biased;
                changed = phase.changed(), if !matches!(*phase.borrow(), Phase::Hurried) => {
                    let phase = if changed.is_ok() { *phase.borrow_and_update() } else { Phase::Hurried };
                    self.on_phase(phase);
                }
                Some(event) = events.recv() => self.on_event(event, Instant::now()),
                () = releases.any() => self.on_releases(Instant::now()),
                Some(command) = commands.recv() => self.on_command(command, Instant::now()),
                () = sleep_until(deadline.unwrap_or(now)), if deadline.is_some() => {}
            }
        }
    }

    fn on_command(&mut self, command: Command, now: Instant) {
        // Whoever asked and no longer waits for the answer needs none.
        match command {
            Command::Acquire { manifest, reply } => drop(reply.send(self.acquire(&manifest, now))),
            Command::Place { manifest } => self.place(&manifest, now),
            Command::Unload { model, reply } => self.unload(&model, reply, now),
            Command::Restart { target, reply } => drop(reply.send(self.restart(&target, now))),
            Command::Forgive { manifest, reply } => {
                self.forgive(&manifest.spec.model, &manifest.format, now);
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
                self.on_standby(&id, now);
            }
            What::Progress(progress) => entry.state = State::Loading { progress },
            What::Serving(description) => {
                entry.state = State::Ready;
                entry.useful_since = Some(now);
                entry.stats.slots_total = description.slots;
            }
            What::Tick(tick) => {
                let stats = tick.stats.unwrap_or_default();
                let is_same = (stats.slots_busy, stats.slots_total)
                    == (entry.stats.slots_busy, entry.stats.slots_total);
                entry.stats = stats;
                if is_same {
                    return;
                }
            }
            What::Draining(deadline) => entry.state = State::Draining { deadline },
            What::Stopping => entry.state = State::Stopping,
            What::Exited(_) | What::Limited { .. } => {}
        }
        if let Some(model) = self.workers.get(&id).and_then(|entry| entry.model.clone()) {
            self.tell_leases(&model, now);
        }
        self.changed();
    }

    fn on_releases(&mut self, now: Instant) {
        for id in self.releases.take() {
            if let Some(lease) = self.leases.remove(&id) {
                self.after_release(&lease.model, now);
            }
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
        };
        let (orders, given) = watch::channel(Orders::default());
        self.nursery.start(birth, given, self.events.clone());
        let entry = Entry {
            format: format.into(),
            model: None,
            state: State::Standby { ready: false },
            orders,
            pid: None,
            started: now,
            useful_since: None,
            stats: Stats::default(),
        };
        self.workers.insert(id, entry);
        self.changed();
    }

    fn changed(&self) {
        self.changes.send_modify(|version| *version += 1);
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
