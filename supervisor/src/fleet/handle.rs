//! How the rest of the supervisor speaks to the fleet.

use std::{sync::Arc, time::Duration};

use impetus_proto::{Code, Error};
use tokio::sync::{mpsc, oneshot, watch};

use super::{FleetSettings, Manifest, Snapshot};
use crate::{leases::Lease, policy::power::Restraint};

/// Gives commands to the fleet.
#[derive(Debug, Clone)]
pub struct FleetHandle {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) changes: watch::Receiver<u64>,
}

/// What a lease is wanted on.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The model.
    pub manifest: Arc<Manifest>,
    /// Whether the worker may serve nothing else meanwhile.
    pub alone: bool,
    /// The worker that is held already; only that one will do.
    pub worker: Option<String>,
    /// How long the model stays when nobody leases it any more, if that is to change.
    pub keep_alive: Option<KeepAlive>,
}

/// How long a model stays when nobody leases it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAlive {
    /// This long; nothing means that it goes at once.
    For(Duration),
    /// Until it is told to go or has to make room.
    Forever,
}

/// What a restart was about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restarted {
    /// A model, which is being placed again.
    Model(String),
    /// A standby, whose successor starts.
    Standby,
}

#[derive(Debug)]
pub(super) enum Command {
    Acquire { wanted: Wanted, reply: oneshot::Sender<Lease> },
    Place { manifest: Arc<Manifest> },
    Unload { model: String, reply: oneshot::Sender<()> },
    Restart { target: String, reply: oneshot::Sender<Option<Restarted>> },
    Replace { manifest: Arc<Manifest>, reply: oneshot::Sender<Result<bool, Error>> },
    FitsBeside { manifest: Arc<Manifest>, keep: String, reply: oneshot::Sender<bool> },
    Forgive { manifest: Arc<Manifest>, reply: oneshot::Sender<()> },
    Configure { settings: Box<FleetSettings>, reply: oneshot::Sender<()> },
    Restrain { restraint: Restraint },
    Snapshot { reply: oneshot::Sender<Snapshot> },
}

impl Wanted {
    /// A lease on the model like any other.
    pub fn of(manifest: Arc<Manifest>) -> Self {
        Self { manifest, alone: false, worker: None, keep_alive: None }
    }
}

impl KeepAlive {
    /// As a request says it: negative is for ever.
    pub fn from_seconds(seconds: i64) -> Self {
        u64::try_from(seconds).map_or(Self::Forever, |seconds| Self::For(Duration::from_secs(seconds)))
    }
}

impl FleetHandle {
    /// A lease on the model, which tells how the wait goes.
    pub async fn acquire(&self, wanted: Wanted) -> Result<Lease, Error> {
        self.ask(|reply| Command::Acquire { wanted, reply }).await
    }

    /// Has the model placed, and waits for nothing.
    pub async fn place(&self, manifest: Arc<Manifest>) -> Result<(), Error> {
        self.commands.send(Command::Place { manifest }).await.map_err(|_| stopping())
    }

    /// Drains and stops the model's worker; answers when it is gone.
    pub async fn unload(&self, model: String) -> Result<(), Error> {
        self.ask(|reply| Command::Unload { model, reply }).await
    }

    /// Stops what `target`, a model or a worker, names and clears its failure; it is started again. `None` when
    /// the fleet has never had such a thing.
    pub async fn restart(&self, target: String) -> Result<Option<Restarted>, Error> {
        self.ask(|reply| Command::Restart { target, reply }).await
    }

    /// Replaces the worker of a model by one with this manifest. Where both fit the new one is placed beside the old,
    /// and this answers `true` when it serves and the old one drains; a load that fails changes nothing and is the
    /// error. Else the old one drains first, or there was none, and this answers `false` at once.
    pub async fn replace(&self, manifest: Arc<Manifest>) -> Result<bool, Error> {
        self.ask(|reply| Command::Replace { manifest, reply }).await?
    }

    /// Whether the model could be placed now while `keep` stays and nothing that is in use has to leave.
    pub async fn fits_beside(&self, manifest: Arc<Manifest>, keep: String) -> Result<bool, Error> {
        self.ask(|reply| Command::FitsBeside { manifest, keep, reply }).await
    }

    /// Clears the failure of the model and of its format's standbys, and ends their backoff.
    pub async fn forgive(&self, manifest: Arc<Manifest>) -> Result<(), Error> {
        self.ask(|reply| Command::Forgive { manifest, reply }).await
    }

    /// Goes on with other settings. Standbys of a format that changed are replaced; workers that have a model stay.
    pub async fn configure(&self, settings: FleetSettings) -> Result<(), Error> {
        self.ask(|reply| Command::Configure { settings: Box::new(settings), reply }).await
    }

    /// Has less done while the battery is to be spared, or as much as usual.
    pub async fn restrain(&self, restraint: Restraint) -> Result<(), Error> {
        self.commands.send(Command::Restrain { restraint }).await.map_err(|_| stopping())
    }

    /// How things stand.
    pub async fn snapshot(&self) -> Result<Snapshot, Error> {
        self.ask(|reply| Command::Snapshot { reply }).await
    }

    /// Changes whenever a snapshot would.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())
    }
}

pub(super) fn stopping() -> Error {
    Error::new(Code::Unavailable, "the server is stopping")
}
