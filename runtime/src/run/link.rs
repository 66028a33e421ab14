//! The worker's end of the channel to its supervisor.

use std::{
    io,
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::{Arc, mpsc},
    time::Duration,
};

use impetus_proto::{
    channel::{self, CHANNEL_FD},
    launch::{Report, Tick, ToWorker, report},
};
use nix::{
    sys::{
        signal::{Signal, kill},
        socket::{GetSockOpt, sockopt},
    },
    unistd::getpid,
};
use prost::Message;

use crate::scheduler::Counters;

/// How often a worker says how far it is.
const TICK: Duration = Duration::from_millis(500);

/// The inherited channel.
pub(super) struct Link {
    stream: UnixStream,
}

impl Link {
    /// Takes the channel over; `None` when this process inherited none. Called once, first thing in `main`.
    pub(super) fn inherited() -> Option<Self> {
        // SAFETY: descriptor 3 is open for this process's whole life or not at all; it is only looked at here.
        let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(CHANNEL_FD) };
        sockopt::SockType.get(&borrowed).ok()?;
        // SAFETY: it is a socket, and the contract of a launch is that descriptor 3 belongs to this channel; nothing
        // else in the process has run yet that could own it.
        let owned = unsafe { OwnedFd::from_raw_fd(CHANNEL_FD) };
        Some(Self { stream: UnixStream::from(owned) })
    }

    /// Blocks for the supervisor's next message; `None` when it is gone.
    pub(super) fn receive<M: Message + Default>(&mut self) -> io::Result<Option<M>> {
        channel::read(&mut self.stream)
    }

    /// Ends this process when the supervisor is gone. By SIGKILL: a stuck engine must not be able to delay it.
    pub(super) fn spawn_lifeline(mut self) {
        let watch = move || {
            while let Ok(Some(_)) = self.receive::<ToWorker>() {}
            let _ = kill(getpid(), Signal::SIGKILL);
        };
        std::thread::Builder::new()
            .name("lifeline".into())
            .spawn(watch)
            .expect("a process that just started can start a thread");
    }
}

/// Sends reports to the supervisor from a thread of its own, so that nobody waits for it.
#[derive(Clone)]
pub(super) struct Reporter {
    messages: mpsc::SyncSender<Outgoing>,
}

enum Outgoing {
    Report(report::Message),
    /// Busy has changed: tick now.
    Tick,
    /// Confirm when everything before this has been written.
    Flush(mpsc::SyncSender<()>),
}

impl Reporter {
    pub(super) fn spawn(link: &Link, counters: Arc<Counters>) -> Self {
        let (messages, outgoing) = mpsc::sync_channel(256);
        let reporter = Self { messages };
        let mut stream = link.stream.try_clone().expect("a socket can be duplicated");
        let on_change = reporter.clone();
        counters.on_busy_change(move || drop(on_change.messages.try_send(Outgoing::Tick)));
        std::thread::Builder::new()
            .name("reports".into())
            .spawn(move || write_reports(&mut stream, &outgoing, &counters))
            .expect("a process that just started can start a thread");
        reporter
    }

    /// Sends a report; one that finds the queue full waits.
    pub(super) fn send(&self, message: report::Message) {
        drop(self.messages.send(Outgoing::Report(message)));
    }

    /// Sends a report unless the queue is full.
    pub(super) fn try_send(&self, message: report::Message) {
        drop(self.messages.try_send(Outgoing::Report(message)));
    }

    /// Waits until what was sent has been written.
    pub(super) fn flush(&self) {
        let (confirm, written) = mpsc::sync_channel(1);
        if self.messages.send(Outgoing::Flush(confirm)).is_ok() {
            let _ = written.recv_timeout(Duration::from_secs(1));
        }
    }
}

fn write_reports(stream: &mut UnixStream, outgoing: &mpsc::Receiver<Outgoing>, counters: &Counters) {
    let mut model: Option<String> = None;
    loop {
        let message = match outgoing.recv_timeout(TICK) {
            Ok(Outgoing::Report(message)) => message,
            Ok(Outgoing::Flush(confirm)) => {
                let _ = confirm.send(());
                continue;
            }
            Ok(Outgoing::Tick) | Err(mpsc::RecvTimeoutError::Timeout) => {
                let Some(model) = &model else { continue };
                report::Message::Tick(tick(model, counters))
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        };
        if let report::Message::Serving(serving) = &message {
            model = serving.description.as_ref().map(|description| description.model.clone());
        }
        // A failure means that the supervisor is gone, which the lifeline sees.
        if channel::write(stream, &Report { message: Some(message) }).is_err() {
            return;
        }
    }
}

fn tick(model: &str, counters: &Counters) -> Tick {
    let (steps, pending) = counters.progress();
    Tick { steps, pending, stats: Some(counters.stats(model)), ..Tick::default() }
}
