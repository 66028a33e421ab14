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
mod rooms;
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
    })
}

fn crash() -> ExitCause {
    ExitCause::Exited { code: 4, last_words: vec!["boom".into()] }
}

fn broken_file() -> ExitCause {
    ExitCause::LoadFailed(Error::new(Code::ModelLoadFailed, "bad magic"))
}

#[tokio::test(start_paused = true)]
async fn a_standby_becomes_the_models_worker_and_the_next_one_starts() {
    let mut play = Play::begin(1);
    let mut first = play.risen().await;
    let mut lease = play.acquire("a").await;
    let spec = first.serve().await;
    assert_eq!((spec.model.as_str(), spec.socket.as_str()), ("a", "/run/gguf-1.sock"));
    let hold = lease.ready().await.unwrap();
    assert_eq!((hold.endpoint.as_str(), hold.worker.as_str()), ("unix:///run/gguf-1.sock", "gguf-1"));
    assert_eq!(play.next().await.birth.id.as_str(), "gguf-2");
    let snapshot = play.fleet.snapshot().await.unwrap();
    let states: Vec<_> =
        snapshot.workers.iter().map(|row| (row.id.as_str(), row.state.name(), row.leases)).collect();
    assert_eq!(states, [("gguf-1", "ready", 1), ("gguf-2", "standby", 0)]);
}

#[tokio::test(start_paused = true)]
async fn without_standbys_a_worker_starts_when_it_is_wanted() {
    let mut play = Play::begin(0);
    let mut lease = play.acquire("a").await;
    assert!(matches!(lease.next().await, LeaseState::Queued(_)));
    let mut worker = play.risen().await;
    worker.serve().await;
    lease.ready().await.unwrap();
    assert!(play.births.try_recv().is_err(), "no standby is wanted");
}

#[tokio::test(start_paused = true)]
async fn a_death_ends_its_leases_and_the_successor_serves_new_ones() {
    let mut play = Play::begin(1);
    let mut first = play.risen().await;
    let mut lease = play.acquire("a").await;
    first.serve().await;
    lease.ready().await.unwrap();
    let mut second = play.risen().await;
    first.crash().await;
    let LeaseState::Lost(loss) = lease.next().await else { panic!("the lease goes on") };
    assert_eq!((loss.cause.as_str(), loss.may_be_request), ("exited with code 4; it last said: boom", true));
    let mut again = play.acquire("a").await;
    second.serve().await;
    assert_eq!(again.ready().await.unwrap().worker.as_str(), "gguf-2");
    let snapshot = play.fleet.snapshot().await.unwrap();
    assert_eq!(snapshot.workers[0].restarts, 1);
    assert_eq!(snapshot.workers[0].last_exit.as_deref(), Some("exited with code 4; it last said: boom"));
}

#[tokio::test(start_paused = true)]
async fn who_waits_goes_on_waiting_when_a_load_crashes() {
    let mut play = Play::begin(1);
    let mut first = play.risen().await;
    let mut lease = play.acquire("a").await;
    first.placed().await;
    first.crash().await;
    let mut second = play.risen().await;
    second.serve().await;
    assert_eq!(lease.ready().await.unwrap().worker.as_str(), "gguf-2");
}

