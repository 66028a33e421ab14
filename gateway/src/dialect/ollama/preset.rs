//! Presets: models that were made of others, by a Modelfile or a copy. A preset has no weights of its own; it is the name
//! of a model of this server with a system prompt, first messages and options that come before those of a request.

mod database;
mod name;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use impetus_proto::{Code, Error};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::{sync::Mutex, task::spawn_blocking};
use tracing::error;

pub(super) use name::{bare, check as check_name};

use crate::clock::unix_now;
use database::{Database, DatabaseError};

/// The name of the folder within the state folder.
const FOLDER: &str = "presets";

/// A model that was made of another one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Preset {
    /// Without the tag `latest`.
    pub(super) name: String,
    /// A model of this server, by its name or alias; never a preset.
    pub(super) from: String,
    pub(super) system: Option<String>,
    /// That come before those of a request: who, and what.
    pub(super) messages: Vec<(String, String)>,
    /// As the `options` of a request.
    pub(super) options: Map<String, Value>,
    pub(super) license: Vec<String>,
    /// From which the same would be made again.
    pub(super) modelfile: String,
    pub(super) created_unix_s: u64,
}

/// The way to the presets, which are in a database that every gateway of this server may have open.
#[derive(Debug, Clone)]
pub(crate) struct Presets {
    folder: Arc<PathBuf>,
    /// Once it was needed. Whoever waits for it does so here, not on a thread.
    database: Arc<Mutex<Option<Database>>>,
}

impl Presets {
    /// Those of this state folder. Nothing is on the disk before something is kept.
    pub(crate) fn new(state_dir: &Path) -> Self {
        Self { folder: Arc::new(state_dir.join(FOLDER)), database: Arc::default() }
    }

    /// The preset of this name, in whatever case and with or without the tag `latest`.
    pub(super) async fn find(&self, name: &str) -> Result<Option<Preset>, Error> {
        let name = bare(name).to_owned();
        self.read(move |database| database.find(&name)).await
    }

    /// Every one, by name.
    pub(super) async fn list(&self) -> Result<Vec<Preset>, Error> {
        self.read(|database| database.list()).await
    }

    /// Keeps a preset, instead of one that has the same name.
    pub(super) async fn put(&self, preset: Preset) -> Result<(), Error> {
        self.write(move |database| database.put(&preset)).await
    }

    /// Refuses a preset that is too long to be kept.
    pub(super) fn check(preset: &Preset) -> Result<(), Error> {
        Database::body_of(preset).map(drop).map_err(|why| failed(&why))
    }

    /// Keeps a preset under a second name as well; false when there is none of the first.
    pub(super) async fn copy(&self, from: &str, to: &str) -> Result<bool, Error> {
        let (from, to) = (bare(from).to_owned(), bare(to).to_owned());
        self.write(move |database| database.copy(&from, &to, unix_now())).await
    }

    /// Removes a preset; false when there is none.
    pub(super) async fn remove(&self, name: &str) -> Result<bool, Error> {
        let name = bare(name).to_owned();
        self.read(move |database| database.remove(&name)).await
    }

    /// An answer of the database, or what is answered where there is none yet.
    async fn read<T: Default + Send + 'static>(
        &self,
        question: impl FnOnce(&mut Database) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, Error> {
        self.ask(
            |folder| Database::find_in(folder, unix_now()),
            move |database| match database {
                Some(database) => question(database),
                None => Ok(T::default()),
            },
        )
        .await
    }

    async fn write<T: Send + 'static>(
        &self,
        order: impl FnOnce(&mut Database) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, Error> {
        self.ask(
            |folder| Database::open(folder, unix_now()).map(Some),
            move |database| order(database.as_mut().expect("opening makes what is missing")),
        )
        .await
    }

    async fn ask<T: Send + 'static>(
        &self,
        open: fn(&Path) -> Result<Option<Database>, DatabaseError>,
        question: impl FnOnce(&mut Option<Database>) -> Result<T, DatabaseError> + Send + 'static,
    ) -> Result<T, Error> {
        let mut database = self.database.clone().lock_owned().await;
        let folder = self.folder.clone();
        let asked = spawn_blocking(move || {
            if database.is_none() {
                *database = open(&folder)?;
            }
            let answer = question(&mut database);
            if answer.as_ref().is_err_and(DatabaseError::is_corrupt)
                && let Some(broken) = database.take()
            {
                broken.set_aside(&folder, unix_now())?;
            }
            answer
        });
        let answer =
            asked.await.map_err(|_| Error::internal("presets cannot be read: the gateway is ending"))?;
        answer.map_err(|why| failed(&why))
    }
}

fn failed(why: &DatabaseError) -> Error {
    match why {
        DatabaseError::TooLarge { .. } => Error::invalid("", why.to_string()),
        DatabaseError::Full { .. } => Error::new(Code::Conflict, why.to_string()),
        DatabaseError::Folder { .. }
        | DatabaseError::OtherVersion { .. }
        | DatabaseError::Sqlite(_)
        | DatabaseError::Json(_) => {
            error!(%why, "presets cannot be used");
            Error::new(Code::Unavailable, "presets cannot be used; the gateway's log has the cause")
        }
    }
}

#[cfg(test)]
mod tests;
