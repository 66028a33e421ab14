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
    sync::{Semaphore, mpsc, watch},
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
    /// One for each plan that may be made at once.
    planning: Semaphore,
}

/// A pull that is under way, or about to end.
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

/// A staging folder that is given up when this is dropped.
struct Staged {
    id: String,
    store: Arc<Store>,
}

impl Drop for Staged {
    fn drop(&mut self) {
        let (store, id) = (self.store.clone(), std::mem::take(&mut self.id));
        spawn_blocking(move || {
            if let Err(error) = store.discard(&id) {
                tracing::warn!(%error, "what was planned with is not removed");
            }
        });
    }
}

impl Pulls {
    /// Pulls into `store`, from which `library` has its models.
    pub fn new(store: Arc<Store>, library: Arc<Library>, settings: FetchSettings) -> Self {
        let fetcher = Fetcher::new(&settings);
        let (running, planning) = (Mutex::default(), Semaphore::new(MAX_RUNNING));
        Self(Arc::new(Inner { store, library, fetcher, settings, running, planning }))
    }

    /// Goes on with what was detached when the last server ended.
    pub async fn resume(&self) {
        let pulls = match self.rows().await {
            Ok(pulls) => pulls,
            Err(error) => return tracing::error!(%error, "pulls of the last server are not gone on with"),
        };
        for pull in pulls.into_iter().filter(|pull| pull.state == PullState::Running) {
            if pull.detached {
                let reference = shown(&pull.reference);
                tracing::info!(reference, "going on with a pull");
                if let Err(error) = self.begin(pull) {
                    tracing::warn!(reference, %error, "not going on with a pull");
                }
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
                if let Err(error) = store.verify(name, &()) {
                    tracing::error!(model = name, %error, "it is not known to be as it was");
                }
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
        loop {
            if let Some(follower) = self.join(&id, wanted.detach).await? {
                return Ok(follower);
            }
            let ending = self.running().get(&id).map(|pull| pull.states.clone());
            if let Some(mut ending) = ending {
                // An error means that it has ended, which is what is waited for.
                let _ = ending.wait_for(|course| course.end.is_some()).await;
            }
            if let Some(follower) = self.begin(self.row(&id, &wanted).await?)? {
                return Ok(follower);
            }
        }
    }

    /// What is wanted, as it is written down, with what is known of it from an earlier time.
    async fn row(&self, id: &str, wanted: &Wanted) -> Result<PullRow, Error> {
        let known = self.rows().await?.into_iter().find(|pull| pull.id == id);
        Ok(PullRow {
            bytes: known.as_ref().map_or(0, |pull| pull.bytes),
            total_bytes: known.as_ref().map_or(0, |pull| pull.total_bytes),
            format: wanted.format.clone(),
            detached: wanted.detach,
            state: PullState::Running,
            detail: String::new(),
            started_s: crate::store::unix_s(),
            id: id.to_owned(),
            reference: wanted.reference.canonical(),
            name: wanted.name.as_ref().map(ToString::to_string).unwrap_or_default(),
        })
    }

    /// What would be fetched.
    pub async fn plan(&self, wanted: &Wanted) -> Result<Plan, Error> {
        let _turn = self.0.planning.acquire().await.map_err(|_| Error::internal("nobody plans any more"))?;
        let staged = Staged { id: format!("plan-{:016x}", rand::random::<u64>()), store: self.store() };
        let spec = self.spec(&staged.id, &wanted.reference.to_string(), &wanted.format, true).await?;
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
        let pull = self.which(which).await?;
        let ended = {
            let running = self.running();
            running.get(&pull.id).map(|running| {
                running.stop.send_replace(Some(if discard { Stop::Discard } else { Stop::Keep }));
                running.states.clone()
            })
        };
        if let Some(mut states) = ended {
            // An error means that it has ended, which is what is waited for.
            let end = states.wait_for(|course| course.end.is_some()).await;
            if let Some(Ok(kept)) = end.ok().and_then(|course| course.end.clone()) {
                let message = format!("it has come already, as {}; `supervisorctl rm` removes it", kept.name);
                return Err(Error::new(Code::Conflict, message).with_param("id"));
            }
        } else if discard {
            self.give_up(&pull.id).await?;
        }
        Ok(PullRow { state: PullState::Stopped, ..pull })
    }

    /// The pull of this id or reference; of several, the one that runs.
    async fn which(&self, which: &str) -> Result<PullRow, Error> {
        let canonical = which.parse::<Reference>().map(|reference| reference.canonical()).unwrap_or_default();
        let is_meant = |pull: &PullRow| pull.id == which || pull.reference == canonical;
        let mut found: Vec<PullRow> = self.list().await?.into_iter().filter(is_meant).collect();
        if found.len() > 1 {
            let runs = |pull: &PullRow| pull.state == PullState::Running;
            let has_running = found.iter().any(runs);
            found.retain(|pull| runs(pull) || !has_running);
        }
        let refused = |code: Code, message: String| Err(Error::new(code, message).with_param("id"));
        match found.as_slice() {
            [only] => Ok(only.clone()),
            [] => refused(
                Code::NotFound,
                format!("no pull is called {which:?}; `supervisorctl pull --list` shows those there are"),
            ),
            several => {
                let ids: Vec<&str> = several.iter().map(|pull| pull.id.as_str()).collect();
                refused(
                    Code::Conflict,
                    format!("{which} names several pulls; say which by its id: {}", ids.join(", ")),
                )
            }
        }
    }

    /// Another follower of a pull that is under way, unless it is about to end.
    async fn join(&self, id: &str, detach: bool) -> Result<Option<Follower>, Error> {
        let joined = {
            let mut running = self.running();
            let Some(pull) = running.get_mut(id) else { return Ok(None) };
            let Some(interest) = pull.interest.upgrade() else { return Ok(None) };
            if detach {
                pull.itself = Some(interest.clone());
            }
            Follower::new(pull.states.clone(), interest)
        };
        if detach {
            let (store, id) = (self.0.store.clone(), id.to_owned());
            blocking(move || store.detach_pull(&id)).await?;
        }
        Ok(Some(joined))
    }

    /// Begins a pull, unless it is under way or about to end.
    fn begin(&self, row: PullRow) -> Result<Option<Follower>, Error> {
        let mut running = self.running();
        if running.contains_key(&row.id) {
            return Ok(None);
        }
        if running.len() >= MAX_RUNNING {
            let message = format!("{MAX_RUNNING} models are being fetched already; wait for one of them");
            return Err(Error::new(Code::NoCapacity, message).with_retry_after(30));
        }
        let (tell, states) = watch::channel(Course::default());
        let (interest, interested) = mpsc::channel(1);
        let (stop, stopped) = watch::channel(None);
        let itself = row.detached.then(|| interest.clone());
        let pull = Running { states: states.clone(), interest: interest.downgrade(), itself, stop };
        running.insert(row.id.clone(), pull);
        tokio::spawn(self.clone().run(row, tell, interested, stopped));
        Ok(Some(Follower::new(states, interest)))
    }

    /// Makes what is staged a model that can be served.
    pub async fn publish(&self, id: String, arrival: Arrival) -> Result<Kept, Error> {
        let (store, names) = (self.0.store.clone(), self.0.library.names());
        let published = blocking(move || store.publish(&id, arrival, &names.patterns)).await?;
        self.refresh().await?;
        Ok(published)
    }

    /// Whether a model from `source`, in one line, may have this name.
    pub async fn check_name(&self, name: &ModelName, source: &str) -> Result<(), Error> {
        let (store, wanted, from) = (self.store(), name.clone(), source.to_owned());
        blocking(move || store.check_place(&wanted, &from)).await?;
        match self.0.library.catalog().get(name) {
            Some(model) if !model.path.starts_with(self.0.store.root()) => {
                let by = format!("the model at {}", model.path.display());
                Err(StoreError::Taken { name: name.to_string(), by }.into())
            }
            _ => Ok(()),
        }
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

/// A reference as people may see it: some have what opens a door in them.
pub(crate) fn shown(reference: &str) -> String {
    reference.parse::<Reference>().map_or_else(|_| String::new(), |reference| reference.shown())
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
