//! One child process from its start, or its adoption, to its attributed end, whatever it is.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    process::ExitStatus,
    time::Duration,
};

use impetus_proto::{
    Error,
    launch::{AdoptionSpec, LogLevel, Report, ToWorker, to_worker},
};
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use prost::Message;
use tokio::{
    net::{UnixStream, unix::pipe},
    process::Child,
    task::JoinHandle,
    time::timeout,
};

use crate::{
    adoption::{Claimed, Fate, Identity, Kept, Kind, Records},
    attribution::{self, ExitCause, Facts, Intent},
    cgroup::Cgroup,
    channel::{self, Reader, Writer},
    launch::{Launch, LaunchError, Launcher},
    limit::{Enforcer, Guard},
    logs::Source,
};

/// How long the last words of a dead process may take to arrive; something it started may hold its pipes open.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Lines looked at for the last words.
const N_LAST_WORDS: usize = 30;

/// A running child.
#[derive(Debug)]
pub struct Process {
    body: Body,
    pid: u32,
    guard: Guard,
    reports: Reader,
    writer: Writer,
    source: Source,
    /// The number of its first line; earlier ones are those of a predecessor.
    first_line: u64,
    captures: [JoinHandle<()>; 2],
    memory_kills: Option<u64>,
    /// What the next supervisor would find of it.
    kept: Option<Kept>,
    /// How much it was told to log; absent: as it was started.
    level: Option<String>,
}

/// How the process is held.
#[derive(Debug)]
enum Body {
    /// As its parent.
    Child(Child),
    /// By what it is known by: another supervisor was its parent.
    Adopted(Adopted),
}

/// Ended, like a child, when this is dropped.
#[derive(Debug)]
struct Adopted {
    identity: Identity,
    fate: Fate,
}

/// What a child does.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // there is one at a time, looked at and gone
pub enum Happening {
    /// It says something on its channel.
    Report(Report),
    /// It said something that is no report.
    Garbage(io::Error),
    /// It holds this many bytes, which is as much as it may or more.
    OverLimit(u64),
    /// It has closed its channel, which is how an end begins.
    Closed,
}

impl Process {
    /// Starts a child whose output goes to `source`.
    pub fn start(launcher: &Launcher, launch: Launch, source: Source) -> Result<Self, LaunchError> {
        let (memory_kills, first_line) = (attribution::memory_kills(), source.next_number());
        let started = launcher.launch(launch)?;
        let captures = [source.capture(started.stdout), source.capture(started.stderr)];
        let pid = started.child.id().unwrap_or_default();
        let (reports, writer) = channel::split(started.channel);
        let (body, guard) = (Body::Child(started.child), Guard::default());
        Ok(Self {
            body,
            pid,
            guard,
            reports,
            writer,
            source,
            first_line,
            captures,
            memory_kills,
            kept: None,
            level: None,
        })
    }

    /// Goes on with a child of a former supervisor, whose output goes to `source` from now on. An error ends it.
    pub fn adopt(claimed: Claimed, source: Source) -> io::Result<Self> {
        let Claimed { kept, channel, outputs: [stdout, stderr], .. } = claimed;
        let identity = kept.record().identity;
        let body = Body::Adopted(Adopted { identity, fate: Fate::Runs });
        let (memory_kills, first_line) = (attribution::memory_kills(), source.next_number());
        channel.set_nonblocking(true)?;
        let (reports, writer) = channel::split(UnixStream::from_std(channel)?);
        let outputs = [pipe::Receiver::from_owned_fd(stdout)?, pipe::Receiver::from_owned_fd(stderr)?];
        let captures = outputs.map(|output| source.capture(output));
        let (pid, guard, kept) = (identity.pid, Guard::default(), Some(kept));
        Ok(Self {
            body,
            pid,
            guard,
            reports,
            writer,
            source,
            first_line,
            captures,
            memory_kills,
            kept,
            level: None,
        })
    }

