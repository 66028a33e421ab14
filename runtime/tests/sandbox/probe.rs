//! A worker whose engine tries what is forbidden when it loads, in three threads: the engine's, one that was there
//! before the model was known, and a new one. What became of it is its model's list of devices.

use std::{sync::Arc, sync::mpsc, thread};

use impetus_runtime::engine::{
    Backend, Card, Limits, LoadError, Model, ModelSpec, Progress, Task,
    fake::{ByteVocabulary, FakeEngine, Faults},
};

use crate::attempts::Surroundings;

/// The option that says where somebody listens.
pub(crate) const TCP_PORT: &str = "tcp_port";
/// The threads, as their outcomes begin.
pub(crate) const THREADS: [&str; 3] = ["bystander", "engine", "newcomer"];

type Job = Box<dyn FnOnce() -> Vec<String> + Send>;

/// The library; it holds on to the thread that was there before.
pub(crate) struct Probe {
    jobs: mpsc::SyncSender<Job>,
    outcomes: mpsc::Receiver<Vec<String>>,
}

impl Backend for Probe {
    const FORMAT: &'static str = "probe";

    fn start(_threads: u32) -> Result<Self, LoadError> {
        let (jobs, given) = mpsc::sync_channel::<Job>(1);
        let (done, outcomes) = mpsc::sync_channel(1);
        thread::spawn(move || given.into_iter().try_for_each(|job| done.send(job())));
        Ok(Self { jobs, outcomes })
    }

    fn version(&self) -> String {
        "probe".into()
    }

    fn load(&mut self, spec: &ModelSpec, _progress: &Progress) -> Result<Model, LoadError> {
        let broken = |reason: &str| LoadError::Broken { path: spec.path.clone(), reason: reason.into() };
        let tcp_port = spec.options.get(TCP_PORT).and_then(|port| port.parse().ok());
        let tcp_port = tcp_port.ok_or_else(|| broken("nobody listens"))?;
        let dir = spec.root.parent().ok_or_else(|| broken("it is nowhere"))?;
        let job = |thread| -> Job {
            let surroundings = Surroundings { dir: dir.to_owned(), tcp_port, thread };
            Box::new(move || surroundings.try_all())
        };
        self.jobs.send(job(THREADS[0])).map_err(|_| broken("the thread is gone"))?;
        let bystander = self.outcomes.recv().map_err(|_| broken("the thread is gone"))?;
        let engine = job(THREADS[1])();
        let newcomer = thread::spawn(job(THREADS[2])).join().map_err(|_| broken("a new thread panicked"))?;
        let card = Card { devices: [bystander, engine, newcomer].concat(), ..Card::default() };
        let limits = Limits {
            slots: 1,
            context_tokens: 256,
            tokens_per_step: 64,
            chunk_rows: 64,
            chunks_per_step: 1,
            vocabulary: 257,
        };
        let engine = FakeEngine::new(limits, Faults::default());
        Ok(Model {
            task: Task::Generate(Box::new(engine)),
            vocabulary: Arc::new(ByteVocabulary::default()),
            card,
        })
    }
}
