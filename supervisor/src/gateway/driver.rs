//! The gateway's lives, one after the other.

use std::{io, os::fd::OwnedFd, time::Duration};

use impetus_proto::{
    Error,
    launch::{GatewaySpec, Report, report},
};
use rand::random;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

use super::{GatewaySettings, GatewayState, Listener, NAME, Order, Stage};
use crate::{
    adoption::{Claimed, Kind},
    attribution::{ExitCause, Intent},
    crashes::Crash,
    events::{Kind as EventKind, Note},
    launch::{Launch, LaunchError, Launcher},
    levels::Said,
    logs::Source,
    policy::restart::{History, Restart},
    process::{Happening, Process},
    shutdown::Phase,
    witness::Witness,
};

/// The gateway goes after the workers and before the supervisor when memory runs out.
const OOM_SCORE_ADJUST: i32 = 100;

/// How long a gateway that closed its channel may take to end.
const LAST_BREATH: Duration = Duration::from_secs(2);

pub(super) struct Driver {
    pub(super) settings: GatewaySettings,
    launcher: Launcher,
    source: Source,
    pub(super) witness: Witness,
    levels: watch::Receiver<Said>,
    pub(super) state: watch::Sender<GatewayState>,
    orders: mpsc::Receiver<Order>,
    pub(super) phase: watch::Receiver<Phase>,
    /// Who waits until a gateway serves.
    asked: Vec<oneshot::Sender<Result<(), Error>>>,
    /// Former gateways that finish their requests.
    pub(super) retired: JoinSet<()>,
}

/// How one life ended.
struct Ended {
    cause: ExitCause,
    pid: Option<u32>,
    served: Duration,
    /// Whether the whole server goes.
    for_good: bool,
}

#[expect(clippy::large_enum_variant, reason = "there is one at a time, on the stack of the one who hears it")]
enum Heard {
    Stop,
    Order(Order),
    Happening(Happening),
    Level,
    TooLate,
}

impl Driver {
    pub(super) fn new(
        settings: GatewaySettings,
        launcher: Launcher,
        witness: &Witness,
        state: watch::Sender<GatewayState>,
        orders: mpsc::Receiver<Order>,
        phase: watch::Receiver<Phase>,
    ) -> Self {
        let source = witness.logs.source(NAME, Some(NAME));
        let (levels, witness) = (witness.levels.watch(), witness.clone());
        let (asked, retired) = (Vec::new(), JoinSet::new());
        Self { settings, launcher, source, witness, levels, state, orders, phase, asked, retired }
    }

    /// The gateway of a former supervisor; `None` when this one cannot have it, which ends it.
    pub(super) fn adopt(&self, claimed: Claimed) -> Option<Process> {
        Process::adopt(claimed, self.source.clone())
            .inspect_err(|error| tracing::warn!(%error, "the gateway of a former supervisor cannot be kept"))
            .ok()
    }

    /// Runs gateways on `listeners` until the server goes, beginning with the one that serves there already.
    pub(super) async fn run(mut self, listeners: Vec<Listener>, mut adopted: Option<Process>) {
        let mut sockets = Some(listeners);
        let mut history = History::default();
        while let Some(listening) = sockets.take_if(|_| *self.phase.borrow() == Phase::Running) {
            let ended = match adopted.take().map_or_else(|| self.launch(&listening), Ok) {
                Ok(process) => {
                    sockets = Some(listening);
                    self.live(process, &mut sockets).await
                }
                Err(error) => {
                    sockets = Some(listening);
                    let cause = ExitCause::NotStarted(error.to_string());
                    Ended { cause, pid: None, served: Duration::ZERO, for_good: false }
                }
            };
            let is_planned = ended.cause == ExitCause::Stopped;
            self.state.send_modify(|state| {
                state.pid = None;
                state.last_exit = Some(ended.cause.to_string());
                state.stage = if ended.for_good { Stage::Stopped } else { Stage::Backoff };
                state.restarts += u32::from(!ended.for_good);
            });
            if ended.for_good {
                break;
            }
            if is_planned {
                history.clear();
                continue;
            }
            let delay = match history.died(&self.settings.restart, Instant::now(), ended.served, random()) {
                Restart::After { delay, .. } => delay,
                // Without a gateway the server is of no use, so it is never given up.
                Restart::GiveUp { .. } => self.settings.restart.max,
            };
            self.report(&ended);
            tracing::warn!(cause = %ended.cause, delay_ms = delay.as_millis(), "gateway ended, starting another");
            self.pause(delay, &mut sockets).await;
        }
        while self.retired.join_next().await.is_some() {}
        self.state.send_modify(|state| state.stage = Stage::Stopped);
    }

