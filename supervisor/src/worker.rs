//! One worker: a process that starts as a standby of its format, is given one model and serves it for life. Its
//! life is a task whose control flow is the state machine; the fleet gives orders and hears events.

mod driver;
mod state;

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use impetus_proto::{
    launch::{LogSpec, PoolBytes, Tick, WorkerSpec},
    worker::Description,
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

pub use state::State;

use crate::{
    adoption::{Claimed, Records},
    attribution::ExitCause,
    cgroup::Cgroups,
    crashes::Crash,
    events::Note,
    launch::Launcher,
    limit::Enforcer,
    policy::health::Patience,
    prefixes::PrefixFiles,
    readahead::ReadAhead,
    witness::Witness,
};

/// A worker's name, which no other worker of this server ever has: its format and a number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(Arc<str>);

/// What a worker is born as.
#[derive(Debug, Clone)]
pub struct Birth {
    /// Its name.
    pub id: WorkerId,
    /// The format it serves.
    pub format: String,
    /// Its program.
    pub program: PathBuf,
    /// Compute threads of its engine; 0 leaves it to the engine.
    pub threads: u32,
    /// Whether it is to give up what it does not need.
    pub sandbox: bool,
    /// The most, in bytes, that the file of its prefixes may ever have.
    pub prefix_file_bytes: u64,
}

/// A worker with a model that a former supervisor had started.
#[derive(Debug)]
pub struct Adopted<P = Claimed> {
    /// Its name.
    pub id: WorkerId,
    /// The format it serves.
    pub format: String,
    /// What it was told of its model.
    pub spec: WorkerSpec,
    /// What it says of the model; `None` while it loads that.
    pub description: Option<Description>,
    /// What it has given up, in words.
    pub sandbox: String,
    /// Its process.
    pub process: P,
}

/// What the fleet wants of a worker. The latest orders count, so a stop overtakes a start.
#[derive(Debug, Clone, Default)]
pub struct Orders {
    /// The model to load.
    pub place: Option<Arc<Placement>>,
    /// RAM, in bytes, that it may keep prefixes in from now on; absent: what the placement says.
    pub prefix_room: Option<u64>,
    /// Whether to go.
    pub leave: Leave,
}

/// A model for a worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Placement {
    /// What it is told, but for the file of its prefixes.
    pub spec: WorkerSpec,
    /// All files of the model, by whose versions it is known which prefixes are its own.
    pub files: Vec<PathBuf>,
    /// RAM, in bytes, at which it is killed; `None`: no limit.
    pub limit_bytes: Option<u64>,
}

/// Whether, and how fast, a worker is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leave {
    /// Stay.
    #[default]
    No,
    /// Go at this time at the latest; until then its leases may finish.
    Drain(Instant),
    /// Go now, finishing what runs if that is quick.
    Now,
    /// Be gone.
    Kill,
}

/// Something that a worker did.
#[derive(Debug)]
pub struct Event {
    /// The worker.
    pub id: WorkerId,
    /// What it did.
    pub what: What,
}

/// What a worker did.
#[derive(Debug)]
pub enum What {
    /// Its process runs.
    Started {
        /// The process.
        pid: u32,
    },
    /// It is held to this much RAM.
    Limited {
        /// By whom.
        by: Enforcer,
        /// How much, in bytes.
        limit_bytes: u64,
    },
    /// This is how far it is confined: "landlock 7", "none" with the reason, "off".
    Sandboxed(String),
    /// It has initialised its engine and waits for a model.
    Waiting,
    /// It has loaded this part, 0 to 1, of its model.
    Progress(f32),
    /// It serves.
    Serving(Box<Description>),
    /// This is the most that it has held.
    Peaks(Vec<PoolBytes>),
    /// It says how it is.
    Tick(Box<Tick>),
    /// It finishes its leases until then.
    Draining(Instant),
    /// It was asked to end.
    Stopping,
    /// It has ended. Always the last event.
    Exited(ExitCause),
}

