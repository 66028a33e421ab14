//! One pull from its beginning to its end.

use std::{
    fs,
    io::{self, Read},
    path::Path,
    time::Duration,
};

use impetus_models::{ModelName, RelativePath};
use impetus_proto::{
    Code, Error,
    fetch::{Fetched, File, Plan},
};
use sha1::{Digest as _, Sha1};
use tokio::{
    sync::{mpsc, watch},
    time::sleep,
};

use super::{
    Course, Pulls, Stop, blocking,
    course::Interest,
    died,
    fetcher::{Outcome, Said},
    shown,
};
use crate::events::{Kind, Note};
use crate::store::{Arrival, Digest, Kept, KeptFile, Origin, PullRow, PullState, StoreError};

/// Deaths of a fetcher in a row, without anything having come, after which a pull has failed.
const MAX_DEATHS: u32 = 8;
/// The delay after the first of them; each further one doubles, up to the longest.
const FIRST_DELAY: Duration = Duration::from_millis(50);
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// What is read of a file at once, in bytes.
const BLOCK_BYTES: usize = 1 << 16;

/// How a pull ended.
enum End {
    Done(Box<Kept>),
    Failed(Error),
    Stopped(Stop),
}

/// What fetchers made of it.
enum Brought {
    /// It was here.
    Present(Box<Kept>),
    /// It is whole in its staging folder.
    Staged(Box<(Plan, Fetched)>),
}

/// What one fetcher made of it.
enum Attempt {
    Brought(Brought),
    Died(String),
}

impl Pulls {
    /// Fetches until it is done, cannot be, or is to stop, and tells what became of it.
    pub(super) async fn run(
        self,
        row: PullRow,
        tell: watch::Sender<Course>,
        mut interested: mpsc::Receiver<Interest>,
        mut stopped: watch::Receiver<Option<Stop>>,
    ) {
        self.note(row.clone()).await;
        let brought = tokio::select! {
            brought = self.fetch(&row, &tell) => Ok(brought),
            // Nobody sends anything: that there is nothing to come means that nobody follows.
            _ = interested.recv() => Err(Stop::Keep),
            stop = stopped.wait_for(Option::is_some) => {
                Err(stop.ok().and_then(|stop| *stop).unwrap_or(Stop::Keep))
            }
        };
        // Nothing stops it any more: what is put into its place stays there.
        let end = match brought {
            Ok(Ok(brought)) => self.settle(&row, brought).await.map_or_else(End::Failed, End::Done),
            Ok(Err(error)) => End::Failed(error),
            Err(stop) => End::Stopped(stop),
        };
        let (bytes, total_bytes) = tell.borrow().bytes_of(&row);
        let stopped = PullRow { bytes, total_bytes, ..row.clone() };
        let told = match end {
            End::Done(kept) => {
                tracing::info!(reference = shown(&row.reference), model = %kept.name, "pulled");
                let from = format!("from {}", shown(&row.reference));
                self.witness(Note::new(Kind::ModelPulled, kept.name.as_str(), from));
                self.forget(&row.id).await;
                Ok(kept)
            }
            End::Failed(error) => {
                tracing::warn!(reference = shown(&row.reference), %error, "not pulled");
                self.witness(Note::new(Kind::PullFailed, shown(&row.reference), &error));
                if stopped.total_bytes == 0 || error.code() == Code::Unprocessable {
                    // There is nothing to go on with, or to go on to.
                    self.forget(&row.id).await;
                } else {
                    let detail = error.message.clone();
                    self.note(PullRow { state: PullState::Failed, detail, ..stopped }).await;
                }
                Err(error)
            }
            End::Stopped(Stop::Discard) => {
                self.forget(&row.id).await;
                Err(Error::new(Code::Conflict, "the pull was stopped, and what had come was given up"))
            }
            End::Stopped(Stop::Keep) => {
                let detail = "it was stopped".to_owned();
                self.note(PullRow { state: PullState::Stopped, detail, ..stopped }).await;
                Err(Error::new(Code::Conflict, "the pull was stopped; the same command goes on from there"))
            }
        };
        self.running().remove(&row.id);
        tell.send_modify(|course| course.end = Some(told));
    }

    /// One fetcher after the other, as long as each brings something.
    async fn fetch(&self, row: &PullRow, tell: &watch::Sender<Course>) -> Result<Brought, Error> {
        let mut deaths = 0;
        loop {
            let before = tell.borrow().bytes();
            match self.fetch_once(row, tell).await? {
                Attempt::Brought(brought) => return Ok(brought),
                Attempt::Died(cause) => {
                    deaths = if tell.borrow().bytes() > before { 0 } else { deaths + 1 };
                    if deaths >= MAX_DEATHS {
                        return Err(died(&cause));
                    }
                    tracing::warn!(
                        reference = shown(&row.reference),
                        cause,
                        "the fetcher died; going on with another"
                    );
                    sleep((FIRST_DELAY * (1 << deaths)).min(LONGEST_DELAY)).await;
                }
            }
        }
    }