    pub(super) fn launch(&self, listeners: &[Listener]) -> Result<Process, LaunchError> {
        let program = self.settings.program.clone();
        let descriptors: io::Result<Vec<OwnedFd>> =
            listeners.iter().map(|listener| Ok(listener.socket.try_clone()?.into())).collect();
        let descriptors = match descriptors {
            Ok(descriptors) => descriptors,
            Err(source) => return Err(LaunchError::Spawn { program, source }),
        };
        let launch = Launch {
            program,
            args: Vec::new(),
            descriptors,
            environment: Vec::new(),
            oom_score_adjust: OOM_SCORE_ADJUST,
            working_dir: self.settings.working_dir.clone(),
            cgroup_files: Vec::new(),
            file_size_limit_bytes: 0,
        };
        Process::start(&self.launcher, launch, self.source.clone())
    }

    /// Tells a new gateway what it is, and what the sockets that it was started with are. An error shows as the end of its
    /// channel.
    pub(super) async fn introduce(&self, process: &mut Process) {
        let kind = Kind::Gateway { config: self.settings.spec.config_json.clone() };
        let name = format!("{NAME}-{}", process.pid());
        let adoption = process.keep(&self.settings.records, &name, kind);
        let keys = Some(self.settings.keys.now());
        let entrances =
            self.state.borrow().entrances.iter().map(|(entrance, _)| entrance.name().to_owned()).collect();
        let spec = GatewaySpec { adoption, keys, entrances, ..self.settings.spec.clone() };
        let _ = process.send(&spec).await;
    }

    async fn live(&mut self, mut process: Process, sockets: &mut Option<Vec<Listener>>) -> Ended {
        let is_adopted = process.is_adopted();
        self.state.send_modify(|state| {
            state.pid = Some(process.pid());
            state.stage = if is_adopted { Stage::Ready } else { Stage::Starting };
        });
        if is_adopted {
            tracing::info!(pid = process.pid(), "gateway adopted");
        } else {
            self.introduce(&mut process).await;
        }
        let give_up = Instant::now() + self.settings.start;
        let mut ready_since = is_adopted.then(Instant::now);
        let (intent, grace) = loop {
            match self.hear(&mut process, ready_since.is_none().then_some(give_up)).await {
                Heard::Order(order) if !order.starts_another => self.take(order, sockets),
                Heard::Order(order) if ready_since.is_some() => {
                    if self.hand_over(order, &mut process, sockets).await {
                        ready_since = Some(Instant::now());
                    }
                }
                Heard::Order(order) => {
                    self.take(order, sockets);
                    return Ended {
                        pid: Some(process.pid()),
                        cause: self.stop(process).await,
                        served: Duration::ZERO,
                        for_good: false,
                    };
                }
                Heard::Stop => {
                    // Nobody accepts any more, so connections had better be refused.
                    *sockets = None;
                    let (pid, cause) = (Some(process.pid()), self.stop(process).await);
                    return Ended { cause, pid, served: since(ready_since), for_good: true };
                }
                Heard::Happening(Happening::Report(Report {
                    message: Some(report::Message::Serving(_)),
                })) => {
                    ready_since = Some(Instant::now());
                    self.state.send_modify(|state| state.stage = Stage::Ready);
                    tracing::info!(pid = process.pid(), "gateway ready");
                    let places = self.state.borrow().places();
                    let note = Note::new(EventKind::GatewayReady, NAME, format!("serves on {places}"));
                    self.witness.events.note(note.with("pid", process.pid()));
                    for asked in self.asked.drain(..) {
                        let _ = asked.send(Ok(()));
                    }
                }
                Heard::Level | Heard::Happening(Happening::Report(_) | Happening::OverLimit(_)) => {}
                Heard::Happening(Happening::Closed) => break (Intent::None, LAST_BREATH),
                Heard::Happening(Happening::Garbage(error)) => {
                    break (Intent::Garbled(error.to_string()), Duration::ZERO);
                }
                Heard::TooLate => break (Intent::Stalled(self.settings.start), Duration::ZERO),
            }
        };
        let (pid, cause) = (Some(process.pid()), process.finish(intent, None, grace).await);
        Ended { cause, pid, served: since(ready_since), for_good: false }
    }

