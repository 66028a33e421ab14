//! What a worker is told once it has its model: which one, with the file of its prefixes, and how much RAM it may keep
//! prefixes in.

use impetus_proto::launch::{PrefixRoom, ToWorker, WorkerSpec, to_worker};

use super::{Driver, hearing::Ending};
use crate::{
    prefixes::{Given, Owner},
    process::Process,
    worker::{Birth, Placement},
};

impl Driver {
    /// Gives the worker its model, and says what it was told.
    pub(super) async fn place(
        &mut self,
        birth: &Birth,
        process: &mut Process,
        placement: &Placement,
    ) -> Result<WorkerSpec, Ending> {
        let (prefixes, files) = (self.setup.prefixes.clone(), placement.files.clone());
        let (mut spec, program, format) =
            (placement.spec.clone(), birth.program.clone(), birth.format.clone());
        let prepared = tokio::task::spawn_blocking(move || {
            let owner = Owner { spec: &spec, format: &format, program: &program, files: &files };
            let (told, file) = prefixes.prepare(owner);
            spec.prefixes = told;
            (spec, file)
        });
        let (spec, file) = prepared.await.unwrap_or_else(|error| {
            tracing::error!(%error, "prefixes could not be prepared for");
            (WorkerSpec { prefixes: None, ..placement.spec.clone() }, None)
        });
        self.prefix_room = spec.prefixes.as_ref().map(|prefixes| prefixes.ram_bytes);
        let message = to_worker::Message::Place(spec.clone());
        match file {
            None => send(process, message).await?,
            Some(Given { file, claim }) => {
                self.prefix_claim = Some(claim);
                let message = ToWorker { message: Some(message) };
                process.send_with(&message, file).await.map_err(|_| Ending::Gone(None))?;
            }
        }
        Ok(spec)
    }

    /// Tells the worker how much to log, where that is something else than it was told last.
    pub(super) async fn tell_level(&mut self, process: &mut Process) -> Result<(), Ending> {
        let names = [self.id.as_str(), self.model.as_deref().unwrap_or_default()];
        let level = self.setup.levels.borrow_and_update().level(&names).map(ToOwned::to_owned);
        process.set_level(level.as_deref()).await.map_err(|_| Ending::Gone(None))
    }

    /// Tells the worker how much RAM it may keep prefixes in, where that is another figure than it was told last.
    pub(super) async fn tell_room(&mut self, process: &mut Process) -> Result<(), Ending> {
        let room = self.orders.borrow_and_update().prefix_room;
        if room.is_none() || room == self.prefix_room {
            return Ok(());
        }
        self.prefix_room = room;
        let ram_bytes = room.unwrap_or_default();
        send(process, to_worker::Message::PrefixRoom(PrefixRoom { ram_bytes })).await
    }
}

/// An error means that it is going away.
pub(super) async fn send(process: &mut Process, message: to_worker::Message) -> Result<(), Ending> {
    process.send(&ToWorker { message: Some(message) }).await.map_err(|_| Ending::Gone(None))
}
