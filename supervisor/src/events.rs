//! What has happened to the server, in order, for `supervisorctl events`. Only the last of it is remembered.

mod ring;

use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use impetus_telemetry::escape;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use self::ring::Ring;
use crate::state_file;

/// The file in the runtime folder in which one supervisor leaves its events to the one that replaces it.
const FILE: &str = "events.json";

/// The most characters of a sentence, which may hold what an engine said last.
const MAX_CHARS: usize = 1000;

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "their words are in `Kind::name`")]
pub enum Kind {
    ServerStarted,
    ServerStopping,
    ModelLoading,
    ModelReady,
    ModelUnloaded,
    ModelFailed,
    ModelEvicted,
    WorkerExited,
    GatewayReady,
    GatewayExited,
    GatewayReplaced,
    ModelPulled,
    ModelUploaded,
    ModelConverted,
    ModelRemoved,
    PullFailed,
    AliasSwapped,
    ConfigReloaded,
    ConfigRefused,
    UpgradeStarted,
    UpgradeFinished,
    UpgradeFailed,
    KeyCreated,
    KeyRevoked,
    LogLevelChanged,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Grows by one from event to event.
    pub number: u64,
    /// When, in milliseconds since 1970.
    pub unix_ms: u64,
    /// What.
    pub kind: Kind,
    /// To what: a model, a worker, a key.
    pub subject: String,
    /// A sentence without its subject.
    pub message: String,
    /// What else is known, by name.
    pub fields: BTreeMap<String, String>,
}

/// What is told of something that happened.
#[derive(Debug, Clone)]
pub struct Note {
    kind: Kind,
    subject: String,
    message: String,
    fields: BTreeMap<String, String>,
}

/// The events of this server. Clones are the same events.
#[derive(Debug, Clone)]
pub struct Events(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ring: Mutex<Ring>,
    /// The number that the next event gets.
    next: watch::Sender<u64>,
}

/// Events from some number on.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// How many were forgotten before they could be told.
    pub missed: u64,
    /// The others.
    pub events: Vec<Event>,
}

impl Kind {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ServerStarted => "server.started",
            Self::ServerStopping => "server.stopping",
            Self::ModelLoading => "model.loading",
            Self::ModelReady => "model.ready",
            Self::ModelUnloaded => "model.unloaded",
            Self::ModelFailed => "model.failed",
            Self::ModelEvicted => "model.evicted",
            Self::WorkerExited => "worker.exited",
            Self::GatewayReady => "gateway.ready",
            Self::GatewayExited => "gateway.exited",
            Self::GatewayReplaced => "gateway.replaced",
            Self::AliasSwapped => "alias.swapped",
            Self::ConfigReloaded => "config.reloaded",
            Self::ConfigRefused => "config.refused",
            Self::UpgradeStarted => "upgrade.started",
            Self::UpgradeFinished => "upgrade.finished",
            Self::UpgradeFailed => "upgrade.failed",
            Self::ModelPulled => "model.pulled",
            Self::ModelUploaded => "model.uploaded",
            Self::ModelConverted => "model.converted",
            Self::ModelRemoved => "model.removed",
            Self::PullFailed => "pull.failed",
            Self::KeyCreated => "key.created",
            Self::KeyRevoked => "key.revoked",
            Self::LogLevelChanged => "log_level.changed",
        }
    }
}

impl Note {
    /// That something of this kind happened to `subject`, as a sentence without it says.
    pub fn new(kind: Kind, subject: impl Into<String>, message: impl fmt::Display) -> Self {
        let message: String = message.to_string().chars().take(MAX_CHARS).collect();
        // What a child said must not move a terminal's cursor.
        let message = escape(message.as_bytes()).into_owned();
        Self { kind, subject: subject.into(), message, fields: BTreeMap::new() }
    }

    /// And this besides.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl fmt::Display) -> Self {
        self.fields.insert(name.to_owned(), value.to_string());
        self
    }
}

impl Default for Events {
    fn default() -> Self {
        Self(Arc::new(Shared { ring: Mutex::default(), next: watch::Sender::new(1) }))
    }
}

impl Events {
    /// Remembers something, as of now.
    pub fn note(&self, Note { kind, subject, message, fields }: Note) {
        let next = {
            let mut ring = self.ring();
            let number = ring.next();
            ring.push(Event { number, unix_ms: now_ms(), kind, subject, message, fields });
            ring.next()
        };
        self.0.next.send_replace(next);
    }

    /// What there is from the number `first` on, at most `max` of it.
    pub fn from(&self, first: u64, max: usize) -> Batch {
        self.ring().from(first, max)
    }

    /// The number of the first event that is not older than this; the next one's where all are.
    pub fn since(&self, unix_ms: u64) -> u64 {
        self.ring().since(unix_ms)
    }

    /// Changes with every event, to the number that the next one gets.
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.0.next.subscribe()
    }

    /// Leaves everything to the supervisor that replaces this one.
    pub fn leave(&self, runtime_dir: &Path) {
        let events: Vec<Event> = self.from(0, usize::MAX).events;
        if let Err(error) = state_file::write(&runtime_dir.join(FILE), &events) {
            tracing::warn!(%error, "the next supervisor will know of no events from before");
        }
    }

    /// Takes over what a former supervisor has left.
    pub fn inherit(&self, runtime_dir: &Path) {
        let path = runtime_dir.join(FILE);
        let events: Vec<Event> = state_file::read(&path);
        // It was there or it was not; neither is read again.
        let _ = std::fs::remove_file(&path);
        let next = {
            let mut ring = self.ring();
            for event in events {
                ring.push(event);
            }
            ring.next()
        };
        self.0.next.send_replace(next);
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.0.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_go_over_to_the_next_supervisor_and_numbers_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let (first, second) = (Events::default(), Events::default());
        first.note(Note::new(Kind::ModelReady, "tiny", "serves").with("worker", "gguf-1"));
        first.note(Note::new(Kind::WorkerExited, "gguf-1", "killed \u{1b}[2J"));
        first.leave(dir.path());
        second.inherit(dir.path());
        assert_eq!(second.from(0, 9), first.from(0, 9));
        assert_eq!(second.from(0, 9).events[1].message, "killed \\u{1b}[2J");
        second.note(Note::new(Kind::UpgradeFinished, "", "finished"));
        assert_eq!(second.from(3, 9).events[0].number, 3);
        let third = Events::default();
        third.inherit(dir.path());
        assert_eq!(third.from(0, 9), Batch::default(), "it is taken over once");
    }
}