    async fn hear(&mut self, process: &mut Process, give_up: Option<Instant>) -> Heard {
        let level = self.levels.borrow_and_update().level(&[NAME]).map(ToOwned::to_owned);
        // An error shows as the end of its channel.
        let _ = process.set_level(level.as_deref()).await;
        tokio::select! {
            biased;
            _ = self.phase.wait_for(|phase| *phase != Phase::Running) => Heard::Stop,
            Some(order) = self.orders.recv() => Heard::Order(order),
            happening = process.next() => Heard::Happening(happening),
            () = sleep_until(give_up.unwrap_or_else(Instant::now)), if give_up.is_some() => Heard::TooLate,
            Ok(()) = self.levels.changed() => Heard::Level,
        }
    }

    /// Writes down an end that nobody had asked for.
    fn report(&self, Ended { cause, pid, served, .. }: &Ended) {
        let note = Note::new(EventKind::GatewayExited, NAME, cause);
        if Crash::is_one(cause) {
            self.witness.report(Crash::new(NAME, *pid, cause, *served), note);
        } else {
            self.witness.events.note(note);
        }
    }

    /// Lets it finish what runs, within the time for that; less when the server is in a hurry.
    async fn stop(&mut self, mut process: Process) -> ExitCause {
        self.state.send_modify(|state| state.stage = Stage::Stopping);
        process.terminate();
        let deadline = match *self.phase.borrow() {
            Phase::Draining { deadline } => deadline,
            Phase::Running | Phase::Hurried => Instant::now() + self.settings.drain,
        };
        tokio::select! {
            _ = process.ended() => {}
            () = sleep_until(deadline) => {}
            _ = self.phase.wait_for(|phase| *phase == Phase::Hurried) => {}
        }
        process.finish(Intent::Stop, None, Duration::ZERO).await
    }

    /// Takes note of an order while no gateway serves: the next one is as it says.
    fn take(&mut self, order: Order, sockets: &mut Option<Vec<Listener>>) {
        match order.renewal {
            Some(renewal) => {
                self.renew(renewal, sockets);
                // There is no former one to go on with, so whether it comes up changes nothing.
                let _ = order.reply.send(Ok(()));
            }
            None => self.asked.push(order.reply),
        }
    }

    /// Waits before the next start; an order to restart or to stop ends the wait.
    async fn pause(&mut self, delay: Duration, sockets: &mut Option<Vec<Listener>>) {
        let order = tokio::select! {
            () = sleep(delay) => None,
            order = self.orders.recv() => order,
            () = async { drop(self.phase.wait_for(|phase| *phase != Phase::Running).await) } => None,
        };
        if let Some(order) = order {
            self.take(order, sockets);
        }
    }
}

fn since(time: Option<Instant>) -> Duration {
    time.map(|time| time.elapsed()).unwrap_or_default()
}
