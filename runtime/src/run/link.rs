//! The worker's end of the channel to its supervisor.

use std::{
    fs::File,
    io,
    os::{
        fd::{FromRawFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::{Arc, mpsc},
    time::Duration,
};

use impetus_proto::{
    adoption::Adoption,
    channel::{self, CHANNEL_FD},
    launch::{
        Adopted, LogLevel, PrefixRoom, Report, StandbySpec, Tick, ToWorker, WorkerSpec, report, to_worker,
    },
    passing,
};
use nix::{
    sys::{
        signal::{Signal, kill},
        socket::{GetSockOpt, sockopt},
    },
    unistd::getpid,
};
use tracing::{info, warn};

use crate::{
    run::peak::Peak,
    scheduler::{Counters, Pace, Prefixes},
};

/// How often a worker says how far it is.
const TICK: Duration = Duration::from_millis(500);

/// The inherited channel.
pub(super) struct Link {
    stream: UnixStream,
    adoption: Option<Adoption>,
    /// How much is logged when the supervisor says nothing else.
    level: String,
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
        Some(Self { stream: UnixStream::from(owned), adoption: None, level: String::new() })
    }

    /// Prepares for the day on which the supervisor is gone. Before the sandbox is sealed: it opens a socket.
    pub(super) fn prepare_adoption(&mut self, standby: &StandbySpec) {
        self.level = standby.log.as_ref().map(|log| log.level.clone()).unwrap_or_default();
        let listening = standby.adoption.as_ref().map(Adoption::listen).transpose();
        self.adoption = listening.unwrap_or_else(|error| {
            warn!(%error, "this worker will end with its supervisor: it cannot listen for the next one");
            None
        });
    }

    /// Blocks for the supervisor's next message and the file that came with it; `None` when it is gone.
    pub(super) fn receive(&mut self) -> io::Result<Option<(ToWorker, Option<File>)>> {
        let message = passing::read(&self.stream)?;
        Ok(message.map(|(message, descriptors)| (message, descriptors.into_iter().next().map(File::from))))
    }

    /// Logs as much as the supervisor wants from now on.
    pub(super) fn set_level(&self, LogLevel { level }: &LogLevel) {
        let level = if level.is_empty() { &self.level } else { level };
        if let Err(error) = impetus_telemetry::set_level(level) {
            warn!(%error, "the log level stays as it is");
        }
    }

    /// A second handle, to write by.
    pub(super) fn writer(&self) -> io::Result<UnixStream> {
        self.stream.try_clone()
    }

    /// Ends this process when the supervisor is gone, or wants nothing more of it.
    pub(super) fn end_with(mut self) {
        let watch = move || {
            while let Ok(Some(_)) = self.receive() {}
            let _ = kill(getpid(), Signal::SIGKILL);
        };
        std::thread::Builder::new()
            .name("lifeline".into())
            .spawn(watch)
            .expect("a process that just started can start a thread");
    }

    /// When the supervisor is gone, goes over to the next one, or ends this process when none comes within the grace.
    /// By SIGKILL: a stuck engine must not be able to delay it. Meanwhile it hears how much room prefixes have.
    pub(super) fn spawn_lifeline(
        mut self,
        mut spec: WorkerSpec,
        reporter: Reporter,
        prefixes: Option<Arc<Prefixes>>,
    ) {
        let watch = move || {
            loop {
                while let Ok(Some((message, _))) = self.receive() {
                    match message.message {
                        Some(to_worker::Message::PrefixRoom(room)) => {
                            note_room(&mut spec, room);
                            if let Some(prefixes) = &prefixes {
                                prefixes.set_room(room.ram_bytes);
                            }
                        }
                        Some(to_worker::Message::LogLevel(level)) => self.set_level(&level),
                        _ => {}
                    }
                }
                let Some(channel) = self.adoption.as_ref().and_then(Adoption::wait) else { break };
                // Without the duplicate nobody would answer; that supervisor hears so, and may come again.
                let Ok(writer) = channel.try_clone() else { continue };
                self.stream = channel;
                self.set_level(&LogLevel::default());
                reporter.adopted(writer, spec.clone());
                info!("adopted by another supervisor");
            }
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
    Report(Box<report::Message>),
    /// Busy has changed: tick now.
    Tick,
    /// Confirm when everything before this has been written.
    Flush(mpsc::SyncSender<()>),
    /// There is another supervisor, behind this channel; tell it who this is.
    Adopted(UnixStream, Box<WorkerSpec>),
}

/// The channel as the reports' thread has it.
struct Outlet {
    stream: UnixStream,
    /// Nobody hears; the next supervisor is told what counts.
    is_broken: bool,
    /// What the next supervisor will want to know.
    told: Adopted,
    peak: Peak,
}

impl Reporter {
    pub(super) fn spawn(link: &Link, standby: StandbySpec, counters: Arc<Counters>) -> Self {
        let (messages, outgoing) = mpsc::sync_channel(256);
        let reporter = Self { messages };
        let stream = link.stream.try_clone().expect("a socket can be duplicated");
        let told = Adopted { standby: Some(standby), ..Adopted::default() };
        let outlet = Outlet { stream, is_broken: false, told, peak: Peak::open() };
        let on_change = reporter.clone();
        counters.on_busy_change(move || drop(on_change.messages.try_send(Outgoing::Tick)));
        std::thread::Builder::new()
            .name("reports".into())
            .spawn(move || write_reports(outlet, &outgoing, &counters))
            .expect("a process that just started can start a thread");
        reporter
    }

    /// Sends a report; one that finds the queue full waits.
    pub(super) fn send(&self, message: report::Message) {
        drop(self.messages.send(Outgoing::Report(Box::new(message))));
    }

    /// Sends a report unless the queue is full.
    pub(super) fn try_send(&self, message: report::Message) {
        drop(self.messages.try_send(Outgoing::Report(Box::new(message))));
    }

    /// From now on reports go to another supervisor, which hears first what this worker is.
    fn adopted(&self, channel: UnixStream, spec: WorkerSpec) {
        drop(self.messages.send(Outgoing::Adopted(channel, Box::new(spec))));
    }

    /// Waits until what was sent has been written.
    pub(super) fn flush(&self) {
        let (confirm, written) = mpsc::sync_channel(1);
        if self.messages.send(Outgoing::Flush(confirm)).is_ok() {
            let _ = written.recv_timeout(Duration::from_secs(1));
        }
    }
}

impl Outlet {
    fn write(&mut self, mut message: report::Message) {
        match &mut message {
            report::Message::Standby(standby) => self.told.sandbox.clone_from(&standby.sandbox),
            report::Message::Serving(serving) => {
                serving.peaks = self.peak.pools();
                self.told.description.clone_from(&serving.description);
                self.told.sandbox.clone_from(&serving.sandbox);
            }
            _ => {}
        }
        if !self.is_broken {
            // A failure means that the supervisor is gone, which the lifeline sees.
            self.is_broken = channel::write(&mut self.stream, &Report { message: Some(message) }).is_err();
        }
    }

    fn switch(&mut self, channel: UnixStream, spec: WorkerSpec) {
        (self.stream, self.is_broken, self.told.spec) = (channel, false, Some(spec));
        self.write(report::Message::Adopted(self.told.clone()));
    }

    /// Says how far the worker is; that it lives, while it has no model yet.
    fn tick(&mut self, counters: &Counters) {
        let model = self.told.description.as_ref().map(|description| description.model.as_str());
        let tick = tick(model.unwrap_or_default(), counters, &self.peak);
        self.write(report::Message::Tick(tick));
    }
}

/// The next supervisor is to hear what this worker was told last.
fn note_room(spec: &mut WorkerSpec, room: PrefixRoom) {
    if let Some(prefixes) = &mut spec.prefixes {
        prefixes.ram_bytes = room.ram_bytes;
    }
}

fn write_reports(mut outlet: Outlet, outgoing: &mpsc::Receiver<Outgoing>, counters: &Counters) {
    loop {
        match outgoing.recv_timeout(TICK) {
            Ok(Outgoing::Report(message)) => outlet.write(*message),
            Ok(Outgoing::Flush(confirm)) => drop(confirm.send(())),
            Ok(Outgoing::Adopted(channel, spec)) => {
                outlet.switch(channel, *spec);
                outlet.tick(counters);
            }
            Ok(Outgoing::Tick) | Err(mpsc::RecvTimeoutError::Timeout) => outlet.tick(counters),
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}

fn tick(model: &str, counters: &Counters, peak: &Peak) -> Tick {
    let Pace { steps, pending, step_tokens, largest_step_tokens, longest_step_us } = counters.pace();
    let (stats, peaks) = (Some(counters.stats(model)), peak.pools());
    Tick { steps, pending, stats, peaks, step_tokens, largest_step_tokens, longest_step_us }
}

#[cfg(test)]
mod tests {
    use impetus_proto::launch::PrefixSpec;

    use super::*;

    #[test]
    fn the_next_supervisor_hears_the_room_that_was_told_last() {
        let told = |ram_bytes| WorkerSpec {
            prefixes: Some(PrefixSpec { ram_bytes, file_bytes: 9, fingerprint: vec![1] }),
            ..WorkerSpec::default()
        };
        let check = |mut spec: WorkerSpec, room: u64, expected: WorkerSpec| {
            note_room(&mut spec, PrefixRoom { ram_bytes: room });
            assert_eq!(spec, expected);
        };
        check(told(50), 20, told(20));
        check(told(20), 0, told(0));
        check(WorkerSpec::default(), 20, WorkerSpec::default());
    }
}
