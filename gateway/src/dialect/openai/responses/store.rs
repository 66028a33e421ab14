//! Responses that are kept, in a database in the state folder. One thread of its own reads and writes it, so that nobody
//! who serves waits for a disk; it is opened when the first response needs it.

mod database;
mod presence;
mod row;
mod schema;
mod work;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError, mpsc},
};

use impetus_config::ResponsesConfig;
use impetus_proto::{Code, Error};
use tokio::sync::{Semaphore, oneshot};
use tracing::error;

pub(super) use database::MAX_CONVERSATION_BYTES;
pub(super) use row::{End, Gap, Order, Page, Row, Stored};

use super::{background::Background, item::Kept};
use crate::clock::unix_now;
use database::{Database, DatabaseError};
use row::bytes_of;
use work::{Place, Waiting};

/// Requests of the database that wait; whoever comes then waits before it.
const MAX_WAITING: usize = 256;

/// The name of the folder within the state folder.
const FOLDER: &str = "responses";

/// The way to the database.
#[derive(Debug, Clone)]
pub(in crate::dialect::openai) struct Store(Option<Arc<Way>>);

#[derive(Debug)]
struct Way {
    place: Place,
    room: Arc<Semaphore>,
    /// To the thread, once there is one.
    thread: Mutex<Option<mpsc::SyncSender<Waiting>>>,
}

impl Store {
    /// A store in this state folder, unless none is to be kept, of a gateway that makes what is in `background`.
    pub(in crate::dialect::openai) fn new(
        state_dir: &Path,
        config: &ResponsesConfig,
        background: Background,
    ) -> Self {
        let way = || Way {
            place: Place { folder: state_dir.join(FOLDER), bounds: config.into(), background },
            room: Arc::new(Semaphore::new(MAX_WAITING)),
            thread: Mutex::default(),
        };
        Self(config.store.then(way).map(Arc::new))
    }

    /// Whether anything is kept.
    pub(super) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Refuses items of an input with which no response can be kept.
    pub(super) fn check(&self, inputs: &[Kept]) -> Result<(), Error> {
        let way = self.0.as_ref().ok_or_else(nothing_is_kept)?;
        way.place.bounds.admit(bytes_of(inputs)).map_err(|error| failed(&error))
    }

    /// Keeps a response with the items of its input.
    pub(super) async fn insert(&self, row: Row, inputs: Vec<Kept>) -> Result<(), Error> {
        self.ask(move |database| database.insert(&row, &inputs, unix_now())).await
    }

    /// A response that was kept at its beginning is with this model's worker.
    pub(super) async fn begin(&self, id: &str, model: &str) -> Result<(), Error> {
        let (id, model) = (id.to_owned(), model.to_owned());
        self.ask(move |database| database.begin(&id, &model)).await
    }

    /// A response that was kept at its beginning is over.
    pub(super) async fn end(&self, id: &str, end: End) -> Result<(), Error> {
        let id = id.to_owned();
        self.ask(move |database| database.end(&id, &end)).await
    }

    /// A response that was kept at its beginning has come to nothing, by a defect of ours.
    pub(super) async fn lose(&self, id: &str) -> Result<(), Error> {
        let id = id.to_owned();
        self.ask(move |database| database.lose(&id)).await
    }

    /// A response of this caller's.
    pub(super) async fn get(&self, id: &str, caller: &str) -> Result<Option<Stored>, Error> {
        let (id, caller) = (id.to_owned(), caller.to_owned());
        self.ask(move |database| database.get(&id, &caller, unix_now())).await
    }

    /// Removes a response of this caller's; false when there is none.
    pub(super) async fn delete(&self, id: &str, caller: &str) -> Result<bool, Error> {
        let (id, caller) = (id.to_owned(), caller.to_owned());
        self.ask(move |database| database.delete(&id, &caller)).await
    }

    /// The items, as JSON, of all turns up to this response, which is thereby used; or why there are none.
    pub(super) async fn conversation(
        &self,
        id: &str,
        caller: &str,
    ) -> Result<Result<Vec<String>, Gap>, Error> {
        let (id, caller) = (id.to_owned(), caller.to_owned());
        self.ask(move |database| database.conversation(&id, &caller, unix_now())).await
    }

    /// An item of any response of this caller's.
    pub(super) async fn item(&self, id: &str, caller: &str) -> Result<Option<Kept>, Error> {
        let (id, caller) = (id.to_owned(), caller.to_owned());
        self.ask(move |database| database.item(&id, &caller, unix_now())).await
    }

    /// Some of the items of a response's input, and whether there are more; `None` when there is no such response or no
    /// such item to go on from.
    pub(super) async fn inputs(
        &self,
        id: &str,
        caller: &str,
        page: Page,
    ) -> Result<Option<(Vec<Kept>, bool)>, Error> {
        let (id, caller) = (id.to_owned(), caller.to_owned());
        self.ask(move |database| database.inputs(&id, &caller, &page, unix_now())).await
    }

    /// Asks whoever generates a response in the background to stop.
    pub(super) async fn ask_to_cancel(&self, id: &str) -> Result<(), Error> {
        let id = id.to_owned();
        self.ask(move |database| database.ask_to_cancel(&id)).await
    }

    /// Whether somebody has asked so.
    pub(super) async fn is_to_cancel(&self, id: &str) -> Result<bool, Error> {
        let id = id.to_owned();
        self.ask(move |database| database.is_to_cancel(&id)).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Database) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, Error> {
        let way = self.0.as_ref().ok_or_else(nothing_is_kept)?;
        let place = way.room.clone().acquire_owned().await.map_err(|_| gone())?;
        let (answer, answered) = oneshot::channel();
        let job = move |database: Result<&mut Database, DatabaseError>| {
            let result = database.and_then(question);
            let is_corrupt = result.as_ref().is_err_and(DatabaseError::is_corrupt);
            // Nobody may be left to hear it.
            let _ = answer.send(result.map_err(|error| failed(&error)));
            is_corrupt
        };
        // Since it has a place, it does not wait here.
        way.thread()?.send(Waiting { job: Box::new(job), _place: place }).map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl Way {
    /// The way to the thread, which is started when it is first needed.
    fn thread(&self) -> Result<mpsc::SyncSender<Waiting>, Error> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = &*thread {
            return Ok(thread.clone());
        }
        let (send, receive) = mpsc::sync_channel(MAX_WAITING);
        let place = self.place.clone();
        std::thread::Builder::new()
            .name("responses".to_owned())
            .spawn(move || work::run(&receive, &place))
            .map_err(|error| Error::internal(format!("stored responses have no thread: {error}")))?;
        Ok(thread.insert(send).clone())
    }
}

/// The error for what needs a store where there is none.
pub(super) fn nothing_is_kept() -> Error {
    let message = "this server keeps no responses (responses.store = false in its configuration)";
    Error::new(Code::UnsupportedParameter, message)
}

fn failed(why: &DatabaseError) -> Error {
    if let DatabaseError::TooLarge { .. } = why {
        return Error::invalid("store", why.to_string());
    }
    error!(%why, "stored responses cannot be used");
    Error::new(Code::Unavailable, "stored responses cannot be used; the gateway's log has the cause")
}

fn gone() -> Error {
    Error::new(Code::Unavailable, "stored responses cannot be used: the gateway is ending")
}

#[cfg(test)]
mod tests;
