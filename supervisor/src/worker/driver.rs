//! The life of one worker process as control flow: start, wait, load, serve, end. One that is adopted loads or serves
//! already.

mod hearing;
mod pulse;
mod telling;

use std::{convert::Infallible, path::PathBuf, sync::Arc, time::Duration};

use impetus_proto::{
    launch::{LogSpec, PoolBytes, SandboxSpec, StandbySpec, WorkerSpec, report, to_worker},
    worker::Description,
};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use tracing::{Instrument, info_span};

use self::{
    hearing::{Ending, Heard},
    pulse::Pulse,
    telling::send,
};
use super::{Adopted, Birth, Event, Leave, Orders, Placement, Timeouts, What, WorkerId};
use crate::{
    adoption::{Kind, Records},
    attribution::{ExitCause, Intent},
    cgroup::{Cgroup, Cgroups},
    launch::{Launch, Launcher},
    levels::Said,
    logs::{Logs, Source, WORKER_PREFIX},
    prefixes::{Claim, PrefixFiles},
    process::Process,
};

/// Workers are the first that the kernel ends when memory runs out.
const OOM_SCORE_ADJUST: i32 = 500;

/// What a worker in a sandbox may write to one file other than that of its prefixes, in bytes, where the kernel cannot
/// keep it from writing any.
const FILE_SIZE_LIMIT_BYTES: u64 = 16 << 20;

/// How far a worker is confined that does not say so.
const UNCONFINED: &str = "none (the worker reports no sandbox)";

/// How long a worker that announced its end may take for it.
const LAST_BREATH: Duration = Duration::from_secs(2);

/// What every worker's life needs.
pub(super) struct Setup {
    pub(super) launcher: Launcher,
    pub(super) logs: Logs,
    pub(super) levels: watch::Receiver<Said>,
    pub(super) log: LogSpec,
    pub(super) timeouts: watch::Receiver<Timeouts>,
    pub(super) working_dir: PathBuf,
    pub(super) records: Records,
    pub(super) cgroups: Option<Cgroups>,
    pub(super) prefixes: PrefixFiles,
}

struct Driver {
    id: WorkerId,
    setup: Setup,
    orders: watch::Receiver<Orders>,
    events: mpsc::Sender<Event>,
    drain_until: Option<Instant>,
    /// Its model, once it has one.
    model: Option<String>,
    pulse: Pulse,
    /// What the worker was last told that it may keep prefixes in, in bytes of RAM.
    prefix_room: Option<u64>,
    /// On the file that came with its model.
    prefix_claim: Option<Claim>,
}

/// Lives a worker's whole life. Its last event is its exit.
pub(super) async fn run(
    birth: Birth,
    setup: Setup,
    orders: watch::Receiver<Orders>,
    events: mpsc::Sender<Event>,
) {
    let driver = Driver {
        id: birth.id.clone(),
        setup,
        orders,
        events,
        drain_until: None,
        model: None,
        pulse: Pulse::new(Instant::now()),
        prefix_room: None,
        prefix_claim: None,
    };
    driver.follow(async |driver| driver.live(&birth).await).await;
}

/// Lives the rest of a worker's life. Its last event is its exit.
pub(super) async fn adopt(
    adopted: Adopted,
    setup: Setup,
    orders: watch::Receiver<Orders>,
    events: mpsc::Sender<Event>,
) {
    let driver = Driver {
        id: adopted.id.clone(),
        prefix_claim: setup.prefixes.claim(&adopted.spec),
        setup,
        orders,
        events,
        drain_until: None,
        model: None,
        pulse: Pulse::new(Instant::now()),
        prefix_room: None,
    };
    driver.follow(async |driver| driver.live_on(adopted).await).await;
}

impl Driver {
    async fn follow(mut self, live: impl AsyncFnOnce(&mut Self) -> ExitCause) {
        let span =
            info_span!("worker", id = %self.id, model = tracing::field::Empty, pid = tracing::field::Empty);
        let cause = live(&mut self).instrument(span.clone()).await;
        span.in_scope(|| match &cause {
            ExitCause::Stopped => tracing::debug!("worker stopped"),
            cause => tracing::warn!(%cause, "worker ended"),
        });
        self.tell(What::Exited(cause)).await;
    }

