//! How the fleet stands, for whoever asks.

use std::{collections::BTreeMap, time::Duration};

use impetus_proto::worker::StageTimes;
use tokio::time::Instant;

use super::{
    Fleet, LoadTimes, Manifest,
    seat::{Resident, Role, Stage},
};
use crate::{
    budget::{Memory, Pools},
    limit::Enforcer,
    worker::{Nursery, State, WorkerId},
};

/// All workers, and the models that are or were wanted.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// By worker.
    pub workers: Vec<WorkerRow>,
    /// By name; a model that is not here was never wanted.
    pub models: BTreeMap<String, ModelRow>,
    /// The machine's memory.
    pub pools: Pools,
    /// What the budget counts for all workers.
    pub placed: Memory,
    /// How often workers ended.
    pub exits: BTreeMap<Exit, u64>,
}

/// An end of a worker, as far as it is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Exit {
    /// The format that it served.
    pub format: String,
    /// Its model; a standby has none.
    pub model: Option<String>,
    /// Why it ended, in a word.
    pub cause: &'static str,
}

/// One worker, alive or about to be.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerRow {
    /// Its name.
    pub id: WorkerId,
    /// The format it serves.
    pub format: String,
    /// The model it serves or is to serve.
    pub model: Option<String>,
    /// The model that guesses for it.
    pub draft: Option<String>,
    /// Its state.
    pub state: State,
    /// Its process, if it has one.
    pub pid: Option<u32>,
    /// How often what it serves had to be started again.
    pub restarts: u32,
    /// Why its predecessor ended.
    pub last_exit: Option<String>,
    /// Slots that generate.
    pub slots_busy: u32,
    /// All slots.
    pub slots_total: u32,
    /// Sequences that wait in it for a slot.
    pub waiting: u32,
    /// Tokens of prompts that it has computed.
    pub prompt_tokens: u64,
    /// Tokens that it has generated.
    pub completion_tokens: u64,
    /// When its process was started.
    pub started: Option<Instant>,
    /// Since when it has served its model.
    pub serving: Option<Instant>,
    /// How long it stays when nobody leases it; none: until it is told to go.
    pub stay: Option<Duration>,
    /// When it goes, if nobody leases it before; none while somebody does.
    pub leaves: Option<Instant>,
    /// Requests that are with it, as far as is known.
    pub leases: u32,
    /// What it is there for.
    pub role: Role,
    /// What the budget counts for it, but for prefixes.
    pub footprint: Memory,
    /// The most that it has held, but for prefixes.
    pub peaks: Memory,
    /// RAM that it keeps prefixes in, in bytes.
    pub prefix_bytes: u64,
    /// What the budget counts for that.
    pub prefix_room_bytes: u64,
    /// Where its time has gone, as it last said.
    pub stages: Option<StageTimes>,
    /// What its load took, by stage, once it serves.
    pub load: Option<LoadTimes>,
    /// RAM at which it is killed.
    pub limit_bytes: Option<u64>,
    /// By whom.
    pub limited_by: Option<Enforcer>,
    /// How far it is confined; empty while it has not said so.
    pub sandbox: String,
}

/// One model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelRow {
    /// available, loading, ready, draining, backoff or failed.
    pub state: &'static str,
    /// What there is to say beyond that.
    pub detail: String,
}

impl<N: Nursery> Fleet<N> {
    pub(super) fn snapshot(&self, now: Instant) -> Snapshot {
        let alive = self.workers.keys().map(|id| self.living_row(id));
        let dead = self.residents.iter().filter_map(|(name, resident)| dead_row(name, resident));
        let pools = self.pools.keys().filter_map(|format| self.pool_row(format, now));
        let mut workers: Vec<WorkerRow> = alive.flatten().chain(dead).chain(pools).collect();
        workers.sort_by(|a, b| (&a.format, a.started, &a.id).cmp(&(&b.format, b.started, &b.id)));
        let models = self
            .residents
            .iter()
            .map(|(name, resident)| (name.clone(), self.model_row(resident, now)))
            .collect();
        let (pools, placed, exits) = (self.memory.borrow().clone(), self.placed(), self.exits.clone());
        Snapshot { workers, models, pools, placed, exits }
    }