    async fn fetch_once(&self, row: &PullRow, tell: &watch::Sender<Course>) -> Result<Attempt, Error> {
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
                Some(planned) = settled.recv() => {
                    if let Some(kept) = self.present(row, &planned).await? {
                        return Ok(Attempt::Brought(Brought::Present(Box::new(kept))));
                    }
                    plan = Some(planned);
                }
                outcome = &mut fetching => {
                    return match outcome {
                        Outcome::Done(fetched) => {
                            let unchecked = settled.try_recv().ok();
                            if let Some(planned) = &unchecked
                                && let Some(kept) = self.present(row, planned).await?
                            {
                                return Ok(Attempt::Brought(Brought::Present(Box::new(kept))));
                            }
                            let plan = plan.or(unchecked).ok_or_else(|| died("it had no plan"))?;
                            Ok(Attempt::Brought(Brought::Staged(Box::new((plan, fetched)))))
                        }
                        Outcome::Failed(error) => Err(error),
                        Outcome::Died(cause) => Ok(Attempt::Died(cause)),
                    };
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
        if let Some(kept) = kept.filter(|kept| kept.damage.is_none()) {
            let (own, planned) = (kept.clone(), plan.clone());
            let folder = self.0.store.root().join(name.as_str());
            if blocking(move || Ok(is_same(&own, &planned, &folder))).await? {
                return Ok(Some(kept));
            }
        }
        self.check_name(&name, &shown(&row.reference)).await?;
        Ok(None)
    }

    /// Has what was brought be served.
    async fn settle(&self, row: &PullRow, brought: Brought) -> Result<Box<Kept>, Error> {
        let kept = match brought {
            Brought::Staged(staged) => self.arrive(row, *staged).await?,
            Brought::Present(kept) => {
                // A stop may have come between its arrival and the library's look at it.
                self.refresh().await?;
                *kept
            }
        };
        Ok(Box::new(kept))
    }

    /// Makes what has come a model.
    async fn arrive(&self, row: &PullRow, (plan, fetched): (Plan, Fetched)) -> Result<Kept, Error> {
        let files: Result<Vec<KeptFile>, Error> = fetched.files.into_iter().map(kept_file).collect();
        let arrival = Arrival {
            name: name_of(row, &plan)?,
            origin: Origin::Pulled,
            source: shown(&row.reference),
            revision: plan.revision.clone(),
            files: files?,
        };
        self.publish(row.id.clone(), arrival).await
    }

    fn witness(&self, note: Note) {
        self.0.settings.witness.events.note(note);
    }

    /// The pull is over; what is left of it is of no use to anybody.
    async fn forget(&self, id: &str) {
        if let Err(error) = self.give_up(id).await {
            tracing::error!(%error, id, "what is left of a pull is not removed");
        }
    }
}

fn name_of(row: &PullRow, plan: &Plan) -> Result<ModelName, Error> {
    let name = if row.name.is_empty() { &plan.name } else { &row.name };
    ModelName::new(name).map_err(|error| Error::invalid("name", error.to_string()))
}

/// Whether the files in `folder` are those that a server has: by digests, or else by what it had when they came. Reads
/// those of which it tells git's digest.
fn is_same(kept: &Kept, plan: &Plan, folder: &Path) -> bool {
    let is_revision = !plan.revision.is_empty() && kept.revision == plan.revision;
    let git = |file: &File| plan.git.iter().find(|git| git.path == file.path);
    let is_content = |own: &KeptFile, file: &File| match (&*file.sha256, git(file)) {
        ("", None) => is_revision,
        ("", Some(git)) => {
            is_revision || git_sha1(&folder.join(&own.path)).is_ok_and(|sha1| sha1 == git.sha1)
        }
        (sha256, _) => own.sha256.is_some_and(|digest| digest.to_string() == sha256),
    };
    kept.files.len() == plan.files.len()
        && plan.files.iter().all(|file| {
            let own = kept.files.iter().find(|own| own.path == Path::new(&file.path));
            own.is_some_and(|own| own.bytes == file.bytes && is_content(own, file))
        })
}

/// What git calls the content of a file.
fn git_sha1(path: &Path) -> io::Result<String> {
    let mut file = fs::File::open(path)?;
    let mut hash = Sha1::new_with_prefix(format!("blob {}\0", file.metadata()?.len()));
    let mut block = vec![0; BLOCK_BYTES];
    loop {
        match file.read(&mut block)? {
            0 => {
                let digits: Vec<String> = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
                return Ok(digits.concat());
            }
            read => hash.update(block.get(..read).unwrap_or_default()),
        }
    }
}

/// What the fetcher says is believed no further than what a server says.
fn kept_file(file: File) -> Result<KeptFile, Error> {
    let File { path, bytes, sha256 } = file;
    let outside = || Error::internal("the fetcher told a file outside of the model's folder");
    let path = RelativePath::new(&path).ok_or_else(outside)?;
    let digest: Result<Digest, _> = sha256.parse();
    let sha256 = digest.map_err(|_| Error::internal("the fetcher told no digest of a file"))?;
    Ok(KeptFile { path: path.to_path(), bytes, sha256: Some(sha256), modified_ns: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_outside_of_the_folder_is_believed() {
        let check = |path: &str, is_fine: bool| {
            let file = File { path: path.into(), sha256: "ab".repeat(32), ..File::default() };
            assert_eq!(kept_file(file).is_ok(), is_fine, "{path:?}");
        };
        check("model.gguf", true);
        check("onnx/model.onnx", true);
        check("../hub-tokens.json", false);
        check("/etc/passwd", false);
        check("", false);
    }

    #[test]
    fn git_names_a_content() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "hello\n").unwrap();
        // As `git hash-object` says.
        assert_eq!(git_sha1(file.path()).unwrap(), "ce013625030ba8dba906f756967f9e9ca394464a");
    }
}
