//! One child process from its start to its attributed end, whatever it is.

use std::{io, process::ExitStatus, time::Duration};

use impetus_proto::{Error, launch::Report};
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use prost::Message;
use tokio::{process::Child, task::JoinHandle, time::timeout};

use crate::{
    attribution::{self, ExitCause, Facts, Intent},
    channel::{self, Reader, Writer},
    launch::{Launch, LaunchError, Launcher},
    logs::Source,
};

/// How long the last words of a dead process may take to arrive; something it started may hold its pipes open.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Lines looked at for the last words.
const N_LAST_WORDS: usize = 30;

/// A running child.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pid: u32,
    reports: Reader,
    writer: Writer,
    source: Source,
    /// The number of its first line; earlier ones are those of a predecessor.
    first_line: u64,
    captures: [JoinHandle<()>; 2],
    memory_kills: Option<u64>,
}

/// What a child does.
#[derive(Debug)]
pub enum Happening {
    /// It says something on its channel.
    Report(Report),
    /// It said something that is no report.
    Garbage(io::Error),
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
        Ok(Self { child: started.child, pid, reports, writer, source, first_line, captures, memory_kills })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Sends a message on its channel. An error means that it is going away, which [`Process::next`] will tell.
    pub async fn send<M: Message>(&mut self, message: &M) -> io::Result<()> {
        self.writer.send(message).await
    }

    /// What it does next. May be dropped and called again without loss.
    pub async fn next(&mut self) -> Happening {
        match self.reports.next().await {
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

    /// Waits for its end. May be dropped and called again.
    pub async fn ended(&mut self) -> Option<ExitStatus> {
        self.child.wait().await.ok()
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
        let memory_ran_out = attribution::memory_kills() > self.memory_kills;
        for capture in &mut self.captures {
            // Whatever still holds the pipe goes on being captured; its words come too late for this.
            let _ = timeout(LAST_WORDS, capture).await;
        }
        let last_words = self.source.last(N_LAST_WORDS, self.first_line);
        self.source.end();
        attribution::attribute(Facts {
            status,
            intent,
            failed,
            last_words,
            limit_bytes: None,
            kernel_kill: None,
            memory_ran_out,
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

    /// Whether it has not been waited for, so that its id is still its own.
    fn is_running(&self) -> bool {
        self.child.id().is_some()
    }
}
