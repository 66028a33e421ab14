//! The whole supervisor: everything is checked and bound before anything is started, and nothing is left when it
//! ends.

mod greeting;
mod log;
mod measure;
mod notify;
mod power;
mod succession;

use std::{mem::ManuallyDrop, os::unix::net::UnixListener, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use impetus_config::Loaded;
use tokio::{sync::mpsc, time::Instant};

use self::{
    notify::Notifier,
    succession::{Held, note_stop, open_control, ordered},
};
use crate::{
    adoption::{self, Claimed, Identity, Inheritance},
    aliases::AliasFile,
    budget::Memory,
    catalog::Library,
    cgroup::Cgroups,
    control::{self, Configured, Control},
    conversions::Conversions,
    events::{Kind, Note},
    fleet::{self, Inherited, Legacy},
    footprints::Footprints,
    gateway::{self, Activated, Entrances},
    keys::Keys,
    launch::Launcher,
    lock::FolderLock,
    logs::{Logs, Pipe},
    memory,
    places::Places,
    pulls::{FetchSettings, Pulls},
    settings, shutdown,
    store::Store,
    upgrade::{self, Go, Resumed, Upgrades, WayBack},
    witness::Witness,
    worker::{Adopted, Processes},
};

/// The supervisor's name wherever a process is named.
pub const NAME: &str = "supervisor";

/// How many threads carry the supervisor's own work; it has little.
const THREADS: usize = 2;

/// How a server that served came to its end.
enum End {
    /// It was told to stop.
    Stopped,
    /// Another supervisor goes on with what runs.
    Replaced(Go, Vec<Pipe>),
}

/// Serves as the configuration says until it is told to stop. Goes on with what `resumed` brings, if this is not the
/// first supervisor of its process.
pub fn run(loaded: Loaded, mut resumed: Option<Resumed>) -> Result<()> {
    let config = &loaded.config;
    let activated = Activated::take(&config.gateway)?;
    let places = Places::new(config)?;
    places.prepare_state()?;
    let former = resumed.as_mut();
    let [state_lock, runtime_lock] =
        former.map_or([None, None], |former| [former.state_lock.take(), former.runtime_lock.take()]);
    let state_lock = FolderLock::keep(state_lock, &places.state_dir, "lock", "supervisor.state_dir")?;
    let keys = Keys::load(&places.state_dir)?;
    keys.check_exposure(config)?;
    places.prepare_runtime()?;
    // Of its own: supervisors with other state folders must not take each other's children for orphans.
    let runtime_lock =
        FolderLock::keep(runtime_lock, &places.runtime_dir, "supervisor.lock", "supervisor.runtime_dir")?;
    let serves = |format: &str| config.workers.contains_key(format);
    let wanted = activated.wanted(&config.gateway);
    let children = resumed.is_some().then(Identity::children).unwrap_or_default();
    let mut inherited = adoption::take_over(&places.runtime_dir, &wanted, serves);
    let taken = inherited.pids();
    let strays = children.into_iter().filter(|child| !taken.contains(&child.pid)).collect();
    let control = open_control(&places, &inherited, resumed.as_mut())?;
    let mut entrances = Entrances::open(&wanted, activated, &mut inherited)?;
    entrances.activated.extend(resumed.iter().flat_map(|former| &former.activated));
    let swapped = AliasFile::new(&places.state_dir).read();
    let library = Arc::new(Library::new(config, places.bundled_models(), swapped)?);
    let logs =
        Logs::start(log::settings(config, &places)).context("cannot start the thread that writes logs")?;
    let guard = log::init(config, &places, &logs)?;
    // From here on there is a log for what is found of models.
    let store = Arc::new(Store::open(&config.store_dir(), &places.state_dir)?);
    let witness = Witness::new(logs, &places.state_dir);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")?;
    let configured = Arc::new(Configured::new(loaded, places, keys));
    let held = Held { state_lock, runtime_lock, control, activated: entrances.activated.clone() };
    let parts =
        Parts { configured: configured.clone(), library, store, witness: witness.clone(), resumed, strays };
    match runtime.block_on(serve(parts, (entrances, inherited), &held.control)) {
        Ok(End::Replaced(go, pipes)) => {
            // Tasks go on until the very end: to drop them would end the processes that they have.
            let _runtime = ManuallyDrop::new(runtime);
            witness.events.leave(&configured.places.runtime_dir);
            witness.logs.close();
            drop(guard);
            Err(held.go_over(&go, pipes, &configured.places.state_dir))
        }
        served => {
            // A task that hangs in a system call must not keep a stopped server alive.
            runtime.shutdown_timeout(Duration::from_secs(1));
            witness.logs.close();
            drop(guard);
            served.map(|_| ())
        }
    }
}

/// What a server consists of before it serves.
struct Parts {
    configured: Arc<Configured>,
    library: Arc<Library>,
    store: Arc<Store>,
    witness: Witness,
    resumed: Option<Resumed>,
    /// Children that nobody has a use for. They end by themselves.
    strays: Vec<Identity>,
}

async fn serve(
    Parts { configured, library, store, witness, mut resumed, strays }: Parts,
    (entrances, inherited): (Entrances, Inheritance),
    control_socket: &UnixListener,
) -> Result<End> {
    let (config, places) = (&*configured.now(), &configured.places);
    let (phase, hangups) = shutdown::on_signals(configured.watch()).context("cannot follow signals")?;
    upgrade::hear_signals();
    let incoming = control::accept(control_socket, &places.control_socket())?;
    for pipe in resumed.iter_mut().flat_map(|former| former.pipes.drain(..)) {
        let _ =
            witness.logs.go_on(pipe).inspect_err(|error| tracing::warn!(%error, "lines of a child are lost"));
    }
    for stray in strays {
        // So that nothing is left of it.
        tokio::spawn(stray.ended());
    }
    if resumed.is_some() {
        witness.events.inherit(&places.runtime_dir);
    }
    library.set_stored(store.places()?).await;
    let launcher =
        Launcher::of_this_program().context("cannot tell where the supervisor's own program is")?;
    let nursery = Processes {
        launcher: launcher.clone(),
        witness: witness.clone(),
        log: settings::log_spec(config),
        timeouts: configured.timeouts(),
        working_dir: places.state_dir.clone(),
        records: settings::records(config, places),
        cgroups: Cgroups::for_workers(config.budget.cgroups, &places.runtime_dir),
        prefixes: configured.prefixes.clone(),
    };
    let gateway_settings = settings::of_gateway(config, places, &configured.keys)
        .context("cannot tell the gateway its configuration")?;
    let (gateway, gateway_task) =
        gateway::start(gateway_settings, entrances, launcher.clone(), &witness, phase.clone());
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
        phase.clone(),
    );
    let measuring = tokio::spawn(measure::keep(configured.watch(), fleet.clone(), memory));
    let fetching = FetchSettings {
        configured: configured.clone(),
        fleet: fleet.clone(),
        launcher: launcher.clone(),
        witness: witness.clone(),
    };
    tokio::spawn(note_stop(phase.clone(), witness.clone()));
    let (upgrades, orders) = Upgrades::new(resumed.as_ref().map(|former| former.id));
    let pulls = Pulls::new(store, library.clone(), fetching.clone());
    let control = Control {
        fleet,
        gateway,
        conversions: Conversions::new(pulls.clone(), library.clone(), fetching),
        pulls,
        library,
        configured: configured.clone(),
        witness: witness.clone(),
        launcher,
        upgrades: Arc::new(upgrades),
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
    let serving = tokio::spawn(control::serve(incoming, control.clone()));
    witness.events.note(Note::new(
        Kind::ServerStarted,
        NAME,
        format!("serves, version {}", env!("CARGO_PKG_VERSION")),
    ));
    if let Some(former) = resumed {
        former.way_back.iter().for_each(WayBack::close);
        tokio::spawn(async move { control.finish_upgrade(&former).await });
    }
    let tasks = async { tokio::join!(gateway_task, fleet_task) };
    let (gateway_end, fleet_end) = tokio::select! {
        ends = tasks => ends,
        go = ordered(orders, phase) => {
            tracing::info!(program = %go.program.display(), "going over to another supervisor");
            return Ok(End::Replaced(go, witness.logs.hand_over().await));
        }
    };
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
    Ok(End::Stopped)
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
