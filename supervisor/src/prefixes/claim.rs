//! Workers that have a file or wait for it. While its predecessor ends nobody has the lock on it, and it is not to be
//! removed all the same.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::Fingerprint;

/// Keeps a file from being removed, until dropped.
#[derive(Debug)]
pub struct Claim {
    claims: Claims,
    fingerprint: Fingerprint,
}

/// How many claims there are on each file.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims(Arc<Mutex<BTreeMap<Fingerprint, usize>>>);

impl Claims {
    pub(super) fn claim(&self, fingerprint: Fingerprint) -> Claim {
        *self.counts().entry(fingerprint).or_default() += 1;
        Claim { claims: self.clone(), fingerprint }
    }

    pub(super) fn has(&self, fingerprint: Fingerprint) -> bool {
        self.counts().contains_key(&fingerprint)
    }

    /// Held for moments.
    fn counts(&self) -> MutexGuard<'_, BTreeMap<Fingerprint, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut counts = self.claims.counts();
        if let Some(count) = counts.get_mut(&self.fingerprint) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.fingerprint);
            }
        }
    }
}