/// Starts the life of a worker. The fleet's tests put scripted lives here.
pub trait Nursery: Send + 'static {
    /// A process of a former supervisor.
    type Claimed: Send;

    /// Starts `birth`, which follows `orders` and tells `events`, an exit last.
    fn start(&mut self, birth: Birth, orders: watch::Receiver<Orders>, events: mpsc::Sender<Event>);

    /// Goes on with the life of a worker that loads its model or, when it has described that, serves. The first event
    /// says that it runs; what it did before is not told again.
    fn adopt(
        &mut self,
        adopted: Adopted<Self::Claimed>,
        orders: watch::Receiver<Orders>,
        events: mpsc::Sender<Event>,
    );

    /// Reads these files for a worker to come, `bytes` of them at most, until what this answers is dropped.
    fn read_ahead(&mut self, files: Vec<PathBuf>, bytes: u64) -> ReadAhead {
        let _ = (files, bytes);
        ReadAhead::default()
    }

    /// Remembers something that happened.
    fn note(&mut self, note: Note) {
        drop(note);
    }

    /// Reports a death that nobody had asked for, which `note` tells of.
    fn report(&mut self, crash: Crash, note: Note) {
        drop((crash, note));
    }
}

/// Patience with a worker.
#[derive(Debug, Clone, Copy)]
pub struct Timeouts {
    /// Without progress while starting or loading.
    pub load: Duration,
    /// Without a step while work is pending, and without a word.
    pub hang: Patience,
    /// From SIGTERM to SIGKILL.
    pub kill: Duration,
}

/// Real lives, in processes.
#[derive(Debug)]
pub struct Processes {
    /// Starts them.
    pub launcher: Launcher,
    /// Takes their output, and writes down what happens to them.
    pub witness: Witness,
    /// How they log.
    pub log: LogSpec,
    /// Patience with them, which may change.
    pub timeouts: watch::Receiver<Timeouts>,
    /// Where they run.
    pub working_dir: PathBuf,
    /// Where they are written down for the next supervisor.
    pub records: Records,
    /// Control groups that hold them to their memory, where there are any.
    pub cgroups: Option<Cgroups>,
    /// The files of their prefixes.
    pub prefixes: PrefixFiles,
}

impl WorkerId {
    /// The `number`th worker of `format`.
    pub fn new(format: &str, number: u64) -> Self {
        Self(format!("{format}-{number}").into())
    }

    /// The worker of `format` that is called `name`, if a worker of it can be.
    pub fn parse(format: &str, name: &str) -> Option<Self> {
        let id = Self(name.into());
        (Self::new(format, id.number()?).as_str() == name).then_some(id)
    }

    /// Which one of its format it is.
    pub fn number(&self) -> Option<u64> {
        self.0.rsplit_once('-')?.1.parse().ok()
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Nursery for Processes {
    type Claimed = Claimed;

    fn start(&mut self, birth: Birth, orders: watch::Receiver<Orders>, events: mpsc::Sender<Event>) {
        tokio::spawn(driver::run(birth, self.setup(), orders, events));
    }

    fn adopt(&mut self, adopted: Adopted, orders: watch::Receiver<Orders>, events: mpsc::Sender<Event>) {
        tokio::spawn(driver::adopt(adopted, self.setup(), orders, events));
    }

    fn read_ahead(&mut self, files: Vec<PathBuf>, bytes: u64) -> ReadAhead {
        ReadAhead::start(files, bytes)
    }

    fn note(&mut self, note: Note) {
        self.witness.events.note(note);
    }

    fn report(&mut self, crash: Crash, note: Note) {
        self.witness.report(crash, note);
    }
}

impl Processes {
    fn setup(&self) -> driver::Setup {
        driver::Setup {
            launcher: self.launcher.clone(),
            logs: self.witness.logs.clone(),
            levels: self.witness.levels.watch(),
            log: self.log.clone(),
            timeouts: self.timeouts.clone(),
            working_dir: self.working_dir.clone(),
            records: self.records.clone(),
            cgroups: self.cgroups.clone(),
            prefixes: self.prefixes.clone(),
        }
    }
}