    async fn live(&mut self, birth: &Birth) -> ExitCause {
        let cgroup = self.cgroup();
        let launch = Launch {
            program: birth.program.clone(),
            args: Vec::new(),
            descriptors: Vec::new(),
            environment: threads(birth.threads),
            oom_score_adjust: OOM_SCORE_ADJUST,
            working_dir: self.setup.working_dir.clone(),
            cgroup_files: cgroup.as_ref().map(Cgroup::files).unwrap_or_default(),
            file_size_limit_bytes: if birth.sandbox {
                FILE_SIZE_LIMIT_BYTES.max(birth.prefix_file_bytes)
            } else {
                0
            },
        };
        let mut process = match Process::start(&self.setup.launcher, launch, self.source()) {
            Ok(process) => process,
            Err(error) => return ExitCause::NotStarted(error.to_string()),
        };
        if let Some(cgroup) = cgroup {
            process.belongs_to(cgroup);
        }
        self.started(&process).await;
        let Err(ending) = self.stages(birth, &mut process).await;
        self.end(process, ending).await
    }

    async fn live_on(&mut self, adopted: Adopted) -> ExitCause {
        let Adopted { spec, description, sandbox, process, .. } = adopted;
        let mut process = match Process::adopt(process, self.source()) {
            Ok(process) => process,
            Err(error) => return ExitCause::NotStarted(format!("it cannot be kept: {error}")),
        };
        let cgroups = self.setup.cgroups.as_ref();
        if let Some(cgroup) = cgroups.and_then(|groups| groups.of_process(process.pid(), self.id.as_str())) {
            process.belongs_to(cgroup);
        }
        self.started(&process).await;
        tracing::Span::current().record("model", spec.model.as_str());
        self.model = Some(spec.model.clone());
        tracing::info!("worker adopted");
        self.sandboxed(sandbox).await;
        let placement = self.orders.borrow().place.clone();
        if let Some(placement) = placement {
            self.limit(&mut process, &placement).await;
        }
        let Err(ending) = self.later_stages(&mut process, &spec, description).await;
        self.end(process, ending).await
    }

    fn source(&self) -> Source {
        let file = format!("{WORKER_PREFIX}{}", self.id);
        self.setup.logs.source(self.id.as_str(), Some(&file))
    }

    async fn started(&self, process: &Process) {
        tracing::Span::current().record("pid", process.pid());
        self.tell(What::Started { pid: process.pid() }).await;
    }

    async fn stages(&mut self, birth: &Birth, process: &mut Process) -> Result<Infallible, Ending> {
        self.starting(birth, process).await?;
        self.tell(What::Waiting).await;
        let placement = self.standing_by(process).await?;
        tracing::Span::current().record("model", placement.spec.model.as_str());
        self.model = Some(placement.spec.model.clone());
        tracing::info!("model placed");
        self.limit(process, &placement).await;
        let spec = self.place(birth, process, &placement).await?;
        self.later_stages(process, &spec, None).await
    }

    /// From the moment at which the worker has its model; it has described it if it serves already.
    async fn later_stages(
        &mut self,
        process: &mut Process,
        spec: &WorkerSpec,
        description: Option<Description>,
    ) -> Result<Infallible, Ending> {
        if let Some(description) = description {
            same_model(spec, description).map_err(Ending::Condemned)?;
        } else {
            let (description, peaks) = self.loading(process, spec).await?;
            tracing::debug!("model described");
            self.tell(What::Serving(Box::new(description))).await;
            self.tell(What::Peaks(peaks)).await;
        }
        self.serving(process).await
    }

    async fn starting(&mut self, birth: &Birth, process: &mut Process) -> Result<(), Ending> {
        let kind = Kind::Worker { id: self.id.to_string(), format: birth.format.clone() };
        let spec = StandbySpec {
            worker_id: self.id.to_string(),
            format: birth.format.clone(),
            log: Some(self.setup.log.clone()),
            threads: birth.threads,
            adoption: process.keep(&self.setup.records, self.id.as_str(), kind),
            sandbox: Some(SandboxSpec {
                enabled: birth.sandbox,
                runtime_dir: self.setup.records.dir.to_string_lossy().into_owned(),
            }),
        };
        send(process, to_worker::Message::Standby(spec)).await?;
        let patience = self.setup.timeouts.borrow().load;
        let deadline = Instant::now() + patience;
        loop {
            match self.hear(process, Some(deadline)).await? {
                Heard::Report(report::Message::Standby(standby)) => {
                    tracing::debug!(engine = standby.engine, sandbox = standby.sandbox, "standby ready");
                    self.sandboxed(standby.sandbox).await;
                    return Ok(());
                }
                Heard::Deadline => return Err(Ending::Condemned(Intent::Stalled(patience))),
                Heard::Report(_) | Heard::Orders => {}
            }
        }
    }

