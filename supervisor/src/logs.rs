//! What the processes say: captured from their standard output and error, kept for `supervisorctl logs`, and
//! written to a rotated file for each.

mod capture;
mod files;
mod pipes;
mod ring;

use std::{
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use impetus_telemetry::Rotation;
use tokio::{io::AsyncRead, sync::broadcast, task::JoinHandle};

pub(crate) use self::files::WORKER_PREFIX;
pub use self::pipes::Pipe;
use self::{files::Files, pipes::Pipes, ring::Rings};

/// Lines that a slow follower may lag behind before it misses some.
const FOLLOWED_LINES: usize = 1024;

/// Where and how log files are kept.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// The folder.
    pub dir: PathBuf,
    /// When a new file is begun.
    pub rotation: Rotation,
    /// Files kept for each process.
    pub keep: usize,
}

/// One line of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Grows by one from line to line over all processes.
    pub number: u64,
    /// The process: "supervisor", "gateway" or a worker's id.
    pub source: Arc<str>,
    /// The text, without line end, control characters escaped.
    pub text: Arc<str>,
}

/// All logs of this server. Clones are the same logs.
#[derive(Debug, Clone)]
pub struct Logs {
    inner: Arc<Inner>,
}

/// Where one process' lines go.
#[derive(Debug, Clone)]
pub struct Source {
    name: Arc<str>,
    /// Absent for the supervisor, which writes its own file.
    file: Option<Arc<str>>,
    logs: Logs,
}

#[derive(Debug)]
struct Inner {
    rings: Mutex<Rings>,
    followers: broadcast::Sender<Line>,
    files: Files,
    pipes: Pipes,
}

impl Logs {
    /// Logs whose files lie as `settings` say, written by a thread of their own.
    pub fn start(settings: LogSettings) -> std::io::Result<Self> {
        let (followers, _) = broadcast::channel(FOLLOWED_LINES);
        let inner = Inner {
            rings: Mutex::default(),
            followers,
            files: Files::start(settings)?,
            pipes: Pipes::default(),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The source `name`, whose lines also go to the file `file`.
    pub fn source(&self, name: &str, file: Option<&str>) -> Source {
        Source { name: name.into(), file: file.map(Into::into), logs: self.clone() }
    }

    /// The last `n` lines of `source` (or of all), oldest first.
    pub fn tail(&self, source: Option<&str>, n: usize) -> Vec<Line> {
        self.inner.rings.lock().unwrap_or_else(PoisonError::into_inner).tail(source, n)
    }

    /// All lines from now on. A receiver that lags misses lines rather than stopping anybody.
    pub fn follow(&self) -> broadcast::Receiver<Line> {
        self.inner.followers.subscribe()
    }

    /// Whether anything of `source` is kept.
    pub fn knows(&self, source: &str) -> bool {
        self.inner.rings.lock().unwrap_or_else(PoisonError::into_inner).knows(source)
    }

    /// Reads no pipe any more, and answers with all of them, for another supervisor to go on reading.
    pub async fn hand_over(&self) -> Vec<Pipe> {
        self.inner.pipes.hand_over().await
    }

    /// Goes on reading a pipe of a former supervisor. Needs a tokio runtime.
    pub fn go_on(&self, pipe: Pipe) -> std::io::Result<()> {
        let source = self.source(&pipe.source, pipe.file.as_deref());
        // What it says from now on comes by another pipe; this one ends with what is in it.
        drop(source.capture(tokio::net::unix::pipe::Receiver::from_owned_fd(pipe.end)?));
        Ok(())
    }

    /// Writes out what waits. Lines that come later are not written to files any more.
    pub fn close(&self) {
        self.inner.files.close();
    }
}

impl Source {
    /// Takes one line, already escaped.
    pub fn line(&self, text: &str) {
        let inner = &self.logs.inner;
        let line = {
            let mut rings = inner.rings.lock().unwrap_or_else(PoisonError::into_inner);
            rings.push(&self.name, text)
        };
        if let Some(file) = &self.file {
            inner.files.write(file.clone(), line.text.clone());
        }
        // An error means that nobody follows.
        let _ = inner.followers.send(line);
    }

    /// The number that the next line of any source gets.
    pub fn next_number(&self) -> u64 {
        self.logs.inner.rings.lock().unwrap_or_else(PoisonError::into_inner).next_number()
    }

    /// The last `n` lines of this source with the number `first` or later.
    pub fn last(&self, n: usize, first: u64) -> Vec<String> {
        let lines = self.logs.tail(Some(&self.name), n).into_iter();
        lines.filter(|line| line.number >= first).map(|line| line.text.to_string()).collect()
    }

    /// Reads a pipe to its end, line by line, in a task of its own.
    pub fn capture(&self, pipe: impl AsyncRead + AsFd + Unpin + Send + 'static) -> JoinHandle<()> {
        // Without a duplicate, for want of descriptors, it is read all the same, as long as this process lasts.
        let end: Option<OwnedFd> = pipe.as_fd().try_clone_to_owned().ok();
        let source = self.clone();
        let kept = end.map(|end| Pipe {
            source: self.name.to_string(),
            file: self.file.as_deref().map(ToOwned::to_owned),
            end,
        });
        let mut reading = self.logs.inner.pipes.begin(kept);
        tokio::spawn(async move {
            if capture::run(pipe, source.clone(), reading.over()).await {
                source.logs.inner.pipes.ended(&reading);
            }
        })
    }

    /// The process has ended: its file may be closed.
    pub fn end(&self) {
        if let Some(file) = &self.file {
            self.logs.inner.files.end(file.clone());
        }
    }
}
