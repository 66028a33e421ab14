//! Holds that requests share: one that was lent to a request serves those that come next, so that they need not ask the
//! supervisor. It is given back as soon as nobody has used it for a moment.

use std::{
    collections::HashMap,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use super::{Hold, Lease};

/// How long a hold stays after its last request, once to twice: what follows one another closely finds it. Idle models
/// go that much later.
pub(super) const LINGER: Duration = Duration::from_millis(20);

/// The hold for each name that was asked for lately.
#[derive(Debug, Default)]
pub(in crate::upstream) struct Pool(Mutex<HashMap<String, Pooled>>);

#[derive(Debug)]
struct Pooled {
    hold: Arc<Hold>,
    /// A request has come for it since it was last looked at.
    is_used: bool,
}

impl Pool {
    /// A lease on the worker that was lent for `name`, as long as the next request would get that one too.
    pub(super) fn take(&self, name: &str) -> Option<Lease> {
        let mut pool = self.lock();
        let pooled = pool.get_mut(name).filter(|pooled| pooled.hold.is_current())?;
        pooled.is_used = true;
        Some(Lease::on(pooled.hold.clone()))
    }

    /// Lets the requests for `name` that come next share the hold, unless they share a good one already.
    pub(super) fn offer(&self, name: String, hold: &Arc<Hold>) {
        let mut pool = self.lock();
        if pool.get(&name).is_none_or(|pooled| !pooled.hold.is_current()) {
            pool.insert(name, Pooled { hold: hold.clone(), is_used: true });
        }
    }

    /// Whether the hold of this number is shared and was used since this was last asked; if not, it is no longer.
    pub(super) fn lingers(&self, name: &str, number: u64) -> bool {
        let mut pool = self.lock();
        let Some(pooled) = pool.get_mut(name).filter(|pooled| pooled.hold.number == number) else {
            return false;
        };
        let is_used = mem::take(&mut pooled.is_used) || Arc::strong_count(&pooled.hold) > 1;
        if !is_used {
            pool.remove(name);
        }
        is_used
    }

    /// Nobody shares this hold from now on.
    pub(in crate::upstream) fn discard(&self, number: u64) {
        self.lock().retain(|_, pooled| pooled.hold.number != number);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Pooled>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
