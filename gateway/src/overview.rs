//! How the server stands, now and over the last hours, for whoever looks: the supervisor is asked once, however many do.

mod file;
mod rings;
mod sample;

use std::{
    collections::HashMap,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use impetus_proto::{
    Error,
    store::{PullStatus, PullsRequest},
    supervisor::{GatewayStatus, StatusReply, WorkerStatus},
};
use tokio::{
    sync::watch,
    task::spawn_blocking,
    time::{Instant, MissedTickBehavior, interval},
};
use tracing::{debug, warn};

pub(crate) use rings::Step;
pub(crate) use sample::{Sample, measured, used};

use crate::{clock, server::Course, upstream::Upstream};
use file::HistoryFile;
use rings::Rings;
use sample::Sampling;

/// How often somebody who looks is told of something new, at most.
const PERIOD: Duration = Duration::from_millis(500);

/// Samples that are written together, at most.
const WRITTEN_TOGETHER: usize = 15;

/// What is known of the whole server. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Overview(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    now: watch::Sender<Option<Arc<Now>>>,
    pulls: watch::Sender<Arc<[Pulling]>>,
    rings: Mutex<Rings>,
    /// The end of the newest sample, in seconds since 1970.
    newest: watch::Sender<u64>,
    /// Whoever looks has to ask another gateway.
    over: watch::Sender<bool>,
    file: HistoryFile,
    unwritten: Mutex<Vec<Arc<Sample>>>,
    /// The file could not be written, which has been logged.
    is_failing: AtomicBool,
}

/// The server at one moment.
#[derive(Debug, Clone)]
pub(crate) struct Now {
    pub(crate) unix_ms: u64,
    pub(crate) status: Result<StatusReply, Error>,
}

/// A pull, and how fast it goes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pulling {
    pub(crate) status: PullStatus,
    pub(crate) bytes_per_s: Option<u64>,
}

/// What the next look is compared with.
#[derive(Debug)]
struct Looking {
    sampling: Sampling,
    pulls: HashMap<String, (Instant, u64)>,
    last_s: u64,
    /// Samples that are written together: few at first, since another gateway may have just written its last ones.
    together: usize,
}

impl Now {
    /// What the supervisor says now.
    pub(crate) async fn ask(upstream: &Upstream) -> Self {
        let status = upstream.status().await;
        Self { unix_ms: clock::unix_ms(), status }
    }

    /// Whether both say the same, but for what changes by itself.
    fn is_like(&self, other: &Self) -> bool {
        match (&self.status, &other.status) {
            (Ok(one), Ok(other)) => without_ages(one) == without_ages(other),
            (Err(one), Err(other)) => one == other,
            _ => false,
        }
    }
}

impl Overview {
    /// With a history that is kept in this folder.
    pub(crate) fn new(state_dir: &Path) -> Self {
        Self(Arc::new(Shared {
            now: watch::Sender::new(None),
            pulls: watch::Sender::new(Arc::default()),
            rings: Mutex::default(),
            newest: watch::Sender::new(0),
            over: watch::Sender::new(false),
            file: HistoryFile::new(state_dir),
            unwritten: Mutex::default(),
            is_failing: AtomicBool::new(false),
        }))
    }

    /// How the server stands, whenever that changes. While anybody has this it is looked twice a second.
    pub(crate) fn watch(&self) -> watch::Receiver<Option<Arc<Now>>> {
        self.0.now.subscribe()
    }

    /// The models that are fetched, whenever that changes and somebody watches.
    pub(crate) fn pulls(&self) -> watch::Receiver<Arc<[Pulling]>> {
        self.0.pulls.subscribe()
    }

    /// Changes with every sample, to its end.
    pub(crate) fn newest(&self) -> watch::Receiver<u64> {
        self.0.newest.subscribe()
    }

    /// The samples that end after `after_s`, the oldest first.
    pub(crate) fn samples(&self, step: Step, after_s: u64) -> Vec<Arc<Sample>> {
        self.rings().after(step, after_s)
    }

    /// Resolves when whoever looks has to ask another gateway.
    pub(crate) async fn over(&self) {
        // An error would mean that this is gone itself.
        let _ = self.0.over.subscribe().wait_for(|over| *over).await;
    }

