//! The whole supervisor: everything is checked and bound before anything is started, and nothing is left when it
//! ends.

mod greeting;
mod log;
mod measure;
mod notify;
mod power;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use impetus_config::Loaded;
use tokio::{sync::mpsc, time::Instant};

use self::notify::Notifier;
use crate::{
    adoption::{self, Claimed, Inheritance},
    aliases::AliasFile,
    budget::Memory,
    catalog::Library,
    cgroup::Cgroups,
    control::{self, Configured, Control},
    conversions::Conversions,
    fleet::{self, Inherited, Legacy},
    footprints::Footprints,
    gateway::{self, Activated, Entrance},
    keys::Keys,
    launch::Launcher,
    lock::FolderLock,
    logs::Logs,
    memory,
    places::Places,
    pulls::{FetchSettings, Pulls},
    settings, shutdown,
    store::Store,
    worker::{Adopted, Processes},
};

/// The supervisor's name wherever a process is named.
pub const NAME: &str = "supervisor";

/// How many threads carry the supervisor's own work; it has little.
const THREADS: usize = 2;

/// Serves as the configuration says until it is told to stop.
pub fn run(loaded: Loaded) -> Result<()> {
    let config = &loaded.config;
    let activated = Activated::take(config.gateway.listen)?;
    let places = Places::new(config)?;
    places.prepare_state()?;
    let _state = FolderLock::take(&places.state_dir, "lock", "supervisor.state_dir")?;
    let keys = Keys::load(&places.state_dir)?;
    keys.check_exposure(config)?;
    places.prepare_runtime()?;
    // Of its own: supervisors with other state folders must not take each other's children for orphans.
    let _runtime = FolderLock::take(&places.runtime_dir, "supervisor.lock", "supervisor.runtime_dir")?;
    let serves = |format: &str| config.workers.contains_key(format);
    let listen = activated.as_ref().map_or(config.gateway.listen, |activated| activated.listen);
    let mut inherited = adoption::take_over(&places.runtime_dir, listen, serves);
    places.clear_runtime(&inherited.sockets())?;
    let entrance = Entrance::open(listen, activated, &mut inherited)?;
    let swapped = AliasFile::new(&places.state_dir).read();
    let library = Arc::new(Library::new(config, places.bundled_models(), swapped)?);
    let store = Arc::new(Store::open(&config.store_dir(), &places.state_dir)?);
    let logs =
        Logs::start(log::settings(config, &places)).context("cannot start the thread that writes logs")?;
    let guard = log::init(config, &places, &logs)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let configured = Arc::new(Configured::new(loaded, places, keys));
    let served = runtime.block_on(serve(configured, (entrance, inherited), (library, store), &logs));
    // A task that hangs in a system call must not keep a stopped server alive.
    runtime.shutdown_timeout(Duration::from_secs(1));
    logs.close();
    drop(guard);
    served
}

