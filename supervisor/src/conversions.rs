//! Models that are made of others. A conversion is one process after the other of the workers' own programs: what a format
//! is written in and read with stays in its worker. It lasts as long as somebody listens, and leaves nothing behind unless
//! it becomes a model.

mod plan;

use std::{path::PathBuf, sync::Arc};

use impetus_proto::{
    Code, Error,
    launch::{ConvertReport, ConvertSpec, ToWorker, convert_report, to_worker},
};
use tokio::sync::mpsc;

pub use self::plan::{Plan, Step, Wanted};
use crate::{
    catalog::Library,
    events::{Kind, Note},
    job::{self, Outcome, Word},
    launch::Launch,
    pulls::{FetchSettings, Pulls, blocking},
    settings,
    store::{Arrival, Kept, Origin},
};

/// How the names of their staging folders begin, which nobody goes on with after a restart.
const PREFIX: &str = "convert-";

/// What the files in a staging folder lie in that become the model, as the store has it.
const MODEL: &str = "model";

/// What a step leaves for the next one.
const BETWEEN: &str = "between.gguf";

/// The name in logs.
const NAME: &str = "converter";

/// When memory runs out it goes before anything that serves.
const OOM_SCORE_ADJUST: i32 = 900;

/// What makes models of models. Clones are the same.
#[derive(Debug, Clone)]
pub struct Conversions {
    pulls: Pulls,
    library: Arc<Library>,
    settings: FetchSettings,
}

/// What is said of a conversion.
#[derive(Debug)]
pub enum Told {
    /// How far it is.
    Progress {
        /// The step that runs, from 0.
        step: usize,
        /// What it has written.
        bytes: u64,
    },
    /// What became of it; nothing follows.
    End(Result<Box<Kept>, Error>),
}

impl Conversions {
    /// Conversions of the models in `library` to models of the store that `pulls` fill.
    pub fn new(pulls: Pulls, library: Arc<Library>, settings: FetchSettings) -> Self {
        Self { pulls, library, settings }
    }

    /// What would be made, or why that cannot be.
    pub async fn plan(&self, wanted: &Wanted) -> Result<Plan, Error> {
        let source = self.library.find(&wanted.model).await?;
        let catalog = self.library.catalog();
        let model = catalog.find(&source.spec.model).ok_or_else(|| {
            Error::new(Code::ModelNotFound, format!("{} is not there any more", source.spec.model))
        })?;
        let plan = Plan::new(model, wanted)?;
        self.pulls.check_name(&plan.name, "").await?;
        let (free, reserve) =
            (self.pulls.store().free_bytes(), self.settings.configured.now().pull.reserve.0);
        if free < plan.disk_bytes.saturating_add(reserve) {
            let message = format!(
                "there is no room for the about {} bytes that it takes meanwhile: {free} are free, of which {reserve} \
                 stay free (pull.reserve)",
                plan.disk_bytes
            );
            return Err(Error::new(Code::NoCapacity, message));
        }
        Ok(plan)
    }

    /// Makes it, and tells how far it is. When nobody listens any more it is stopped; nothing is kept but a model.
    pub async fn make(&self, plan: &Plan, tell: &mpsc::Sender<Told>) -> Result<Kept, Error> {
        let id = format!("{PREFIX}{:016x}", rand::random::<u64>());
        let made = self.staged(plan, &id, tell).await;
        match &made {
            Ok(kept) => {
                tracing::info!(model = plan.model, result = %kept.name, "converted");
                let from = format!("from {}", plan.model);
                let note = Note::new(Kind::ModelConverted, kept.name.as_str(), from);
                self.settings.witness.events.note(note);
            }
            Err(error) => {
                tracing::warn!(model = plan.model, %error, "not converted");
                let store = self.pulls.store();
                blocking(move || store.discard(&id)).await?;
            }
        }
        made
    }

