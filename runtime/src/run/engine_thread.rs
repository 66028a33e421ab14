//! The thread that owns the engine: it initialises the library, loads the model, and ticks the scheduler.

use std::{
    marker::PhantomData,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::{Duration, Instant},
};

use impetus_proto::launch::{Progress as ProgressReport, report};
use tokio::sync::oneshot;
use tracing::error;

use crate::{
    embedding,
    engine::{
        Backend, Card, EmbeddingLimits, Limits, LoadError, Model, ModelSpec, Progress, Task, TextEngine,
        Vocabulary,
    },
    run::{draft, link::Reporter},
    scheduler::{
        BLOCKED_PAUSE, Counters, Draft, Keeping, Prefixes, Scheduler, SchedulerSettings, Sequence, Turn,
    },
};

/// Sequences that may wait without a slot; the channel to this thread holds some more.
const MAX_WAITING: usize = 1024;
const CHANNEL_ROOM: usize = 64;

/// Inputs of an embedding model that may wait: the whole of one request of the largest kind.
const INPUTS_ROOM: usize = 2048;

/// How long there is nothing to do before what idle slots hold is saved: the next sequence may be on its way.
const IDLE_PAUSE: Duration = Duration::from_millis(300);
/// How long to wait for the thread that writes.
const BUSY_PAUSE: Duration = Duration::from_millis(50);
/// How long to wait for a process that still has the file.
const LOCKED_PAUSE: Duration = Duration::from_secs(2);
/// How long what slots hold may take to be saved when the worker drains.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// Bytes of stack: engines recurse over graphs.
const STACK_BYTES: usize = 16 << 20;

/// What the thread is told of its model.
pub(super) struct Placement {
    pub(super) model: ModelSpec,
    /// Who guesses for it.
    pub(super) draft: Option<ModelSpec>,
    pub(super) scheduler: SchedulerSettings,
    pub(super) prefixes: Option<Arc<Prefixes>>,
}

/// What the thread is asked to do.
pub(crate) enum Order {
    /// Generate.
    Generate(Box<Sequence>),
    /// Save what slots hold, once nothing runs, and say when that is done; the process is to end.
    Save(oneshot::Sender<()>),
}

/// What the service needs of a loaded model.
pub(super) struct Loaded {
    pub(super) work: Work,
    pub(super) vocabulary: Arc<dyn Vocabulary>,
    pub(super) card: Card,
}

/// What the model is for, and the way to the engine's thread.
#[derive(Clone)]
pub(crate) enum Work {
    /// It continues texts.
    Generate { limits: Limits, orders: SyncSender<Order>, prefixes: Option<Arc<Prefixes>> },
    /// It turns texts into vectors.
    Embed { limits: EmbeddingLimits, inputs: SyncSender<embedding::Input> },
    /// It says how well documents answer a query.
    Rerank { limits: EmbeddingLimits, inputs: SyncSender<embedding::Input> },
}

/// Sequences on an engine.
struct Drive {
    scheduler: Scheduler,
    ordered: Receiver<Order>,
    /// Those who wait until everything is saved.
    saves: Vec<oneshot::Sender<()>>,
}

pub(super) struct EngineThread<B> {
    threads: u32,
    reporter: Reporter,
    counters: Arc<Counters>,
    backend: PhantomData<fn() -> B>,
}

impl<B: Backend> EngineThread<B> {
    pub(super) fn new(threads: u32, reporter: Reporter, counters: Arc<Counters>) -> Self {
        Self { threads, reporter, counters, backend: PhantomData }
    }

