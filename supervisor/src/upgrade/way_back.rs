//! From a supervisor that does not come up to the one before.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{RecvTimeoutError, SyncSender, sync_channel},
    },
    thread,
    time::Duration,
};

use super::Handover;

/// How long a supervisor may take until it serves. Children that do not answer take some seconds of it.
const COME_UP: Duration = Duration::from_secs(30);

/// Open until this supervisor serves. Clones are the same way.
#[derive(Debug, Clone)]
pub struct WayBack {
    handover: Arc<Mutex<Option<Handover>>>,
    up: SyncSender<()>,
}

impl WayBack {
    /// Open from now on; one that does not come up in time goes it by itself.
    pub(super) fn new(handover: Handover) -> Self {
        let handover = Arc::new(Mutex::new(Some(handover)));
        let (up, is_up) = sync_channel(1);
        let way = Self { handover, up };
        let waiting = Arc::clone(&way.handover);
        let watch = move || {
            if is_up.recv_timeout(COME_UP) == Err(RecvTimeoutError::Timeout) {
                // What comes of it shows in who runs afterwards.
                let _ = go(&waiting, &format!("it did not serve within {} s", COME_UP.as_secs()));
            }
        };
        // Without the thread one that hangs is for the service manager to notice.
        drop(thread::Builder::new().name("way-back".into()).spawn(watch));
        way
    }

    /// This supervisor serves: there is no way back.
    pub fn close(&self) {
        drop(self.handover.lock().unwrap_or_else(PoisonError::into_inner).take());
        let _ = self.up.try_send(());
    }

    /// Becomes the supervisor before, unless this one has come up. Returns when that cannot be.
    pub fn go(&self, reason: &str) -> Option<io::Error> {
        go(&self.handover, reason)
    }
}

fn go(handover: &Mutex<Option<Handover>>, reason: &str) -> Option<io::Error> {
    // Held until the end of this program, so that it is gone once.
    let mut handover = handover.lock().unwrap_or_else(PoisonError::into_inner);
    Some(handover.take()?.go_back(reason))
}
