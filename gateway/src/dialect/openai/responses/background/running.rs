//! What runs in the background of this gateway, and how much may.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use impetus_proto::{Code, Error};
use tokio::sync::watch;

use super::Log;

/// Seconds after which one of the running responses may have ended.
const RETRY_S: u32 = 10;

/// What runs in the background of this gateway.
#[derive(Debug, Clone)]
pub(in crate::dialect::openai) struct Background {
    running: Arc<Mutex<HashMap<String, Arc<Log>>>>,
    pub(super) count: watch::Sender<usize>,
    max: usize,
}

/// One response's place among those that run; it is free again when this is dropped.
#[derive(Debug)]
pub(in crate::dialect::openai::responses) struct Running {
    pub(super) id: String,
    pub(super) log: Arc<Log>,
    background: Background,
}

impl Background {
    /// Nothing runs; at most `max` at once may.
    pub(in crate::dialect::openai::responses) fn new(max: usize) -> Self {
        Self { running: Arc::default(), count: watch::Sender::new(0), max }
    }

    /// The events of a response that runs here.
    pub(in crate::dialect::openai::responses) fn log_of(&self, id: &str) -> Option<Arc<Log>> {
        self.lock().get(id).cloned()
    }

    /// Whether a response runs here. One that is kept as running and does not has been lost.
    pub(in crate::dialect::openai::responses) fn has(&self, id: &str) -> bool {
        self.lock().contains_key(id)
    }

    /// Resolves when nothing runs.
    pub(in crate::dialect::openai::responses) async fn idle(&self) {
        // The sender is held here, so there is an answer.
        let _ = self.count.subscribe().wait_for(|count| *count == 0).await;
    }

    /// A place for the response of this id, before it is kept.
    pub(in crate::dialect::openai::responses) fn admit(&self, id: &str) -> Result<Running, Error> {
        let mut running = self.lock();
        if running.len() >= self.max {
            let max = self.max;
            let message = format!(
                "{max} responses are generated in the background already (responses.max_background); try again later"
            );
            return Err(Error::new(Code::QueueFull, message)
                .with_param("background")
                .with_retry_after(RETRY_S));
        }
        let log = Arc::new(Log::default());
        running.insert(id.to_owned(), log.clone());
        self.count.send_replace(running.len());
        drop(running);
        Ok(Running { id: id.to_owned(), log, background: self.clone() })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Log>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.log.close();
        let mut running = self.background.lock();
        running.remove(&self.id);
        self.background.count.send_replace(running.len());
    }
}
