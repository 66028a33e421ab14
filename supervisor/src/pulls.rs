//! Models that are being fetched. Each pull is a task with a fetcher of its own; it lasts as long as somebody follows it,
//! or by itself when it was begun detached, and then also over a restart of the server. A fetcher that dies is started
//! again and goes on from where it was.

mod course;
mod fetcher;
mod spec;

use std::{
    collections::HashMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use impetus_models::{ModelName, Reference};
use impetus_proto::{
    Code, Error,
    fetch::{FetchSpec, Fetched, File, Plan},
};
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::{mpsc, watch},
    task::spawn_blocking,
    time::sleep,
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
    store::{Arrival, Digest, Kept, KeptFile, Origin, PullRow, PullState, Store, StoreError},
};

/// Deaths of a fetcher in a row, without anything having come, after which a pull has failed.
const MAX_DEATHS: u32 = 5;
/// The delay after the first of them; each further one doubles.
const FIRST_DELAY: Duration = Duration::from_millis(100);

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

/// How a pull ended.
enum End {
    Done(Box<Kept>),
    Failed(Error),
    Stopped(Stop),
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

    /// Every pull, with how far it is.
    pub async fn list(&self) -> Result<Vec<PullRow>, Error> {
        let rows = self.rows().await?;
        let running = self.running();
        let now = |row: PullRow| match running.get(&row.id) {
            Some(pull) => {
                let course = pull.states.borrow();
                let bytes = course.progress.as_ref().map_or(row.bytes, |progress| progress.bytes);
                let total_bytes = course.plan.as_ref().map_or(row.total_bytes, |plan| plan.total_bytes);
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

    fn begin(&self, row: PullRow, by_itself: bool) -> Follower {
        let (tell, states) = watch::channel(Course::default());
        let (interest, interested) = mpsc::channel(1);
        let (stop, stopped) = watch::channel(None);
        let itself = (row.detached || by_itself).then(|| interest.clone());
        let running = Running { states: states.clone(), interest: interest.downgrade(), itself, stop };
        self.running().insert(row.id.clone(), running);
        tokio::spawn(self.clone().run(row, tell, interested, stopped));
        Follower::new(states, interest)
    }

    /// One pull from its beginning to its end.
    async fn run(
        self,
        row: PullRow,
        tell: watch::Sender<Course>,
        mut interested: mpsc::Receiver<Interest>,
        mut stopped: watch::Receiver<Option<Stop>>,
    ) {
        let end = tokio::select! {
            end = self.fetch(&row, &tell) => end,
            // Nobody sends anything: that there is nothing to come means that nobody follows.
            _ = interested.recv() => End::Stopped(Stop::Keep),
            stop = stopped.wait_for(Option::is_some) => End::Stopped(stop.ok().and_then(|stop| *stop).unwrap_or(Stop::Keep)),
        };
        let (bytes, total_bytes) = {
            let course = tell.borrow();
            let bytes = course.progress.as_ref().map_or(row.bytes, |progress| progress.bytes);
            (bytes, course.plan.as_ref().map_or(row.total_bytes, |plan| plan.total_bytes))
        };
        let stopped = PullRow { bytes, total_bytes, ..row.clone() };
        let told = match end {
            End::Done(kept) => {
                tracing::info!(reference = row.reference, model = %kept.name, "pulled");
                self.give_up_quietly(&row.id).await;
                Ok(kept)
            }
            End::Failed(error) => {
                tracing::warn!(reference = row.reference, %error, "not pulled");
                self.note(PullRow { state: PullState::Failed, detail: error.message.clone(), ..stopped })
                    .await;
                Err(error)
            }
            End::Stopped(Stop::Discard) => {
                self.give_up_quietly(&row.id).await;
                Err(Error::new(Code::Conflict, "the pull was stopped, and what had come was given up"))
            }
            End::Stopped(Stop::Keep) => {
                self.note(PullRow { state: PullState::Stopped, detail: "it was stopped".into(), ..stopped })
                    .await;
                Err(Error::new(Code::Conflict, "the pull was stopped; the same command goes on from there"))
            }
        };
        self.running().remove(&row.id);
        tell.send_modify(|course| course.end = Some(told));
    }

    async fn fetch(&self, row: &PullRow, tell: &watch::Sender<Course>) -> End {
        let mut deaths = 0;
        loop {
            let before = tell.borrow().bytes();
            match self.fetch_once(row, tell).await {
                Ok(End::Failed(error)) if error.code() == Code::Unspecified => {
                    deaths = if tell.borrow().bytes() > before { 0 } else { deaths + 1 };
                    if deaths >= MAX_DEATHS {
                        return End::Failed(died(&error.message));
                    }
                    tracing::warn!(
                        reference = row.reference,
                        cause = error.message,
                        "the fetcher died; going on with another"
                    );
                    sleep(FIRST_DELAY * (1 << deaths)).await;
                }
                Ok(end) => return end,
                Err(error) => return End::Failed(error),
            }
        }
    }

    /// What one fetcher makes of it; an error without a code is that it died.
    async fn fetch_once(&self, row: &PullRow, tell: &watch::Sender<Course>) -> Result<End, Error> {
        let spec = self.spec(&row.id, &row.reference, &row.format, false).await?;
        let (settle, mut settled) = mpsc::channel(1);
        let fetching = self.0.fetcher.run(spec, |said| match said {
            Said::Plan(plan) => {
                // There is one plan, and room for it.
                let _ = settle.try_send(plan.clone());
                tell.send_modify(|course| course.plan = Some(plan));
            }
            Said::Progress(progress) => tell.send_modify(|course| course.progress = Some(progress)),
        });
        tokio::pin!(fetching);
        let mut plan = None;
        loop {
            tokio::select! {
                outcome = &mut fetching => {
                    let plan = plan.take().or_else(|| settled.try_recv().ok());
                    return Ok(match (outcome, plan) {
                        (Outcome::Done(fetched), Some(plan)) => self.arrive(row, &plan, fetched).await,
                        (Outcome::Done(_), None) => End::Failed(died("it had no plan")),
                        (Outcome::Failed(error), _) => End::Failed(error),
                        (Outcome::Died(cause), _) => End::Failed(Error::new(Code::Unspecified, cause)),
                    });
                }
                Some(planned) = settled.recv() => {
                    if let Some(kept) = self.present(row, &planned).await? {
                        return Ok(End::Done(Box::new(kept)));
                    }
                    plan = Some(planned);
                }
            }
        }
    }

    /// The model of this plan when it is here already. An error: its name is another's.
    async fn present(&self, row: &PullRow, plan: &Plan) -> Result<Option<Kept>, Error> {
        let name = name_of(row, plan)?;
        let (store, wanted) = (self.0.store.clone(), name.to_string());
        let kept = blocking(move || match store.find(&wanted) {
            Err(StoreError::Absent { .. }) => Ok(None),
            found => found.map(Some),
        })
        .await?;
        let taken = |by: &str| {
            let message = format!("{name} is the name of {by} already; give this one another with --name");
            Error::new(Code::Conflict, message).with_param("name")
        };
        let Some(kept) = kept else {
            let catalog = self.0.library.catalog();
            return match catalog.get(&name) {
                Some(model) => Err(taken(&format!("the model at {}", model.path.display()))),
                None => Ok(None),
            };
        };
        if kept.damage.is_none() && is_same(&kept, &plan.files) {
            return Ok(Some(kept));
        }
        let is_kin = match (kept.source.parse::<Reference>(), row.reference.parse::<Reference>()) {
            (Ok(a), Ok(b)) => a.is_kin(&b),
            _ => false,
        };
        if is_kin { Ok(None) } else { Err(taken(&format!("a model of the store ({})", kept.source))) }
    }

    /// Makes what has come a model.
    async fn arrive(&self, row: &PullRow, plan: &Plan, fetched: Fetched) -> End {
        let arrival = name_of(row, plan).and_then(|name| {
            let files: Result<Vec<KeptFile>, Error> = fetched.files.into_iter().map(kept_file).collect();
            Ok(Arrival {
                name,
                origin: Origin::Pulled,
                source: row.reference.clone(),
                revision: plan.revision.clone(),
                files: files?,
            })
        });
        match arrival {
            Ok(arrival) => match self.publish(row.id.clone(), arrival).await {
                Ok(kept) => End::Done(Box::new(kept)),
                Err(error) => End::Failed(error),
            },
            Err(error) => End::Failed(error),
        }
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

    async fn give_up_quietly(&self, id: &str) {
        if let Err(error) = self.give_up(id).await {
            tracing::error!(%error, id, "what is left of a pull is not removed");
        }
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

fn name_of(row: &PullRow, plan: &Plan) -> Result<ModelName, Error> {
    let name = if row.name.is_empty() { &plan.name } else { &row.name };
    ModelName::new(name).map_err(|error| Error::invalid("name", error.to_string()))
}

/// Whether these are the files that a server has, as far as it tells their content.
fn is_same(kept: &Kept, files: &[File]) -> bool {
    kept.files.len() == files.len()
        && files.iter().all(|file| {
            let own = kept.files.iter().find(|own| own.path == Path::new(&file.path));
            let is_content = |own: &KeptFile| {
                file.sha256.is_empty() || own.sha256.is_some_and(|digest| digest.to_string() == file.sha256)
            };
            own.is_some_and(|own| own.bytes == file.bytes && is_content(own))
        })
}

fn kept_file(file: File) -> Result<KeptFile, Error> {
    let digest: Result<Digest, _> = file.sha256.parse();
    let sha256 = digest.map_err(|_| Error::internal("the fetcher told no digest of a file"))?;
    Ok(KeptFile { path: file.path.into(), bytes: file.bytes, sha256: Some(sha256), modified_ns: 0 })
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