    async fn staged(&self, plan: &Plan, id: &str, tell: &mpsc::Sender<Told>) -> Result<Kept, Error> {
        let (store, staged) = (self.pulls.store(), id.to_owned());
        let staging = blocking(move || store.staging(&staged)).await?;
        let between = staging.join(BETWEEN);
        for (idx, step) in plan.steps.iter().enumerate() {
            let is_last = idx + 1 == plan.steps.len();
            let target = if is_last { format!("{MODEL}/{}", plan.file()) } else { BETWEEN.to_owned() };
            let (path, root) = if idx == 0 {
                (plan.path.clone(), plan.root.clone())
            } else {
                (between.clone(), staging.clone())
            };
            let spec = self.spec(plan, step, [path, root, staging.clone()], target)?;
            self.step(step, spec, tell, idx).await?;
        }
        let (store, staged) = (self.pulls.store(), id.to_owned());
        let files = blocking(move || store.staged_files(&staged)).await?;
        let arrival = Arrival {
            name: plan.name.clone(),
            origin: Origin::Converted,
            source: plan.model.clone(),
            revision: String::new(),
            files,
        };
        self.pulls.publish(id.to_owned(), arrival).await
    }

    fn spec(
        &self,
        plan: &Plan,
        step: &Step,
        paths: [PathBuf; 3],
        target: String,
    ) -> Result<ConvertSpec, Error> {
        let text = |path: PathBuf| {
            let text = path.into_os_string().into_string();
            text.map_err(|path| Error::invalid("model", format!("{} is not UTF-8", path.display())))
        };
        let [path, root, staging] = paths;
        let config = self.settings.configured.now();
        let worker = config.workers.get(step.format).cloned().unwrap_or_default();
        Ok(ConvertSpec {
            path: text(path)?,
            root: text(root)?,
            staging: text(staging)?,
            target,
            r#type: step.kind.map(str::to_owned).unwrap_or_default(),
            name: plan.name.to_string(),
            threads: worker.threads,
            sandbox: worker.sandbox,
            log: Some(settings::log_spec(&config)),
        })
    }

    /// One process.
    async fn step(
        &self,
        step: &Step,
        spec: ConvertSpec,
        tell: &mpsc::Sender<Told>,
        idx: usize,
    ) -> Result<(), Error> {
        let config = self.settings.configured.now();
        let worker = config.workers.get(step.format).ok_or_else(|| {
            let message = format!("there is no worker for {0}; set [workers.{0}]", step.format);
            Error::new(Code::Unprocessable, message)
        })?;
        let launch = Launch {
            program: self.settings.configured.places.program(&worker.command),
            args: Vec::new(),
            descriptors: Vec::new(),
            environment: Vec::new(),
            oom_score_adjust: OOM_SCORE_ADJUST,
            working_dir: PathBuf::from(&spec.staging),
            cgroup_files: Vec::new(),
            file_size_limit_bytes: 0,
        };
        let source = self.settings.witness.logs.source(NAME, Some(NAME));
        let message = ToWorker { message: Some(to_worker::Message::Convert(spec)) };
        let heard = |report: ConvertReport| match report.message {
            Some(convert_report::Message::Progress(progress)) => {
                // Whoever is slow to listen hears the next one.
                drop(tell.try_send(Told::Progress { step: idx, bytes: progress.bytes }));
                Word::More
            }
            Some(convert_report::Message::Converted(converted)) => Word::Last(Ok(converted)),
            Some(convert_report::Message::Failed(error)) => Word::Last(Err(error)),
            None => Word::More,
        };
        match job::run(&self.settings.launcher, launch, &source, &message, heard, tell.closed()).await {
            Outcome::Done(converted) => {
                tracing::debug!(sandbox = converted.sandbox, "a step of a conversion is done");
                Ok(())
            }
            Outcome::Failed(error) => Err(error),
            Outcome::Died(cause) => {
                let message = format!(
                    "the process that converted it ended by itself ({cause}); nothing was kept; look at \
                     `supervisorctl logs {NAME}`"
                );
                Err(Error::new(Code::Internal, message))
            }
        }
    }
}

impl Plan {
    /// The file's name in the model's folder.
    fn file(&self) -> String {
        format!("{}.gguf", self.name.as_str().replace(':', "-"))
    }
}
