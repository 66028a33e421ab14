//! The thread that owns the engine: it initialises the library, loads the model, and ticks the scheduler.

use std::{
    marker::PhantomData,
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    },
    time::Instant,
};

use impetus_proto::launch::{Progress as ProgressReport, report};
use tokio::sync::oneshot;
use tracing::error;

use crate::{
    embedding,
    engine::{
        Backend, Card, EmbeddingLimits, Limits, LoadError, Model, ModelSpec, Progress, Task, Vocabulary,
    },
    run::link::Reporter,
    scheduler::{BLOCKED_PAUSE, Counters, Scheduler, SchedulerSettings, Sequence, Turn},
};

/// Sequences that may wait without a slot; the channel to this thread holds some more.
const MAX_WAITING: usize = 1024;
const CHANNEL_ROOM: usize = 64;

/// Inputs of an embedding model that may wait: the whole of one request of the largest kind.
const INPUTS_ROOM: usize = 2048;

/// Bytes of stack: engines recurse over graphs.
const STACK_BYTES: usize = 16 << 20;

/// What the thread is told of its model.
pub(super) struct Placement {
    pub(super) model: ModelSpec,
    pub(super) scheduler: SchedulerSettings,
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
    Generate { limits: Limits, sequences: SyncSender<Sequence> },
    /// It turns texts into vectors.
    Embed { limits: EmbeddingLimits, inputs: SyncSender<embedding::Input> },
    /// It says how well documents answer a query.
    Rerank { limits: EmbeddingLimits, inputs: SyncSender<embedding::Input> },
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
        let Model { task, vocabulary, card } = match backend.load(&placement.model, &self.progress()) {
            Ok(model) => model,
            Err(error) => return drop(loaded.send(Err(error))),
        };
        match task {
            Task::Generate(mut engine) => {
                let (sequences, submitted) = sync_channel(CHANNEL_ROOM);
                let limits = engine.limits();
                let scheduler = Scheduler::new(limits, placement.scheduler, self.counters);
                let work = Work::Generate { limits, sequences };
                if loaded.send(Ok(Loaded { work, vocabulary, card })).is_ok() {
                    drive(scheduler, &mut *engine, &submitted);
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

/// Ticks until the service is gone or the engine fails.
fn drive(
    mut scheduler: Scheduler,
    engine: &mut dyn crate::engine::TextEngine,
    submitted: &Receiver<Sequence>,
) {
    loop {
        while scheduler.n_waiting() < MAX_WAITING
            && let Ok(sequence) = submitted.try_recv()
        {
            scheduler.submit(sequence);
        }
        let turn = match scheduler.tick(engine, Instant::now()) {
            Ok(turn) => turn,
            Err(error) => return error!(%error, "the worker ends"),
        };
        match turn {
            Turn::Stepped => {}
            Turn::Idle => match submitted.recv() {
                Ok(sequence) => scheduler.submit(sequence),
                Err(_) => return,
            },
            Turn::Blocked => match submitted.recv_timeout(BLOCKED_PAUSE) {
                Ok(sequence) => scheduler.submit(sequence),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            },
        }
    }
}
