//! The thread of the database.

use std::{
    path::PathBuf,
    sync::mpsc::{Receiver, RecvTimeoutError},
    time::{Duration, Instant},
};

use tokio::sync::OwnedSemaphorePermit;
use tracing::error;

use super::database::{Bounds, Database, DatabaseError};
use crate::{clock::unix_now, dialect::openai::responses::background::Background};

/// How often what is too old is removed.
const SWEEP_PERIOD: Duration = Duration::from_mins(1);

/// Where the database is, how large, and whose.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pub(super) bounds: Bounds,
    /// What this gateway makes.
    pub(super) background: Background,
}

/// A request of the database, with its place among those that wait.
pub(super) struct Waiting {
    pub(super) job: Job,
    pub(super) _place: OwnedSemaphorePermit,
}

/// What is to be done with the database; true when it has shown to be broken.
pub(super) type Job = Box<dyn FnOnce(Result<&mut Database, DatabaseError>) -> bool + Send>;

/// Does one job after the other, until nobody can ask for more.
pub(super) fn run(jobs: &Receiver<Waiting>, place: &Place) {
    let mut database = None;
    let mut swept = Instant::now();
    loop {
        match jobs.recv_timeout(SWEEP_PERIOD.saturating_sub(swept.elapsed())) {
            Ok(Waiting { job, _place }) => {
                if job(open(&mut database, place)) {
                    set_aside(&mut database, place);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if swept.elapsed() >= SWEEP_PERIOD {
            if let Some(Err(why)) = database.as_mut().map(|database| database.sweep(unix_now())) {
                error!(%why, "stored responses cannot be swept");
            }
            swept = Instant::now();
        }
    }
}

/// The database, opened where it is not open; the next job tries again when it cannot be.
fn open<'a>(database: &'a mut Option<Database>, place: &Place) -> Result<&'a mut Database, DatabaseError> {
    match database {
        Some(database) => Ok(database),
        None => Ok(database.insert(Database::open(place, unix_now())?)),
    }
}

/// What broke while it was in use makes way for a new one.
fn set_aside(database: &mut Option<Database>, place: &Place) {
    if let Some(broken) = database.take()
        && let Err(why) = broken.set_aside(&place.folder, unix_now())
    {
        error!(%why, "stored responses that cannot be read cannot be set aside");
    }
}
