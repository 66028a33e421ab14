//! From one supervisor to the next in the same process: what is held open all the while, and when it is time.

use std::{
    os::{fd::AsFd, unix::net::UnixListener},
    path::Path,
};

use anyhow::Result;
use impetus_config::Entrance;
use impetus_proto::{Code, Error};
use tokio::sync::{mpsc, watch};

use super::NAME;
use crate::{
    adoption::Inheritance,
    control,
    events::{Kind, Note},
    lock::FolderLock,
    logs::Pipe,
    places::Places,
    shutdown::Phase,
    upgrade::{Go, Handover, Resumed},
    witness::Witness,
};

/// What is open from the start to the end, and goes over to a supervisor that replaces this one.
pub(super) struct Held {
    pub(super) state_lock: FolderLock,
    pub(super) runtime_lock: FolderLock,
    pub(super) control: UnixListener,
    /// The entrances at which the service manager listens.
    pub(super) activated: Vec<Entrance>,
}

impl Held {
    /// Becomes another supervisor. Returns when that cannot be, nor can this one begin anew.
    pub(super) fn go_over(&self, go: &Go, pipes: Vec<Pipe>, state_dir: &Path) -> anyhow::Error {
        let locks = [self.state_lock.as_fd(), self.runtime_lock.as_fd()];
        let error = match Handover::new(go.id, self.control.as_fd(), locks, pipes, state_dir) {
            Ok(handover) => handover.activated(&self.activated).become_program(&go.program),
            Err(error) => error,
        };
        anyhow::Error::from(error).context("cannot become another supervisor, nor this one again")
    }
}

/// The control socket, which is not closed between two supervisors of one process.
pub(super) fn open_control(
    places: &Places,
    inherited: &Inheritance,
    resumed: Option<&mut Resumed>,
) -> Result<UnixListener> {
    let path = places.control_socket();
    let mut in_use = inherited.sockets();
    let carried = resumed.and_then(|former| former.control.take()).filter(|_| path.exists());
    in_use.extend(carried.is_some().then(|| path.clone()));
    places.clear_runtime(&in_use)?;
    Ok(match carried {
        Some(control) => control,
        None => control::bind(&path)?,
    })
}

/// The order to become another supervisor, unless this one is about to stop.
pub(super) async fn ordered(mut orders: mpsc::Receiver<Go>, phase: watch::Receiver<Phase>) -> Go {
    while let Some(go) = orders.recv().await {
        if *phase.borrow() == Phase::Running {
            return go;
        }
        // Whoever asked may have gone.
        let _ = go.refused.send(Error::new(Code::Unavailable, "the server is stopping"));
    }
    std::future::pending().await
}

/// Remembers that the server was told to stop, for those who follow.
pub(super) async fn note_stop(mut phase: watch::Receiver<Phase>, witness: Witness) {
    // An error means that nobody can say so any more.
    if phase.wait_for(|phase| *phase != Phase::Running).await.is_ok() {
        witness.events.note(Note::new(Kind::ServerStopping, NAME, "finishes what runs"));
    }
}
