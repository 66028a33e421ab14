//! The fetcher's end of the channel to its supervisor.

use std::{
    io,
    os::{
        fd::{BorrowedFd, FromRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use impetus_proto::{
    Error,
    channel::{self, CHANNEL_FD},
    fetch::{FetchReport, FetchSpec, Fetched, Plan, fetch_report},
};
use nix::sys::socket::{GetSockOpt, sockopt};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use crate::progress::Progress;

/// How often it says how far it is.
const TICK: Duration = Duration::from_millis(200);

/// The inherited channel.
#[derive(Debug)]
pub(crate) struct Link {
    out: Arc<Mutex<UnixStream>>,
    /// True when the supervisor has gone, or has had enough.
    closed: watch::Receiver<bool>,
}

/// Tells how far it is until it is dropped.
#[derive(Debug)]
pub(crate) struct Telling(JoinHandle<()>);

/// Takes the channel over and reads what is to be done; `None` when this process inherited none. Called once, first thing
/// in `main`.
pub(crate) fn inherited() -> io::Result<Option<(UnixStream, FetchSpec)>> {
    // SAFETY: descriptor 3 is open for this process's whole life or not at all; it is only looked at here.
    let borrowed = unsafe { BorrowedFd::borrow_raw(CHANNEL_FD) };
    if sockopt::SockType.get(&borrowed).is_err() {
        return Ok(None);
    }
    // SAFETY: it is a socket, and the contract of a launch is that descriptor 3 belongs to this channel; nothing else in
    // the process has run yet that could own it.
    let mut channel = UnixStream::from(unsafe { OwnedFd::from_raw_fd(CHANNEL_FD) });
    Ok(channel::read(&mut channel)?.map(|spec| (channel, spec)))
}

impl Link {
    /// Listens on the channel, in a thread of its own.
    pub(crate) fn over(mut channel: UnixStream) -> io::Result<Self> {
        let out = Arc::new(Mutex::new(channel.try_clone()?));
        let (close, closed) = watch::channel(false);
        std::thread::Builder::new().name("lifeline".into()).spawn(move || {
            // Nothing comes after the spec but the end.
            while let Ok(Some(FetchSpec { .. })) = channel::read(&mut channel) {}
            close.send_replace(true);
        })?;
        Ok(Self { out, closed })
    }

    /// Waits until nobody wants anything of this process any more.
    pub(crate) async fn closed(&self) {
        // An error means that the thread has ended, which it does then.
        let _ = self.closed.clone().wait_for(|is_closed| *is_closed).await;
    }

    pub(crate) fn plan(&self, plan: Plan) {
        send(&self.out, fetch_report::Message::Plan(plan));
    }

    /// The last word, unless nobody is there to hear it.
    pub(crate) fn done(&self, fetched: Option<Fetched>) {
        if let Some(fetched) = fetched {
            send(&self.out, fetch_report::Message::Fetched(fetched));
        }
    }

    pub(crate) fn failed(&self, error: Error) {
        send(&self.out, fetch_report::Message::Failed(error));
    }

    /// From now on says how far it is.
    pub(crate) fn tell(&self, progress: Arc<Progress>) -> Telling {
        let out = self.out.clone();
        Telling(tokio::spawn(async move {
            let mut ticks = interval(TICK);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut told = None;
            loop {
                ticks.tick().await;
                let now = progress.message();
                if told.as_ref() != Some(&now) {
                    send(&out, fetch_report::Message::Progress(now.clone()));
                    told = Some(now);
                }
            }
        }))
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// An error means that the supervisor has gone, which the lifeline tells.
fn send(out: &Mutex<UnixStream>, message: fetch_report::Message) {
    let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = channel::write(&mut *out, &FetchReport { message: Some(message) });
}
