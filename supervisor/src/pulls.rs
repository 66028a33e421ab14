//! Models that are being fetched. Each pull is a task with a fetcher of its own; it lasts as long as somebody follows it,
//! or by itself when it was begun detached, and then also over a restart of the server. A fetcher that dies is started
//! again and goes on from where it was.

mod course;
mod fetcher;
mod spec;
mod task;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use impetus_models::{ModelName, Reference};
use impetus_proto::{
    Code, Error,
    fetch::{FetchSpec, Plan, Repository, Search},
};
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
};

use self::{
    course::Interest,
    fetcher::{Fetcher, Outcome, Said},
};
pub use self::{
    course::{Course, Follower},
    spec::FetchSettings,
};
use crate::{
    catalog::Library,
    store::{Arrival, Kept, PullRow, PullState, Store, StoreError},
};

/// Pulls that may run at once.
const MAX_RUNNING: usize = 16;

/// All pulls of one server. Clones are the same pulls.
#[derive(Debug, Clone)]
pub struct Pulls(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<Store>,
    library: Arc<Library>,
    fetcher: Fetcher,
    settings: FetchSettings,
    running: Mutex<HashMap<String, Running>>,
}

/// A pull that is under way.
#[derive(Debug)]
struct Running {
    states: watch::Receiver<Course>,
    interest: mpsc::WeakSender<Interest>,
    /// Held by a detached pull: it follows itself.
    itself: Option<mpsc::Sender<Interest>>,
    stop: watch::Sender<Option<Stop>>,
}

/// How a pull is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// What has come is kept.
    Keep,
    /// What has come is given up.
    Discard,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// What.
    pub reference: Reference,
    /// The name that the model is to have; absent: as its files are called.
    pub name: Option<ModelName>,
    /// gguf, candle or onnx; empty: any.
    pub format: String,
    /// Whether it goes on when nobody follows it.
    pub detach: bool,
}

impl Pulls {
    /// Pulls into `store`, from which `library` has its models.
    pub fn new(store: Arc<Store>, library: Arc<Library>, settings: FetchSettings) -> Self {
        let fetcher = Fetcher::new(&settings);
        Self(Arc::new(Inner { store, library, fetcher, settings, running: Mutex::default() }))
    }

    /// Goes on with what was detached when the last server ended.
    pub async fn resume(&self) {
        let pulls = match self.rows().await {
            Ok(pulls) => pulls,
            Err(error) => return tracing::error!(%error, "pulls of the last server are not gone on with"),
        };
        for pull in pulls.into_iter().filter(|pull| pull.state == PullState::Running) {
            if pull.detached {
                tracing::info!(reference = pull.reference, "going on with a pull");
                self.begin(pull, true);
            } else {
                let (state, detail) = (PullState::Stopped, "the server stopped".to_owned());
                self.note(PullRow { state, detail, ..pull }).await;
            }
        }
    }

    /// Reads the models again whose files changed since they were written down: damage is found before it is served.
    pub async fn check_changed(&self) -> Result<(), Error> {
        let store = self.0.store.clone();
        let checked = blocking(move || {
            let suspects = store.suspects()?;
            for name in &suspects {
                tracing::info!(model = name, "its files have changed; reading them again");
                store.verify(name, |_| true)?;
            }
            Ok(!suspects.is_empty())
        });
        if checked.await? { self.refresh().await } else { Ok(()) }
    }

