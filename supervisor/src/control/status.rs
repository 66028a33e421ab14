//! `Status`

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use impetus_config::Entrance;
use impetus_proto::{
    Error,
    supervisor::{
        self, EntranceStatus, ExitCount, GatewayStatus, PoolShare, PoolStatus, StatusReply, WorkerStatus,
    },
};
use tokio::time::Instant;

use super::Control;
use crate::{
    budget::RAM,
    fleet::{Exit, LoadTimes, Snapshot, WorkerRow},
    memory::rss_bytes,
};

impl Control {
    pub(super) async fn answer_status(&self) -> Result<StatusReply, Error> {
        let snapshot = self.fleet.snapshot().await?;
        let now = Instant::now();
        Ok(StatusReply {
            gateway: Some(self.gateway_status()),
            workers: snapshot.workers.iter().map(|row| worker_status(row, now)).collect(),
            models: self.model_statuses(&snapshot),
            uptime_s: (now - self.started).as_secs(),
            supervisor_pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").into(),
            pools: pool_statuses(&snapshot),
            exits: exit_counts(&snapshot),
        })
    }

    fn gateway_status(&self) -> GatewayStatus {
        let state = self.gateway.state();
        let entrance = |(entrance, address): &(Entrance, SocketAddr)| EntranceStatus {
            name: entrance.name().into(),
            listen: address.to_string(),
        };
        let entrances: Vec<EntranceStatus> = state.entrances.iter().map(entrance).collect();
        GatewayStatus {
            pid: state.pid.unwrap_or_default(),
            state: state.stage.name().into(),
            listen: entrances.first().map(|first| first.listen.clone()).unwrap_or_default(),
            entrances,
            restarts: state.restarts,
            last_exit: state.last_exit.unwrap_or_default(),
            rss_bytes: state.pid.and_then(rss_bytes).unwrap_or_default(),
            tls: self.configured.now().gateway.tls.cert.is_some(),
        }
    }
}

/// The machine's memory, RAM first.
fn pool_statuses(snapshot: &Snapshot) -> Vec<PoolStatus> {
    let pools = &snapshot.pools;
    let names: BTreeSet<&str> = [&pools.limit, &pools.total, &snapshot.placed]
        .into_iter()
        .flat_map(|memory| memory.pools().map(|(name, _)| name))
        .collect();
    let mut statuses: Vec<PoolStatus> = names
        .into_iter()
        .map(|name| PoolStatus {
            name: name.to_owned(),
            limit_bytes: pools.limit.of(name),
            placed_bytes: snapshot.placed.of(name),
            total_bytes: pools.total.of(name),
            available_bytes: pools.available.of(name),
        })
        .collect();
    statuses.sort_by_key(|pool| pool.name != RAM);
    statuses
}

fn exit_counts(snapshot: &Snapshot) -> Vec<ExitCount> {
    let count = |(exit, count): (&Exit, &u64)| ExitCount {
        format: exit.format.clone(),
        model: exit.model.clone().unwrap_or_default(),
        cause: exit.cause.to_owned(),
        count: *count,
    };
    snapshot.exits.iter().map(count).collect()
}

fn worker_status(row: &WorkerRow, now: Instant) -> WorkerStatus {
    WorkerStatus {
        id: row.id.to_string(),
        format: row.format.clone(),
        model: row.model.clone().unwrap_or_default(),
        state: row.state.name().into(),
        detail: row.state.detail(now),
        pid: row.pid.unwrap_or_default(),
        restarts: row.restarts,
        last_exit: row.last_exit.clone().unwrap_or_default(),
        rss_bytes: row.pid.and_then(rss_bytes).unwrap_or_default(),
        slots_busy: row.slots_busy,
        slots_total: row.slots_total,
        uptime_s: row.started.map(|started| (now - started).as_secs()).unwrap_or_default(),
        leases: row.leases,
        footprint_bytes: row.footprint.of(RAM),
        limit_bytes: row.limit_bytes.unwrap_or_default(),
        limited_by: row.limited_by.map(|by| by.to_string()).unwrap_or_default(),
        sandbox: row.sandbox.clone(),
        role: row.role.name().into(),
        peak_bytes: row.peaks.of(RAM),
        prefix_bytes: row.prefix_bytes,
        prefix_room_bytes: row.prefix_room_bytes,
        load: row.load.map(load_times),
        stages: row.stages,
        draft: row.draft.clone().unwrap_or_default(),
        prompt_tokens: row.prompt_tokens,
        completion_tokens: row.completion_tokens,
        waiting: row.waiting,
        serving_s: row.serving.map(|since| (now - since).as_secs()).unwrap_or_default(),
        stay_s: row.stay.map(|time| time.as_secs()),
        leaves_in_s: row.leaves.map(|time| time.saturating_duration_since(now).as_secs()),
        pools: pool_shares(row),
    }
}

fn pool_shares(row: &WorkerRow) -> Vec<PoolShare> {
    let both = row.footprint.plus(&row.peaks);
    let share = |(name, _): (&str, u64)| PoolShare {
        name: name.to_owned(),
        footprint_bytes: row.footprint.of(name),
        peak_bytes: row.peaks.of(name),
    };
    both.pools().map(share).collect()
}

fn load_times(times: LoadTimes) -> supervisor::LoadTimes {
    let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    supervisor::LoadTimes {
        room_ms: ms(times.room),
        standby_ms: ms(times.standby),
        open_ms: ms(times.open),
        load_ms: ms(times.load),
    }
}
