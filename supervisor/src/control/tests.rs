//! Verbs over a fleet of workers that do as their models' names say, on paused time.

use std::{collections::BTreeMap, fs, time::Duration};

use impetus_proto::{Code, Error, launch::WorkerSpec, worker::Description};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};

use super::*;
use crate::{
    attribution::ExitCause,
    budget::{Memory, Pools},
    fleet::{self, Legacy, Wanted},
    footprints::Footprints,
    keys::Keys,
    launch::Launcher,
    leases::Lease,
    logs::{LogSettings, Logs},
    places::Places,
    pulls::{FetchSettings, Pulls},
    settings,
    shutdown::Phase,
    store::Store,
    upgrade::Upgrades,
    witness::Witness,
    worker::{Adopted, Birth, Event, Leave, Nursery, Orders, State, What},
};

mod caches;
mod reload;
mod swap;

const MIB: u64 = 1 << 20;

/// A server whose gateway agrees to everything.
struct Server {
    control: Control,
    dir: TempDir,
    _phase: watch::Sender<Phase>,
    _memory: watch::Sender<Pools>,
}

/// Workers that load at once what is not called bad, and go when they are told to.
struct Obedient;

impl Server {
    /// Over a folder with these models and a configuration file that continues with `config`. Workers may hold 100 MiB.
    async fn start(models: &[&str], config: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("models")).unwrap();
        for model in models {
            fs::write(dir.path().join(format!("models/{model}.toy")), "toy").unwrap();
        }
        write(&dir, config);
        let loaded = impetus_config::load(Some(&dir.path().join("c.toml")), &[]).unwrap();
        let places = Places {
            runtime_dir: dir.path().into(),
            state_dir: dir.path().into(),
            log_dir: dir.path().into(),
            program_dir: dir.path().into(),
        };
        let (memory, measured) = watch::channel(Pools { limit: Memory::ram(100 * MIB), ..Pools::default() });
        let (phase, watched) = watch::channel(Phase::Running);
        let library =
            Arc::new(Library::new(&loaded.config, None, crate::aliases::Aliases::default()).unwrap());
        library.scan().await;
        let (fleet, _task) = fleet::start(
            settings::of_fleet(&loaded.config, &places),
            Obedient,
            Legacy { workers: Vec::new(), footprints: Footprints::load(dir.path(), &BTreeMap::new()) },
            measured,
            watched,
        );
        let logs =
            LogSettings { dir: dir.path().into(), rotation: impetus_telemetry::Rotation::Never, keep: 1 };
        let witness = Witness::new(Logs::start(logs).unwrap(), dir.path());
        let configured = Arc::new(Configured::new(loaded, places, Keys::load(dir.path()).unwrap()));
        let fetching = FetchSettings {
            configured: configured.clone(),
            fleet: fleet.clone(),
            launcher: Launcher::new("/nonexistent"),
            witness: witness.clone(),
        };
        let store = Arc::new(Store::open(&dir.path().join("store"), dir.path()).unwrap());
        let pulls = Pulls::new(store, library.clone(), fetching.clone());
        let control = Control {
            conversions: Conversions::new(pulls.clone(), library.clone(), fetching),
            pulls,
            fleet,
            gateway: GatewayHandle::agreeable(),
            library,
            configured,
            witness,
            launcher: Launcher::new("/nonexistent"),
            upgrades: Arc::new(Upgrades::new(None).0),
            started: Instant::now(),
        };
        Self { control, dir, _phase: phase, _memory: memory }
    }

    fn configure(&self, config: &str) {
        write(&self.dir, config);
    }

    /// A lease on what `name` means by now.
    async fn lease(&self, name: &str) -> Lease {
        let manifest = self.control.library.find(name).await.unwrap();
        let mut lease = self.control.fleet.acquire(Wanted::of(manifest)).await.unwrap();
        lease.ready().await.unwrap();
        lease
    }

    /// The slots of each model's ready worker.
    async fn up(&self) -> Vec<String> {
        let snapshot = self.control.fleet.snapshot().await.unwrap();
        let ready = snapshot.workers.into_iter().filter(|row| row.state == State::Ready);
        let mut up: Vec<String> =
            ready.map(|row| format!("{}:{}", row.model.unwrap_or_default(), row.slots_total)).collect();
        up.sort();
        up
    }

    /// Waits until these are up, and nothing else.
    async fn until_up(&self, expected: &[&str]) {
        let mut changes = self.control.fleet.changes();
        while self.up().await != expected {
            changes.changed().await.unwrap();
        }
    }
}

impl Nursery for Obedient {
    type Claimed = ();

    fn start(&mut self, birth: Birth, orders: watch::Receiver<Orders>, events: mpsc::Sender<Event>) {
        tokio::spawn(live(birth, orders, events));
    }

    fn adopt(&mut self, _: Adopted<()>, _: watch::Receiver<Orders>, _: mpsc::Sender<Event>) {}
}

async fn live(birth: Birth, mut orders: watch::Receiver<Orders>, events: mpsc::Sender<Event>) {
    let tell = async |what| drop(events.send(Event { id: birth.id.clone(), what }).await);
    tell(What::Started { pid: 1 }).await;
    tell(What::Waiting).await;
    let leaves = |orders: &Orders| matches!(orders.leave, Leave::Now | Leave::Kill);
    let first = orders.wait_for(|orders| orders.place.is_some() || leaves(orders)).await.map(|o| o.clone());
    let spec = first.ok().filter(|orders| !leaves(orders)).and_then(|orders| orders.place.clone());
    if let Some(WorkerSpec { model, slots, .. }) = spec.map(|placement| placement.spec.clone()) {
        if model.starts_with("bad") || slots == 13 {
            let error = Error::new(Code::ModelLoadFailed, "it is bad");
            return tell(What::Exited(ExitCause::LoadFailed(error))).await;
        }
        tell(What::Serving(Box::new(Description { slots, ..Description::default() }))).await;
    }
    let draining = orders.wait_for(|orders| orders.leave != Leave::No).await.map(|orders| orders.leave);
    if let Ok(Leave::Drain(deadline)) = draining {
        tell(What::Draining(deadline)).await;
        let _ = tokio::time::timeout_at(deadline, orders.wait_for(leaves)).await;
    }
    tell(What::Exited(ExitCause::Stopped)).await;
}

fn write(dir: &TempDir, config: &str) {
    let text = format!(
        "[models]\ndirs = ['models']\n[workers.toy]\ncommand = 'c.toml'\npatterns = ['*.toy']\nstandby = 1\n{config}"
    );
    fs::write(dir.path().join("c.toml"), text).unwrap();
}

/// A `[[model]]` of this size, in MiB.
fn model(name: &str, memory: u64, more: &str) -> String {
    format!("[[model]]\nname = '{name}'\nmemory = '{memory}MiB'\n{more}\n")
}