    /// Starts the thread. It says on `started` whether the library came up, waits for `placed`, says on `loaded`
    /// how the load went, and serves. What is returned resolves when the thread ends, be it by a panic.
    pub(super) fn spawn(
        self,
        started: SyncSender<Result<String, LoadError>>,
        placed: Receiver<Placement>,
        loaded: oneshot::Sender<Result<Loaded, LoadError>>,
    ) -> oneshot::Receiver<()> {
        let (alive, ended) = oneshot::channel();
        std::thread::Builder::new()
            .name("engine".into())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                let _alive: oneshot::Sender<()> = alive;
                self.live(&started, &placed, loaded);
            })
            .expect("a process that just started can start a thread");
        ended
    }

    fn live(
        self,
        started: &SyncSender<Result<String, LoadError>>,
        placed: &Receiver<Placement>,
        loaded: oneshot::Sender<Result<Loaded, LoadError>>,
    ) {
        let mut backend = match B::start(self.threads) {
            Ok(backend) => backend,
            Err(error) => return drop(started.send(Err(error))),
        };
        if started.send(Ok(backend.version())).is_err() {
            return;
        }
        let Ok(placement) = placed.recv() else { return };
        let (Model { task, vocabulary, card }, draft) = match self.load(&mut backend, &placement) {
            Ok(models) => models,
            Err(error) => return drop(loaded.send(Err(error))),
        };
        match task {
            Task::Generate(mut engine) => {
                let (orders, ordered) = sync_channel(CHANNEL_ROOM);
                let limits = engine.limits();
                let mut scheduler = Scheduler::new(limits, placement.scheduler, self.counters);
                if let Some(prefixes) = &placement.prefixes {
                    scheduler = scheduler.keeping(Arc::clone(prefixes));
                }
                if let Some(draft) = draft {
                    scheduler = scheduler.drafting(draft);
                }
                let work = Work::Generate { limits, orders, prefixes: placement.prefixes };
                if loaded.send(Ok(Loaded { work, vocabulary, card })).is_ok() {
                    drive(scheduler, &mut *engine, ordered);
                }
            }
            Task::Embed(mut engine) => {
                let (inputs, submitted) = sync_channel(INPUTS_ROOM);
                let work = Work::Embed { limits: engine.limits(), inputs };
                if loaded.send(Ok(Loaded { work, vocabulary, card })).is_ok() {
                    embedding::drive(&mut *engine, &submitted, self.counters);
                }
            }
            Task::Rerank(mut engine) => {
                let (inputs, submitted) = sync_channel(INPUTS_ROOM);
                let work = Work::Rerank { limits: engine.limits(), inputs };
                if loaded.send(Ok(Loaded { work, vocabulary, card })).is_ok() {
                    embedding::drive_ranking(&mut *engine, &submitted, self.counters);
                }
            }
        }
    }

    /// The model, and its draft model where it has one.
    fn load(&self, backend: &mut B, placement: &Placement) -> Result<(Model, Option<Draft>), LoadError> {
        let progress = self.progress();
        let own =
            if placement.draft.is_some() { progress.part(0.0, draft::OWN_PART) } else { progress.clone() };
        let model = backend.load(&placement.model, &own)?;
        let draft = draft::load(backend, placement, &model, &progress)?;
        Ok((model, draft))
    }

    /// Whole percents only: a load may report every tensor.
    fn progress(&self) -> Progress {
        let reporter = self.reporter.clone();
        let last = std::sync::atomic::AtomicU32::new(u32::MAX);
        Progress::new(move |fraction| {
            let percent = (fraction * 100.0) as u32;
            if last.swap(percent, std::sync::atomic::Ordering::Relaxed) != percent {
                reporter.try_send(report::Message::Progress(ProgressReport { fraction }));
            }
        })
    }
}

impl Drive {
    fn run(mut self, engine: &mut dyn TextEngine) {
        loop {
            while self.scheduler.n_waiting() < MAX_WAITING
                && let Ok(order) = self.ordered.try_recv()
            {
                self.take(order);
            }
            let turn = match self.scheduler.tick(engine, Instant::now()) {
                Ok(turn) => turn,
                Err(error) => return error!(%error, "the worker ends"),
            };
            let order = match turn {
                Turn::Stepped => continue,
                Turn::Blocked => self.ordered.recv_timeout(BLOCKED_PAUSE),
                Turn::Idle => self.idle(engine),
            };
            match order {
                Ok(order) => self.take(order),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn take(&mut self, order: Order) {
        match order {
            Order::Generate(sequence) => self.scheduler.submit(*sequence),
            Order::Save(done) => self.saves.push(done),
        }
    }

    /// Waits for the next order, and saves what idle slots hold while there is none.
    fn idle(&mut self, engine: &dyn TextEngine) -> Result<Order, RecvTimeoutError> {
        if !self.saves.is_empty() {
            self.save_all(engine);
        }
        let mut pause = IDLE_PAUSE;
        while self.scheduler.has_unsaved() {
            match self.ordered.recv_timeout(pause) {
                Err(RecvTimeoutError::Timeout) => {}
                order => return order,
            }
            pause = match self.scheduler.keep_idle(engine) {
                Keeping::Kept => Duration::ZERO,
                Keeping::Busy => BUSY_PAUSE,
                Keeping::Locked => LOCKED_PAUSE,
                Keeping::Nothing => break,
            };
        }
        self.ordered.recv().map_err(|_| RecvTimeoutError::Disconnected)
    }

    fn save_all(&mut self, engine: &dyn TextEngine) {
        let deadline = Instant::now() + DRAIN_LIMIT;
        self.scheduler.flush(deadline);
        while Instant::now() < deadline && self.scheduler.keep_idle(engine) == Keeping::Kept {
            self.scheduler.flush(deadline);
        }
        for done in self.saves.drain(..) {
            // Whoever asked may have gone.
            let _ = done.send(());
        }
    }
}

/// Does what is ordered until the service is gone or the engine fails.
pub(crate) fn drive(scheduler: Scheduler, engine: &mut dyn TextEngine, ordered: Receiver<Order>) {
    Drive { scheduler, ordered, saves: Vec::new() }.run(engine);
}
