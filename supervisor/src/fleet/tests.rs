//! The fleet over scripted workers, on paused time.

use std::{
    collections::HashSet,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use impetus_proto::{Code, Error, launch::WorkerSpec, worker::Description};
use tokio::task::JoinHandle;

use super::*;
use crate::{
    attribution::ExitCause, leases::Lease, policy::restart::Limits, readahead::ReadAhead, worker::Adopted,
};

mod adoption;
mod ahead;
mod budget;
mod hindrance;
mod laws;
mod leaving;
mod residency;
mod restraint;
mod rooms;
mod slots;
mod swap;

const LIMITS: Limits = Limits {
    initial: Duration::from_millis(200),
    max: Duration::from_secs(30),
    window: Duration::from_mins(5),
    max_deaths: 5,
    healthy_after: Duration::from_secs(30),
};

/// Hands every birth to the test, which plays the worker.
struct Stage {
    births: mpsc::Sender<Actor>,
    /// What was to be read ahead, and how many bytes of it.
    ahead: mpsc::Sender<(Vec<PathBuf>, u64)>,
}

struct Actor {
    birth: Birth,
    orders: watch::Receiver<Orders>,
    events: mpsc::Sender<Event>,
    done: HashSet<&'static str>,
}

struct Play {
    births: mpsc::Receiver<Actor>,
    ahead: mpsc::Receiver<(Vec<PathBuf>, u64)>,
    fleet: FleetHandle,
    phase: watch::Sender<Phase>,
    memory: watch::Sender<Pools>,
    end: JoinHandle<()>,
}

impl Nursery for Stage {
    type Claimed = ();

    fn start(&mut self, birth: Birth, orders: watch::Receiver<Orders>, events: mpsc::Sender<Event>) {
        self.births.try_send(Actor { birth, orders, events, done: HashSet::new() }).unwrap();
    }

    fn adopt(&mut self, adopted: Adopted<()>, orders: watch::Receiver<Orders>, events: mpsc::Sender<Event>) {
        let Adopted { id, format, .. } = adopted;
        self.start(
            Birth { id, format, program: PathBuf::new(), threads: 0, sandbox: true, prefix_file_bytes: 0 },
            orders,
            events,
        );
    }

    fn read_ahead(&mut self, files: Vec<PathBuf>, bytes: u64) -> ReadAhead {
        self.ahead.try_send((files, bytes)).unwrap();
        ReadAhead::default()
    }
}

impl Actor {
    async fn tell(&self, what: What) {
        self.events.send(Event { id: self.birth.id.clone(), what }).await.unwrap();
    }

    /// Comes up as a standby.
    async fn rise(&self) {
        self.tell(What::Started { pid: 1 }).await;
        self.tell(What::Waiting).await;
    }

    async fn placed(&mut self) -> WorkerSpec {
        self.orders
            .wait_for(|orders| orders.place.is_some())
            .await
            .unwrap()
            .place
            .clone()
            .unwrap()
            .spec
            .clone()
    }

    async fn serve(&mut self) -> WorkerSpec {
        let spec = self.placed().await;
        self.tell(What::Progress(0.5)).await;
        self.tell(What::Serving(Box::new(Description { slots: 4, ..Description::default() }))).await;
        spec
    }

    async fn told_to(&mut self, leave: impl Fn(Leave) -> bool) {
        self.orders.wait_for(|orders| leave(orders.leave)).await.unwrap();
    }

    async fn crash(self) {
        self.tell(What::Exited(crash())).await;
    }

    async fn stop(mut self) {
        self.told_to(|leave| leave == Leave::Now).await;
        self.tell(What::Exited(ExitCause::Stopped)).await;
    }
}

impl Play {
    fn begin(standby: usize) -> Self {
        Self::inherit(standby, Vec::new())
    }

    fn inherit(standby: usize, inherited: Vec<Inherited<()>>) -> Self {
        let format = FormatSettings {
            program: "worker".into(),
            standby,
            threads: 0,
            sandbox: true,
            prefix_file_bytes: 0,
        };
        let settings = FleetSettings {
            formats: BTreeMap::from([("gguf".to_owned(), format)]),
            restart: LIMITS,
            drain: Duration::from_secs(30),
            runtime_dir: "/run".into(),
            margin: 1.25,
            wait: Duration::from_mins(1),
            turn: Duration::from_secs(2),
        };
        let (memory, measured) = watch::channel(Pools { limit: Memory::ram(100), ..Pools::default() });
        let footprints = Footprints::load(&PathBuf::from("/nonexistent"), &BTreeMap::new());
        let legacy = Legacy { workers: inherited, footprints };
        let (births, born) = mpsc::channel(64);
        let (ahead, read) = mpsc::channel(1024);
        let (phase, watched) = watch::channel(Phase::Running);
        let (fleet, end) = start(settings, Stage { births, ahead }, legacy, measured, watched);
        Self { births: born, ahead: read, fleet, phase, memory, end }
    }

    async fn next(&mut self) -> Actor {
        self.births.recv().await.unwrap()
    }

    /// The next worker, up.
    async fn risen(&mut self) -> Actor {
        let actor = self.next().await;
        actor.rise().await;
        actor
    }

    async fn acquire(&self, model: &str) -> Lease {
        self.fleet.acquire(Wanted::of(manifest(model))).await.unwrap()
    }

    async fn state(&self, model: &str) -> &'static str {
        self.fleet.snapshot().await.unwrap().models[model].state
    }
}

fn manifest(model: &str) -> Arc<Manifest> {
    let spec = WorkerSpec { model: model.into(), path: "/m".into(), ..WorkerSpec::default() };
    Arc::new(Manifest {
        spec,
        files: Vec::new(),
        format: "gguf".into(),
        pin: false,
        ttl: None,
        modified: None,
        size_bytes: 0,
        footprint: Memory::default(),
        growth: None,
        fixed: None,
        widths: Vec::new(),
    })
}

fn crash() -> ExitCause {
    ExitCause::Exited { code: 4, last_words: vec!["boom".into()] }
}

fn broken_file() -> ExitCause {
    ExitCause::LoadFailed(Error::new(Code::ModelLoadFailed, "bad magic"))
}
