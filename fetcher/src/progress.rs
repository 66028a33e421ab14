//! How far it is, for whoever asks.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use impetus_proto::fetch::FetchProgress;

/// Shared by all who bring something.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    bytes: AtomicU64,
    verifying: AtomicBool,
    waiting: Mutex<String>,
}

impl Progress {
    /// So many bytes more are here.
    pub(crate) fn add(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many of them have to be fetched again.
    pub(crate) fn take_back(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Nothing is here any more.
    pub(crate) fn begin_anew(&self) {
        self.bytes.store(0, Ordering::Relaxed);
    }

    pub(crate) fn verify(&self, is_verifying: bool) {
        self.verifying.store(is_verifying, Ordering::Relaxed);
    }

    /// Nothing comes, for this reason; none: it does.
    pub(crate) fn wait(&self, reason: &str) {
        reason.clone_into(&mut self.waiting.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn message(&self) -> FetchProgress {
        FetchProgress {
            bytes: self.bytes.load(Ordering::Relaxed),
            verifying: self.verifying.load(Ordering::Relaxed),
            waiting: self.waiting.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}