    /// Begins what is wanted, or joins in where it is under way.
    pub async fn follow(&self, wanted: Wanted) -> Result<Follower, Error> {
        let reference = wanted.reference.canonical();
        let name = wanted.name.as_ref().map(ToString::to_string).unwrap_or_default();
        let id = id_of(&reference, &name, &wanted.format);
        if let Some(follower) = self.join(&id, wanted.detach) {
            return Ok(follower);
        }
        let known = self.rows().await?.into_iter().find(|pull| pull.id == id);
        let row = PullRow {
            bytes: known.as_ref().map_or(0, |pull| pull.bytes),
            total_bytes: known.as_ref().map_or(0, |pull| pull.total_bytes),
            format: wanted.format,
            detached: wanted.detach,
            state: PullState::Running,
            detail: String::new(),
            started_s: crate::store::unix_s(),
            id,
            reference,
            name,
        };
        if self.running().len() >= MAX_RUNNING {
            let message = format!("{MAX_RUNNING} models are being fetched already; wait for one of them");
            return Err(Error::new(Code::NoCapacity, message).with_retry_after(30));
        }
        let (store, put) = (self.0.store.clone(), row.clone());
        blocking(move || store.put_pull(&put)).await?;
        Ok(self.begin(row, false))
    }

    /// What would be fetched.
    pub async fn plan(&self, wanted: &Wanted) -> Result<Plan, Error> {
        let id = format!("plan-{:016x}", rand::random::<u64>());
        let spec = self.spec(&id, &wanted.reference.to_string(), &wanted.format, true).await?;
        let mut planned = None;
        let outcome = self
            .0
            .fetcher
            .run(spec, |said| {
                if let Said::Plan(plan) = said {
                    planned = Some(plan);
                }
            })
            .await;
        let store = self.0.store.clone();
        blocking(move || store.discard(&id)).await?;
        match (outcome, planned) {
            (Outcome::Failed(error), _) => Err(error),
            (_, Some(plan)) => Ok(plan),
            (Outcome::Done(_), None) => Err(died("it ended without a word")),
            (Outcome::Died(cause), None) => Err(died(&cause)),
        }
    }

    /// What the hub has.
    pub async fn search(&self, search: Search) -> Result<Vec<Repository>, Error> {
        let id = format!("search-{:016x}", rand::random::<u64>());
        let spec = self.spec(&id, "", "", true).await?;
        let outcome = self.0.fetcher.run(FetchSpec { search: Some(search), ..spec }, |_| {}).await;
        let store = self.0.store.clone();
        blocking(move || store.discard(&id)).await?;
        match outcome {
            Outcome::Done(fetched) => Ok(fetched.found),
            Outcome::Failed(error) => Err(error),
            Outcome::Died(cause) => Err(died(&cause)),
        }
    }

    /// Every pull, with how far it is.
    pub async fn list(&self) -> Result<Vec<PullRow>, Error> {
        let rows = self.rows().await?;
        let running = self.running();
        let now = |row: PullRow| match running.get(&row.id) {
            Some(pull) => {
                let (bytes, total_bytes) = pull.states.borrow().bytes_of(&row);
                PullRow {
                    state: PullState::Running,
                    detached: pull.itself.is_some(),
                    bytes,
                    total_bytes,
                    ..row
                }
            }
            None => row,
        };
        Ok(rows.into_iter().map(now).collect())
    }

    /// Stops the pull of this id or reference, and answers how it stood.
    pub async fn cancel(&self, which: &str, discard: bool) -> Result<PullRow, Error> {
        let canonical = which.parse::<Reference>().map(|reference| reference.canonical()).unwrap_or_default();
        let found =
            self.list().await?.into_iter().find(|pull| pull.id == which || pull.reference == canonical);
        let unknown = || {
            let message =
                format!("no pull is called {which:?}; `supervisorctl pull --list` shows those there are");
            Error::new(Code::NotFound, message).with_param("id")
        };
        let pull = found.ok_or_else(unknown)?;
        let ended = {
            let running = self.running();
            running.get(&pull.id).map(|running| {
                running.stop.send_replace(Some(if discard { Stop::Discard } else { Stop::Keep }));
                running.states.clone()
            })
        };
        if let Some(mut states) = ended {
            // An error means that it has ended, which is what is waited for.
            let _ = states.wait_for(|course| course.end.is_some()).await;
        } else if discard {
            self.give_up(&pull.id).await?;
        }
        Ok(PullRow { state: PullState::Stopped, ..pull })
    }