    async fn standing_by(&mut self, process: &mut Process) -> Result<Arc<Placement>, Ending> {
        loop {
            let placed = self.orders.borrow_and_update().place.clone();
            if let Some(placement) = placed {
                return Ok(placement);
            }
            self.hear(process, None).await?;
        }
    }

    /// Before the model is opened, so that no load can take more than it was given.
    async fn limit(&mut self, process: &mut Process, placement: &Placement) {
        if let Some(limit_bytes) = placement.limit_bytes {
            let by = process.limit(limit_bytes);
            tracing::debug!(limit_bytes, %by, "memory limited");
            self.tell(What::Limited { by, limit_bytes }).await;
        }
    }

    async fn loading(
        &mut self,
        process: &mut Process,
        spec: &WorkerSpec,
    ) -> Result<(Description, Vec<PoolBytes>), Ending> {
        let patience = self.setup.timeouts.borrow().load;
        let (mut deadline, mut done) = (Instant::now() + patience, 0.0);
        loop {
            match self.hear(process, Some(deadline)).await? {
                Heard::Report(report::Message::Progress(progress)) => {
                    // NaN is no progress either.
                    if progress.fraction > done {
                        (deadline, done) = (Instant::now() + patience, progress.fraction);
                        self.tell(What::Progress(done.clamp(0.0, 1.0))).await;
                    }
                }
                Heard::Report(report::Message::Serving(serving)) => {
                    self.sandboxed(serving.sandbox).await;
                    let description = serving.description.unwrap_or_default();
                    let description = same_model(spec, description).map_err(Ending::Condemned)?;
                    return Ok((description, serving.peaks));
                }
                Heard::Deadline => return Err(Ending::Condemned(Intent::Stalled(patience))),
                Heard::Orders => self.tell_room(process).await?,
                Heard::Report(_) => {}
            }
        }
    }

    async fn serving(&mut self, process: &mut Process) -> Result<Infallible, Ending> {
        let patience = self.setup.timeouts.borrow().hang;
        self.pulse.begin(Instant::now(), patience);
        self.tell_room(process).await?;
        loop {
            match self.hear(process, None).await? {
                Heard::Report(report::Message::Tick(tick)) => self.tell(What::Tick(Box::new(tick))).await,
                Heard::Orders => self.tell_room(process).await?,
                Heard::Report(_) | Heard::Deadline => {}
            }
        }
    }

    async fn end(&mut self, mut process: Process, ending: Ending) -> ExitCause {
        match ending {
            Ending::Gone(failed) => process.finish(Intent::None, failed, LAST_BREATH).await,
            Ending::Condemned(intent) => process.finish(intent, None, Duration::ZERO).await,
            Ending::Asked => {
                self.tell(What::Stopping).await;
                process.terminate();
                let deadline = Instant::now() + self.setup.timeouts.borrow().kill;
                let mut orders = self.orders.clone();
                tokio::select! {
                    _ = process.ended() => {}
                    () = tokio::time::sleep_until(deadline) => {}
                    _ = orders.wait_for(|orders| orders.leave == Leave::Kill) => {}
                }
                process.finish(Intent::Stop, None, Duration::ZERO).await
            }
        }
    }

    async fn sandboxed(&self, level: String) {
        self.tell(What::Sandboxed(if level.is_empty() { UNCONFINED.into() } else { level })).await;
    }

    /// A control group for this worker, where there are any.
    fn cgroup(&self) -> Option<Cgroup> {
        let made = self.setup.cgroups.as_ref()?.create(self.id.as_str());
        made.inspect_err(
            |error| tracing::warn!(%error, "the supervisor will watch the worker's memory itself"),
        )
        .ok()
    }

    async fn tell(&self, what: What) {
        // Nobody listens once the fleet has ended, which it does after its workers.
        let _ = self.events.send(Event { id: self.id.clone(), what }).await;
    }
}

/// Pools of threads that engines start by themselves take their size from here; it is no setting of ours.
fn threads(n: u32) -> Vec<(String, String)> {
    let names = if n > 0 { &["OMP_NUM_THREADS", "RAYON_NUM_THREADS"][..] } else { &[] };
    names.iter().map(|name| ((*name).to_owned(), n.to_string())).collect()
}

fn same_model(spec: &WorkerSpec, description: Description) -> Result<Description, Intent> {
    if description.model == spec.model {
        Ok(description)
    } else {
        Err(Intent::Garbled(format!(
            "was given the model {:?} and serves {:?}",
            spec.model, description.model
        )))
    }
}