    /// Writes down, under `name`, what the next supervisor needs to adopt it, and answers with what it is to be told of
    /// that. Without, which is no reason not to serve, it ends with this supervisor.
    pub fn keep(&mut self, records: &Records, name: &str, kind: Kind) -> Option<AdoptionSpec> {
        match records.keep(name, self.pid, kind) {
            Ok(kept) => Some(records.spec(self.kept.insert(kept))),
            Err(error) => {
                tracing::warn!(name, %error, "no record of this process can be written; it will end with its supervisor");
                None
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// From now on its memory and its end are judged by `cgroup`, which it is in; a limit that was set there counts.
    pub fn belongs_to(&mut self, cgroup: Cgroup) {
        self.guard = Guard::within(cgroup);
    }

    /// Holds it to `limit_bytes` of RAM from now on, and says who does. Where that is the supervisor, it is
    /// [`Process::next`] that tells of too much.
    pub fn limit(&mut self, limit_bytes: u64) -> Enforcer {
        self.guard.hold(self.pid, limit_bytes)
    }

    /// Whether a former supervisor had started it.
    pub fn is_adopted(&self) -> bool {
        matches!(self.body, Body::Adopted(_))
    }

    /// Sends a message on its channel. An error means that it is going away, which [`Process::next`] will tell.
    pub async fn send<M: Message>(&mut self, message: &M) -> io::Result<()> {
        self.writer.send(message).await
    }

    /// The same, with an open file.
    pub async fn send_with<M: Message>(&mut self, message: &M, file: OwnedFd) -> io::Result<()> {
        self.writer.send_with(message, file.as_fd()).await
    }

    /// Has it log at `level`, or as it was started, unless it does so already.
    pub async fn set_level(&mut self, level: Option<&str>) -> io::Result<()> {
        if self.level.as_deref() == level {
            return Ok(());
        }
        self.level = level.map(ToOwned::to_owned);
        let level = LogLevel { level: self.level.clone().unwrap_or_default() };
        self.send(&ToWorker { message: Some(to_worker::Message::LogLevel(level)) }).await
    }

    /// What it does next. May be dropped and called again without loss.
    pub async fn next(&mut self) -> Happening {
        let said = tokio::select! {
            biased;
            // First, and only now and then: a flood of reports must not hide it.
            held = self.guard.exceeded() => return Happening::OverLimit(held),
            said = self.reports.next() => said,
        };
        match said {
            Ok(Some(report)) => Happening::Report(report),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => Happening::Garbage(error),
            // Also a reset or torn stream: the peer died in the middle of a message.
            Ok(None) | Err(_) => Happening::Closed,
        }
    }

    /// Asks it to end.
    pub fn terminate(&self) {
        self.signal(Signal::SIGTERM);
    }

    /// Tells a gateway that another one serves now.
    pub fn retire(&self) {
        self.signal(Signal::SIGUSR1);
    }

    /// Ends it, and whatever it started in its session.
    pub fn kill(&self) {
        let group = i32::try_from(self.pid).map(Pid::from_raw);
        if self.is_running()
            && let Ok(group) = group
            && killpg(group, Signal::SIGKILL).is_err()
        {
            // The shim has not begun its session yet.
            self.signal(Signal::SIGKILL);
        }
    }

    /// Waits for its end, and says how it ended where that can be known. May be dropped and called again.
    pub async fn ended(&mut self) -> Option<ExitStatus> {
        match &mut self.body {
            Body::Child(child) => child.wait().await.ok(),
            Body::Adopted(Adopted { fate: Fate::Ended(status), .. }) => *status,
            Body::Adopted(Adopted { identity, fate }) => {
                let status = identity.ended().await;
                *fate = Fate::Ended(status);
                status
            }
        }
    }

    /// Waits `grace` for its end, then makes it end, and says why it ended.
    pub async fn finish(mut self, mut intent: Intent, failed: Option<Error>, grace: Duration) -> ExitCause {
        let status = if let Ok(status) = timeout(grace, self.ended()).await {
            status
        } else {
            if intent == Intent::None && failed.is_none() {
                intent = Intent::Garbled(format!(
                    "closed its channel and did not end within {} s",
                    grace.as_secs()
                ));
            }
            self.kill();
            self.ended().await
        };
        let kernel_kill = self.guard.kernel_kill();
        // A control group knows better than the machine, which counts everybody's kills.
        let memory_ran_out = !self.guard.has_cgroup() && attribution::memory_kills() > self.memory_kills;
        for capture in &mut self.captures {
            // Whatever still holds the pipe goes on being captured; its words come too late for this.
            let _ = timeout(LAST_WORDS, capture).await;
        }
        let last_words = self.source.last(N_LAST_WORDS, self.first_line);
        self.source.end();
        if let Some(kept) = self.kept.take() {
            kept.remove();
        }
        attribution::attribute(Facts {
            status,
            intent,
            failed,
            last_words,
            limit_bytes: self.guard.limit_bytes(),
            kernel_kill,
            memory_ran_out,
            is_adopted: self.is_adopted(),
        })
    }

    fn signal(&self, signal: Signal) {
        if self.is_running()
            && let Ok(pid) = i32::try_from(self.pid)
        {
            // The only failure left is that it ended meanwhile.
            let _ = kill(Pid::from_raw(pid), signal);
        }
    }

    /// Whether its id is still its own: it has not been waited for.
    fn is_running(&self) -> bool {
        match &self.body {
            Body::Child(child) => child.id().is_some(),
            Body::Adopted(Adopted { identity, .. }) => identity.is_alive(),
        }
    }
}

impl Drop for Adopted {
    fn drop(&mut self) {
        self.identity.kill();
    }
}