    fn living_row(&self, id: &WorkerId) -> Option<WorkerRow> {
        let entry = self.workers.get(id)?;
        let resident = entry.model().and_then(|model| self.residents.get(model));
        let placed = entry.placed.as_ref();
        let main = resident.filter(|resident| resident.main.worker() == Some(id));
        let pool = self.pools.get(&entry.format);
        let (restarts, last_exit) = match (resident, pool) {
            (Some(resident), _) => (resident.restarts, resident.last_exit.clone()),
            (None, Some(pool)) => (pool.restarts, pool.last.as_ref().map(|(_, cause)| cause.clone())),
            (None, None) => (0, None),
        };
        Some(WorkerRow {
            id: id.clone(),
            format: entry.format.clone(),
            model: entry.model().map(ToOwned::to_owned),
            draft: placed.and_then(|placed| draft_of(&placed.manifest)),
            state: entry.state.clone(),
            pid: entry.pid,
            restarts,
            last_exit,
            slots_busy: entry.stats.slots_busy,
            slots_total: entry.stats.slots_total,
            waiting: entry.stats.waiting,
            prompt_tokens: entry.stats.prompt_tokens,
            completion_tokens: entry.stats.completion_tokens,
            started: Some(entry.started),
            serving: placed.and(entry.useful_since),
            stay: main.and_then(Resident::patience),
            leaves: main.and_then(|resident| self.expiry(&placed?.model, resident, id)),
            // A gateway's requests share a hold.
            leases: u32::try_from(self.n_holders(id))
                .unwrap_or(u32::MAX)
                .max(entry.stats.slots_busy.saturating_add(entry.stats.waiting)),
            role: placed.map_or(Role::Main, |placed| placed.role),
            footprint: placed.map(|placed| placed.footprint.clone()).unwrap_or_default(),
            peaks: entry.peaks.clone(),
            prefix_bytes: entry.stats.prefix_ram_bytes,
            prefix_room_bytes: placed.map_or(0, |placed| placed.room.counted),
            stages: entry.stats.stages,
            load: placed.and_then(|placed| placed.way.times()),
            limit_bytes: placed.and_then(|placed| placed.limit_bytes),
            limited_by: entry.limited_by,
            sandbox: entry.sandbox.clone(),
        })
    }

    /// The row of standbys that do not come up, while none of them has a process.
    fn pool_row(&self, format: &str, now: Instant) -> Option<WorkerRow> {
        let pool = self.pools.get(format)?;
        let until = pool.not_before.filter(|time| *time > now)?;
        let (id, cause) = pool.last.clone()?;
        let state = match &pool.broken {
            Some(reason) => State::Failed { reason: reason.clone() },
            None => State::Backoff { until, attempt: pool.attempt },
        };
        Some(WorkerRow { restarts: pool.restarts, ..without_process(id, format, None, state, Some(cause)) })
    }

    fn model_row(&self, resident: &Resident, now: Instant) -> ModelRow {
        let (state, detail) = match &resident.main {
            Stage::Absent => ("available", String::new()),
            Stage::Waiting { room_since, .. } => {
                match self.pools.get(&resident.manifest.format).and_then(|pool| pool.broken.clone()) {
                    Some(reason) => ("failed", reason),
                    None if room_since.is_some() => ("loading", "waits for a worker to start".into()),
                    None => ("loading", "waits for memory".into()),
                }
            }
            Stage::Placed(worker) => match self.workers.get(worker).map(|entry| &entry.state) {
                Some(state @ (State::Ready | State::Loading { .. })) => (state.name(), state.detail(now)),
                _ => ("draining", String::new()),
            },
            Stage::Leaving { .. } => ("draining", String::new()),
            Stage::Backoff { until, attempt, .. } => {
                let state = State::Backoff { until: *until, attempt: *attempt };
                ("backoff", state.detail(now))
            }
            Stage::Failed { error, .. } => ("failed", error.message.clone()),
        };
        ModelRow { state, detail }
    }
}

/// The row of a model whose worker has died.
fn dead_row(name: &str, resident: &Resident) -> Option<WorkerRow> {
    let (worker, state) = match &resident.main {
        Stage::Backoff { until, attempt, worker } => {
            (worker, State::Backoff { until: *until, attempt: *attempt })
        }
        Stage::Failed { error, worker: Some(worker) } => {
            (worker, State::Failed { reason: error.message.clone() })
        }
        _ => return None,
    };
    let row = without_process(
        worker.clone(),
        &resident.manifest.format,
        Some(name.to_owned()),
        state,
        resident.last_exit.clone(),
    );
    Some(WorkerRow { restarts: resident.restarts, ..row })
}

fn draft_of(manifest: &Manifest) -> Option<String> {
    let speculation = manifest.spec.speculation.as_ref()?;
    speculation.draft.as_ref().map(|draft| draft.model.clone())
}

fn without_process(
    id: WorkerId,
    format: &str,
    model: Option<String>,
    state: State,
    last_exit: Option<String>,
) -> WorkerRow {
    WorkerRow {
        id,
        format: format.to_owned(),
        model,
        draft: None,
        state,
        pid: None,
        restarts: 0,
        last_exit,
        slots_busy: 0,
        slots_total: 0,
        waiting: 0,
        prompt_tokens: 0,
        completion_tokens: 0,
        started: None,
        serving: None,
        stay: None,
        leaves: None,
        leases: 0,
        role: Role::Main,
        footprint: Memory::default(),
        peaks: Memory::default(),
        prefix_bytes: 0,
        prefix_room_bytes: 0,
        stages: None,
        load: None,
        limit_bytes: None,
        limited_by: None,
        sandbox: String::new(),
    }
}