    /// Looks, takes samples and keeps them, for as long as `course` says that the gateway serves; then those who look are
    /// told that it is over. Never ends.
    pub(crate) async fn run(&self, upstream: Arc<Upstream>, mut course: watch::Receiver<Course>) {
        let mut looking = Looking {
            sampling: Sampling::begin(),
            pulls: HashMap::new(),
            last_s: clock::unix_now(),
            together: 1,
        };
        self.exchange().await;
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.look(&upstream, &mut looking).await,
                () = steered(&mut course) => break,
            }
        }
        self.0.over.send_replace(true);
        self.exchange().await;
        std::future::pending::<()>().await;
    }

    async fn look(&self, upstream: &Upstream, looking: &mut Looking) {
        let now_s = clock::unix_now();
        // By a clock that was set back, too.
        let is_due = now_s != looking.last_s;
        let is_watched = self.0.now.receiver_count() > 0;
        if !is_due && !is_watched {
            return;
        }
        let now = Now::ask(upstream).await;
        if is_due {
            let status = now.status.as_ref().ok();
            let samples = looking.sampling.take(now_s, status, upstream.n_waiting());
            looking.last_s = now_s;
            if self.keep(&samples) >= looking.together {
                self.exchange().await;
                looking.together = (2 * looking.together).min(WRITTEN_TOGETHER);
            }
        }
        if is_watched {
            let now = Arc::new(now);
            self.0.now.send_if_modified(|former| {
                let is_new = former.as_ref().is_none_or(|former| !former.is_like(&now));
                if is_new {
                    *former = Some(now);
                }
                is_new
            });
        }
        if is_watched && is_due {
            self.look_at_pulls(upstream, looking).await;
        }
    }

    async fn look_at_pulls(&self, upstream: &Upstream, looking: &mut Looking) {
        let listed =
            async { Ok::<_, Error>(upstream.store().await?.pulls(PullsRequest {}).await?.into_inner()) };
        let Ok(listed) = listed.await.inspect_err(|error| debug!(%error, "nothing is known of pulls")) else {
            return;
        };
        let now = Instant::now();
        let speed = |status: &PullStatus| {
            let (then, bytes) = looking.pulls.get(&status.id)?;
            let passed_s = (now - *then).as_secs_f64();
            let is_running = status.state == "running" && passed_s > 0.0;
            is_running.then(|| (status.bytes.saturating_sub(*bytes) as f64 / passed_s) as u64)
        };
        let pulls: Arc<[Pulling]> =
            listed.pulls.into_iter().map(|status| Pulling { bytes_per_s: speed(&status), status }).collect();
        looking.pulls = pulls.iter().map(|pull| (pull.status.id.clone(), (now, pull.status.bytes))).collect();
        self.0.pulls.send_if_modified(|former| {
            let is_new = *former != pulls;
            *former = pulls;
            is_new
        });
    }

    /// Remembers samples, and answers how many are not written yet.
    fn keep(&self, samples: &[Arc<Sample>]) -> usize {
        let mut rings = self.rings();
        for sample in samples {
            rings.push(sample.clone());
        }
        drop(rings);
        if let Some(second) = samples.first() {
            self.0.newest.send_replace(second.unix_s);
        }
        let mut unwritten = locked(&self.0.unwritten);
        unwritten.extend(samples.iter().cloned());
        unwritten.len()
    }

    /// Writes what was not written yet, and takes in what another gateway has.
    pub(crate) async fn exchange(&self) {
        let (shared, unwritten) = (self.0.clone(), std::mem::take(&mut *locked(&self.0.unwritten)));
        let exchanged = spawn_blocking(move || {
            let all = || locked(&shared.rings).all();
            shared.file.exchange(&unwritten, all)
        });
        match exchanged.await {
            Ok(Ok(others)) => {
                self.0.is_failing.store(false, Ordering::Relaxed);
                let mut rings = self.rings();
                for sample in others {
                    rings.insert(Arc::new(sample));
                }
            }
            Ok(Err(error)) => {
                if !self.0.is_failing.swap(true, Ordering::Relaxed) {
                    warn!(%error, "the history is kept in memory alone; check supervisor.state_dir");
                }
            }
            Err(error) => warn!(%error, "the history could not be written"),
        }
    }

    fn rings(&self) -> MutexGuard<'_, Rings> {
        locked(&self.0.rings)
    }
}

/// Resolves when the gateway is not to serve any more.
async fn steered(course: &mut watch::Receiver<Course>) {
    // A sender that is gone will not say anything else.
    let _ = course.wait_for(|course| *course != Course::Serve).await;
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The status with everything at zero that grows or shrinks by itself.
fn without_ages(status: &StatusReply) -> StatusReply {
    let worker = |worker: &WorkerStatus| WorkerStatus {
        uptime_s: 0,
        serving_s: 0,
        leaves_in_s: worker.leaves_in_s.map(|_| 0),
        rss_bytes: coarse(worker.rss_bytes),
        ..worker.clone()
    };
    let gateway =
        |gateway: &GatewayStatus| GatewayStatus { rss_bytes: coarse(gateway.rss_bytes), ..gateway.clone() };
    let mut pools = status.pools.clone();
    for pool in &mut pools {
        (pool.limit_bytes, pool.available_bytes) = (coarse(pool.limit_bytes), coarse(pool.available_bytes));
    }
    StatusReply {
        uptime_s: 0,
        workers: status.workers.iter().map(worker).collect(),
        gateway: status.gateway.as_ref().map(gateway),
        pools,
        ..status.clone()
    }
}

/// Bytes to the next 16 MiB: less is no news.
fn coarse(bytes: u64) -> u64 {
    bytes >> 24
}

#[cfg(test)]
mod tests;
