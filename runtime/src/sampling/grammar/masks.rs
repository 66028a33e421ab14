//! Threads that compute the next masks while the engine computes the next logits.

use std::sync::{
    Arc, Mutex, OnceLock,
    mpsc::{Receiver, SyncSender, sync_channel},
};

/// Masks take microseconds where a step takes milliseconds, so few threads serve all sequences of a worker.
const THREADS: usize = 2;

/// Jobs that may wait; one more is done by whoever brings it.
const QUEUE: usize = 64;

/// A mask to compute, and where it goes.
pub(super) type Job = Box<dyn FnOnce() + Send>;

/// The threads, started with their first job; they end when this is dropped.
#[derive(Default)]
pub(super) struct Masks {
    jobs: OnceLock<Option<SyncSender<Job>>>,
}

impl Masks {
    /// Does `job` soon, on another thread where one is free to.
    pub(super) fn submit(&self, job: Job) {
        let jobs = self.jobs.get_or_init(start);
        let left = match jobs {
            Some(jobs) => jobs.try_send(job).err().map(|error| match error {
                std::sync::mpsc::TrySendError::Full(job)
                | std::sync::mpsc::TrySendError::Disconnected(job) => job,
            }),
            None => Some(job),
        };
        if let Some(job) = left {
            job();
        }
    }
}

/// The way to the threads; none where the system has no thread to spare.
fn start() -> Option<SyncSender<Job>> {
    let (jobs, waiting) = sync_channel(QUEUE);
    let waiting = Arc::new(Mutex::new(waiting));
    let started = (0..THREADS).filter(|_| {
        let waiting = Arc::clone(&waiting);
        std::thread::Builder::new().name("mask".to_owned()).spawn(move || work(&waiting)).is_ok()
    });
    (started.count() > 0).then_some(jobs)
}

fn work(waiting: &Mutex<Receiver<Job>>) {
    loop {
        let next = waiting.lock().map_or(None, |waiting| waiting.recv().ok());
        match next {
            Some(job) => job(),
            None => return,
        }
    }
}