async fn serve(
    configured: Arc<Configured>,
    (entrance, inherited): (Entrance, Inheritance),
    (library, store): (Arc<Library>, Arc<Store>),
    logs: &Logs,
) -> Result<()> {
    let (config, places) = (&*configured.now(), &configured.places);
    let (phase, hangups) = shutdown::on_signals(configured.watch()).context("cannot follow signals")?;
    let control_socket = control::bind(&places.control_socket())?;
    library.set_stored(store.places()?).await;
    let launcher =
        Launcher::of_this_program().context("cannot tell where the supervisor's own program is")?;
    let nursery = Processes {
        launcher: launcher.clone(),
        logs: logs.clone(),
        log: settings::log_spec(config),
        timeouts: configured.timeouts(),
        working_dir: places.state_dir.clone(),
        records: settings::records(config, places),
        cgroups: Cgroups::for_workers(config.budget.cgroups, &places.runtime_dir),
        prefixes: configured.prefixes.clone(),
    };
    let gateway_settings = settings::of_gateway(config, places, &configured.keys)
        .context("cannot tell the gateway its configuration")?;
    let shim = launcher.clone();
    let (gateway, gateway_task) = gateway::start(gateway_settings, entrance, launcher, logs, phase.clone());
    let manager = Notifier::from_environment().map(|notifier| (Arc::new(notifier), phase.clone()));
    let pids: Vec<u32> = inherited.workers.iter().map(pid).collect();
    let memory = measure::first(config, &pids);
    let programs =
        config.workers.iter().map(|(format, worker)| (format.clone(), places.program(&worker.command)));
    let footprints = Footprints::load(&places.state_dir, &programs.collect());
    let (fleet, fleet_task) = fleet::start(
        settings::of_fleet(config, places),
        nursery,
        Legacy { workers: known(&library, inherited).await, footprints },
        memory.subscribe(),
        phase,
    );
    let measuring = tokio::spawn(measure::keep(configured.watch(), fleet.clone(), memory));
    let fetching = FetchSettings {
        configured: configured.clone(),
        fleet: fleet.clone(),
        launcher: shim,
        logs: logs.clone(),
    };
    let pulls = Pulls::new(store, library.clone(), fetching.clone());
    let control = Control {
        fleet,
        gateway,
        conversions: Conversions::new(pulls.clone(), library.clone(), fetching),
        pulls,
        library,
        configured: configured.clone(),
        logs: logs.clone(),
        started: Instant::now(),
    };
    greeting::greet(&control, &places.control_socket());
    let notifying = manager
        .map(|(notifier, phase)| (notifier.clone(), tokio::spawn(notifier.follow(control.clone(), phase))));
    control.pulls.resume().await;
    let checking = tokio::spawn(check_changed(control.pulls.clone()));
    let sparing = power::start(control.clone(), configured.watch()).await;
    for name in control.library.preloads() {
        control.preload(&name).await;
    }
    let reloading = tokio::spawn(reload_on(hangups, control.clone()));
    let serving = tokio::spawn(control::serve(control_socket, control));
    let (gateway_end, fleet_end) = tokio::join!(gateway_task, fleet_task);
    serving.abort();
    reloading.abort();
    measuring.abort();
    checking.abort();
    sparing.abort();
    if let Some((notifier, notifying)) = notifying {
        notifying.abort();
        notifier.stopping();
    }
    remove(&places.control_socket());
    gateway_end.and(fleet_end).context("a part of the supervisor failed")?;
    tracing::info!("stopped");
    Ok(())
}

/// The inherited workers, with what their models are now.
async fn known(library: &Arc<Library>, inherited: Inheritance) -> Vec<Inherited<Claimed>> {
    for (child, reason) in &inherited.ended {
        tracing::info!(%child, %reason, "a process of a former supervisor was not taken over");
    }
    let mut known = Vec::new();
    for worker in inherited.workers {
        let manifest = library.find(&worker.spec.model).await.ok();
        let manifest = manifest.filter(|manifest| manifest.spec.model == worker.spec.model);
        let held = memory::rss_bytes(pid(&worker)).unwrap_or_default();
        known.push(Inherited { worker, manifest, held: Memory::ram(held) });
    }
    known
}

fn pid(worker: &Adopted<Claimed>) -> u32 {
    worker.process.kept.record().identity.pid
}

/// Reads the configuration again at each SIGHUP.
async fn reload_on(mut hangups: mpsc::Receiver<()>, control: Control) {
    while hangups.recv().await.is_some() {
        control.reload_unasked().await;
    }
}

/// Damage of models is found at the start; who asks for one meanwhile gets it as it is.
async fn check_changed(pulls: Pulls) {
    if let Err(error) = pulls.check_changed().await {
        tracing::error!(%error, "models that have changed are not checked");
    }
}

fn remove(socket: &Path) {
    if let Err(error) = std::fs::remove_file(socket) {
        tracing::debug!(%error, "the control socket was gone already");
    }
}