    /// Another follower of a pull that is under way.
    fn join(&self, id: &str, detach: bool) -> Option<Follower> {
        let mut running = self.running();
        let pull = running.get_mut(id)?;
        let interest = pull.interest.upgrade()?;
        if detach {
            pull.itself = Some(interest.clone());
        }
        Some(Follower::new(pull.states.clone(), interest))
    }

    /// Begins a pull, unless somebody has begun it meanwhile.
    fn begin(&self, row: PullRow, by_itself: bool) -> Follower {
        if let Some(follower) = self.join(&row.id, row.detached) {
            return follower;
        }
        let (tell, states) = watch::channel(Course::default());
        let (interest, interested) = mpsc::channel(1);
        let (stop, stopped) = watch::channel(None);
        let itself = (row.detached || by_itself).then(|| interest.clone());
        let running = Running { states: states.clone(), interest: interest.downgrade(), itself, stop };
        self.running().insert(row.id.clone(), running);
        tokio::spawn(self.clone().run(row, tell, interested, stopped));
        Follower::new(states, interest)
    }

    /// Makes what is staged a model that can be served.
    pub async fn publish(&self, id: String, arrival: Arrival) -> Result<Kept, Error> {
        let (store, names) = (self.0.store.clone(), self.0.library.names());
        let published = blocking(move || store.publish(&id, arrival, &names.patterns)).await?;
        self.refresh().await?;
        Ok(published)
    }

    /// Has the library look at the store as it is now.
    pub async fn refresh(&self) -> Result<(), Error> {
        let store = self.0.store.clone();
        let places = blocking(move || store.places()).await?;
        self.0.library.set_stored(places).await;
        Ok(())
    }

    /// The store that models are pulled into.
    pub fn store(&self) -> Arc<Store> {
        self.0.store.clone()
    }

    async fn spec(
        &self,
        id: &str,
        reference: &str,
        format: &str,
        plan_only: bool,
    ) -> Result<FetchSpec, Error> {
        let (store, id) = (self.0.store.clone(), id.to_owned());
        let staging = blocking(move || store.staging(&id)).await?;
        let spec = self.0.settings.spec().await?;
        Ok(FetchSpec {
            reference: reference.to_owned(),
            staging: text(&staging)?,
            format: format.to_owned(),
            plan_only,
            ..spec
        })
    }

    async fn rows(&self) -> Result<Vec<PullRow>, Error> {
        let store = self.0.store.clone();
        blocking(move || store.pulls()).await
    }

    /// Forgets a pull and what has come of it.
    async fn give_up(&self, id: &str) -> Result<(), Error> {
        let (store, id) = (self.0.store.clone(), id.to_owned());
        blocking(move || store.forget_pull(&id).and_then(|()| store.discard(&id))).await
    }

    async fn note(&self, row: PullRow) {
        let store = self.0.store.clone();
        if let Err(error) = blocking(move || store.put_pull(&row)).await {
            tracing::error!(%error, "how a pull ended is not written down");
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.0.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The folder of a pull: the same request goes on in the same one.
fn id_of(reference: &str, name: &str, format: &str) -> String {
    let digest = Sha256::digest(format!("{reference}\0{name}\0{format}"));
    digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat()
}

fn died(cause: &str) -> Error {
    let message =
        format!("the fetcher could not go on: {cause}; look at its log with `supervisorctl logs fetcher`");
    Error::new(Code::Internal, message)
}

fn text(path: &Path) -> Result<String, Error> {
    let text = path.to_str().map(str::to_owned);
    text.ok_or_else(|| Error::invalid("models.store", format!("{} is not UTF-8", path.display())))
}

/// Work that waits for the disk.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, Error> {
    let done = spawn_blocking(work).await;
    done.map_err(|error| Error::internal(format!("the store could not be used: {error}")))?
        .map_err(Error::from)
}