#[tokio::test(start_paused = true)]
async fn a_crash_loop_is_given_up_and_delays_nobody_else() {
    let mut play = Play::begin(1);
    let mut lease = play.acquire("bad").await;
    for _ in 0..4 {
        let mut worker = play.risen().await;
        worker.placed().await;
        worker.crash().await;
    }
    assert_eq!(play.state("bad").await, "backoff");
    let start = Instant::now();
    let mut good = play.acquire("good").await;
    let mut worker = play.risen().await;
    assert_eq!(worker.serve().await.model, "good");
    good.ready().await.unwrap();
    assert_eq!(Instant::now() - start, Duration::ZERO, "the other model's backoff is not waited for");
    let mut last = play.risen().await;
    assert_eq!(last.placed().await.model, "bad");
    last.crash().await;
    let error = lease.ready().await.unwrap_err();
    assert_eq!((error.code(), error.retry_after_s), (Code::ModelLoadFailed, 30));
    assert!(error.message.contains("5 times within 300 s"), "{error}");
    assert_eq!(play.acquire("bad").await.ready().await.unwrap_err(), error, "refused at once");
    assert_eq!(play.fleet.restart("bad".into()).await.unwrap(), Some(Restarted::Model("bad".into())));
    let mut retried = play.acquire("bad").await;
    play.risen().await.serve().await;
    retried.ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_broken_file_is_not_tried_again_until_it_is_another() {
    let mut play = Play::begin(1);
    let mut worker = play.risen().await;
    let mut lease = play.acquire("a").await;
    worker.placed().await;
    worker.tell(What::Exited(broken_file())).await;
    let error = lease.ready().await.unwrap_err();
    assert_eq!(error.code(), Code::ModelLoadFailed);
    assert_eq!(error.message, "a cannot be loaded: bad magic");
    assert_eq!(play.state("a").await, "failed");
    let mut next = play.risen().await;
    assert!(play.acquire("a").await.ready().await.is_err());
    let replaced = Manifest { modified: Some(SystemTime::UNIX_EPOCH), ..Manifest::clone(&manifest("a")) };
    let mut lease = play.fleet.acquire(Wanted::of(replaced.into())).await.unwrap();
    next.serve().await;
    lease.ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn unloading_waits_for_leases_and_new_ones_for_the_next_worker() {
    let mut play = Play::begin(1);
    let mut first = play.risen().await;
    let mut lease = play.acquire("a").await;
    first.serve().await;
    lease.ready().await.unwrap();
    let fleet = play.fleet.clone();
    let unloading = tokio::spawn(async move { fleet.unload("a".into()).await });
    first.told_to(|leave| matches!(leave, Leave::Drain(_))).await;
    let mut late = play.acquire("a").await;
    assert!(matches!(late.next().await, LeaseState::Queued(_)));
    assert!(!unloading.is_finished());
    drop(lease);
    first.stop().await;
    unloading.await.unwrap().unwrap();
    play.risen().await.serve().await;
    assert_eq!(late.ready().await.unwrap().worker.as_str(), "gguf-2");
}

#[tokio::test(start_paused = true)]
async fn an_unloaded_model_stays_away() {
    let mut play = Play::begin(0);
    let mut lease = play.acquire("a").await;
    let mut worker = play.risen().await;
    worker.serve().await;
    lease.ready().await.unwrap();
    drop(lease);
    let fleet = play.fleet.clone();
    let (unloaded, ()) = tokio::join!(fleet.unload("a".into()), worker.stop());
    unloaded.unwrap();
    assert_eq!(play.state("a").await, "available");
    play.fleet.unload("a".into()).await.unwrap();
    assert!(play.births.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn an_idle_model_is_stopped_after_its_time_unless_pinned() {
    let mut play = Play::begin(0);
    let idle = Manifest { ttl: Some(Duration::from_mins(1)), ..Manifest::clone(&manifest("idle")) };
    let pinned = Manifest { pin: true, spec: manifest("pinned").spec.clone(), ..idle.clone() };
    let mut workers = Vec::new();
    for manifest in [pinned, idle] {
        let mut lease = play.fleet.acquire(Wanted::of(manifest.into())).await.unwrap();
        let mut worker = play.risen().await;
        worker.serve().await;
        lease.ready().await.unwrap();
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(worker.orders.borrow().leave, Leave::No, "leased");
        workers.push(worker);
    }
    let start = Instant::now();
    workers.pop().unwrap().stop().await;
    assert_eq!(Instant::now() - start, Duration::from_mins(1));
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(workers.pop().unwrap().orders.borrow().leave, Leave::No, "pinned");
}

#[tokio::test(start_paused = true)]
async fn standbys_that_never_come_up_are_reported_and_tried_slowly() {
    let mut play = Play::begin(1);
    for _ in 0..5 {
        play.next().await.crash().await;
    }
    let mut lease = play.acquire("a").await;
    let error = lease.ready().await.unwrap_err();
    assert_eq!(error.code(), Code::ModelLoadFailed);
    assert!(error.message.contains("no gguf worker starts: the last one exited with code 4"), "{error}");
    let start = Instant::now();
    let risen = play.next().await;
    assert_eq!(Instant::now() - start, LIMITS.max, "it is tried again by itself");
    risen.crash().await;
    play.fleet.forgive(manifest("a")).await.unwrap();
    play.risen().await.serve().await;
    assert_eq!(Instant::now() - start, LIMITS.max, "or at once when it is asked for");
    assert_eq!(play.acquire("a").await.ready().await.unwrap().model, "a");
}

#[tokio::test(start_paused = true)]
async fn the_end_drains_what_is_leased_and_refuses_what_is_new() {
    let mut play = Play::begin(1);
    let mut worker = play.risen().await;
    let mut lease = play.acquire("a").await;
    worker.serve().await;
    lease.ready().await.unwrap();
    let standby = play.risen().await;
    let deadline = Instant::now() + Duration::from_secs(30);
    play.phase.send(Phase::Draining { deadline }).unwrap();
    standby.stop().await;
    worker.told_to(|leave| leave == Leave::Drain(deadline)).await;
    assert_eq!(play.acquire("a").await.ready().await.unwrap_err().code(), Code::Unavailable);
    drop(lease);
    worker.stop().await;
    play.end.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_second_signal_hurries() {
    let mut play = Play::begin(1);
    let mut worker = play.risen().await;
    let mut lease = play.acquire("a").await;
    worker.serve().await;
    lease.ready().await.unwrap();
    let mut standby = play.risen().await;
    play.phase.send(Phase::Hurried).unwrap();
    worker.told_to(|leave| leave == Leave::Kill).await;
    standby.told_to(|leave| leave == Leave::Kill).await;
    worker.crash().await;
    standby.crash().await;
    play.end.await.unwrap();
}
