//! How much memory there is for workers, measured again and again, since other programs hold some of it.

use std::{sync::Arc, time::Duration};

use impetus_config::{BudgetConfig, Config};
use tokio::{
    sync::watch,
    time::{MissedTickBehavior, interval},
};

use crate::{
    budget::{Memory, Pools, RAM},
    fleet::FleetHandle,
    machine,
};

/// How often.
const PERIOD: Duration = Duration::from_secs(1);

/// What there is before anything runs but the inherited workers, `pids`.
pub(super) fn first(config: &Config, pids: &[u32]) -> watch::Sender<Pools> {
    watch::Sender::new(measure(&config.budget, pids))
}

/// Measures until nobody listens any more.
pub(super) async fn keep(
    configs: watch::Receiver<Arc<Config>>,
    fleet: FleetHandle,
    pools: watch::Sender<Pools>,
) {
    let mut times = interval(PERIOD);
    times.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !pools.is_closed() {
        times.tick().await;
        let Ok(snapshot) = fleet.snapshot().await else { return };
        let placed = snapshot.workers.iter().filter(|row| row.model.is_some());
        let pids: Vec<u32> = placed.filter_map(|row| row.pid).collect();
        let config = configs.borrow().budget.clone();
        let Ok(measured) = tokio::task::spawn_blocking(move || measure(&config, &pids)).await else {
            continue;
        };
        pools.send_if_modified(|pools| {
            let is_new = *pools != measured;
            *pools = measured;
            is_new
        });
    }
}

fn measure(config: &BudgetConfig, pids: &[u32]) -> Pools {
    let samples = machine::pools();
    let of = |bytes: fn(&machine::PoolSample) -> u64| {
        samples.iter().fold(Memory::default(), |memory, sample| memory.with(&sample.name, bytes(sample)))
    };
    let mut limit = machine::limits(config, &samples, &machine::held(pids));
    if limit.pools().all(|(pool, _)| pool != RAM) {
        // The system tells nothing of its RAM, so nothing can be counted against it.
        limit = limit.with(RAM, u64::MAX);
    }
    Pools { limit, total: of(|sample| sample.total_bytes), available: of(|sample| sample.available_bytes) }
}
