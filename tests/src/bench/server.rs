//! The real server as its own processes, with a folder of its own, and what it says of itself.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail, ensure};
use impetus_proto::{
    endpoint,
    supervisor::{
        AcquireEvent, AcquireRequest, Ready, StatusReply, StatusRequest, UnloadRequest, acquire_event,
        supervisor_client::SupervisorClient,
    },
    worker::{Stats, StatsRequest, worker_client::WorkerClient},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::runtime::Runtime;
use tonic::{Streaming, transport::Channel};

use super::{
    MODEL,
    model::BenchModel,
    process::{self, Memory},
};

/// For a server to start or a model to load.
const PATIENCE: Duration = Duration::from_mins(1);
const PAUSE: Duration = Duration::from_millis(50);
/// Memory is that of an idle server once it has not changed for so long.
const SETTLED: Duration = Duration::from_secs(1);

/// A setting by which each step has one token of each stream.
const NO_GUESSES: &str = "workers.gguf.speculation = \"off\"\n";

/// A running server; it is stopped with this.
pub(super) struct Server {
    process: Child,
    supervisor: SupervisorClient<Channel>,
    runtime: Runtime,
    folder: tempfile::TempDir,
}

/// What a server is started with.
pub(super) struct Setup<'a> {
    /// The names and the files of its models.
    pub(super) models: &'a [(&'a str, &'a Path)],
    /// The format that `shape` is of.
    pub(super) format: &'a str,
    /// Slots, tokens of context of each, compute threads.
    pub(super) shape: [u32; 3],
    /// Further lines of its configuration, before any table.
    pub(super) settings: &'a str,
}

/// A worker with the model in it, which stays as long as this does.
pub(super) struct Worker {
    client: WorkerClient<Channel>,
    _lease: Streaming<AcquireEvent>,
}

/// Processes by their ids.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pids {
    pub(super) supervisor: u32,
    pub(super) gateway: u32,
    /// The worker that has the model; zero while none has it.
    pub(super) worker: u32,
}

impl Server {
    /// Starts the supervisor that lies in `programs` with this model and waits until its gateway accepts and its
    /// standby waits. Nothing is guessed, as by an engine alone.
    pub(super) fn start(programs: &Path, model: &BenchModel, shape: [u32; 3]) -> anyhow::Result<Self> {
        let models = [(MODEL, model.path.as_path())];
        Self::start_with(programs, &Setup { models: &models, format: "gguf", shape, settings: NO_GUESSES })
    }

    /// As [`Server::start`], with a choice of models and settings.
    pub(super) fn start_with(programs: &Path, setup: &Setup<'_>) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir().context("making a folder for the server")?;
        let config = config_in(folder.path());
        let text = setup.config()?;
        fs::write(&config, text).with_context(|| format!("writing {}", config.display()))?;
        let output = fs::File::create(folder.path().join("output"))?;
        let program = programs.join("supervisor");
        #[allow(clippy::disallowed_methods)] // the benchmark stands where an administrator does
        let mut process = Command::new(&program)
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("starting {}; `make bench` builds it", program.display()))?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let socket = format!("unix://{}", folder.path().join("run/supervisor.sock").display());
        let deadline = Instant::now() + PATIENCE;
        let supervisor = loop {
            if let Ok(channel) = runtime.block_on(endpoint::connect(&socket, PATIENCE)) {
                break SupervisorClient::new(channel);
            }
            let exit = process.try_wait()?;
            if exit.is_some() || Instant::now() > deadline {
                drop(process.kill());
                let said = fs::read_to_string(folder.path().join("output")).unwrap_or_default();
                bail!("the supervisor did not start ({exit:?}): {said}");
            }
            std::thread::sleep(PAUSE);
        };
        let mut server = Self { process, supervisor, runtime, folder };
        server.wait_until_idle()?;
        Ok(server)
    }

    fn wait_until_idle(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let status = self.status()?;
            let gateway_is_ready = status.gateway.as_ref().is_some_and(|gateway| gateway.state == "ready");
            if gateway_is_ready && status.workers.iter().any(|worker| worker.state == "standby") {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the server is not ready: {status:?}");
            std::thread::sleep(PAUSE);
        }
    }

    /// The configuration file that it was started with.
    pub(super) fn config(&self) -> PathBuf {
        config_in(self.folder.path())
    }

    pub(super) fn status(&mut self) -> anyhow::Result<StatusReply> {
        let reply = self.runtime.block_on(self.supervisor.status(StatusRequest {}));
        Ok(reply.context("asking the supervisor for its status")?.into_inner())
    }

    /// Where the gateway listens.
    pub(super) fn address(&mut self) -> anyhow::Result<SocketAddr> {
        let listen = self.status()?.gateway.context("no gateway")?.listen;
        listen.parse().with_context(|| format!("the gateway listens on {listen:?}"))
    }

    /// The processes as they are now.
    pub(super) fn pids(&mut self) -> anyhow::Result<Pids> {
        let status = self.status()?;
        let worker = status.workers.iter().find(|worker| worker.model == MODEL);
        Ok(Pids {
            supervisor: status.supervisor_pid,
            gateway: status.gateway.context("no gateway")?.pid,
            worker: worker.map_or(0, |worker| worker.pid),
        })
    }

    /// Memory of supervisor and gateway once it stands still.
    pub(super) fn idle_memory(&mut self) -> anyhow::Result<Option<[Memory; 2]>> {
        let Pids { supervisor, gateway, .. } = self.pids()?;
        let read = || Some([process::memory(supervisor)?, process::memory(gateway)?]);
        let sum = |memory: &[Memory; 2]| memory[0].rss + memory[1].rss;
        let deadline = Instant::now() + PATIENCE;
        let Some(mut before) = read() else { return Ok(None) };
        loop {
            std::thread::sleep(SETTLED);
            let Some(now) = read() else { return Ok(None) };
            if sum(&now) == sum(&before) || Instant::now() > deadline {
                return Ok(Some(now));
            }
            before = now;
        }
    }

    /// Has the model loaded.
    pub(super) fn worker(&mut self) -> anyhow::Result<Worker> {
        self.worker_of(MODEL)
    }

    /// Has the model of this name loaded.
    pub(super) fn worker_of(&mut self, model: &str) -> anyhow::Result<Worker> {
        let request =
            AcquireRequest { model: model.into(), request_id: "bench".into(), ..AcquireRequest::default() };
        self.runtime.block_on(async {
            let mut lease = self.supervisor.acquire(request).await?.into_inner();
            loop {
                let event = lease.message().await?.context("the lease ended")?.event;
                if let Some(acquire_event::Event::Ready(Ready { endpoint: uri, .. })) = event {
                    let client = WorkerClient::new(endpoint::connect(&uri, PATIENCE).await?);
                    return Ok(Worker { client, _lease: lease });
                }
            }
        })
    }

    /// Lets the model's worker finish, drain and stop.
    pub(super) fn unload(&mut self, model: &str) -> anyhow::Result<()> {
        let request = UnloadRequest { model: model.into() };
        self.runtime.block_on(self.supervisor.unload(request)).context("unloading the model")?;
        Ok(())
    }

    /// Runs something that talks to a worker of this server.
    pub(super) fn run<T>(&self, future: impl Future<Output = T>) -> T {
        self.runtime.block_on(future)
    }

    /// What the worker has counted so far.
    pub(super) fn stats(&self, worker: &mut Worker) -> anyhow::Result<Stats> {
        let reply = self.runtime.block_on(worker.client.stats(StatsRequest {}));
        Ok(reply.context("asking the worker for its statistics")?.into_inner())
    }
}

impl Worker {
    /// A client of the worker itself, past the gateway; for [`Server::run`].
    pub(super) fn client(&self) -> WorkerClient<Channel> {
        self.client.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is a child that nobody has waited for, so the id is still its own.
        if kill(Pid::from_raw(self.process.id() as i32), Signal::SIGTERM).is_ok() {
            drop(self.process.wait());
        }
    }
}

impl Setup<'_> {
    fn config(&self) -> anyhow::Result<String> {
        let [slots, context_tokens, threads] = self.shape;
        let model = |(name, path): &(&str, &Path)| {
            let path = fs::canonicalize(path).with_context(|| format!("finding {}", path.display()))?;
            Ok(format!("{{ name = \"{name}\", path = '{}' }}", path.display()))
        };
        let models = self.models.iter().map(model).collect::<anyhow::Result<Vec<String>>>()?;
        let format = self.format;
        Ok(format!(
            "gateway.listen = \"127.0.0.1:0\"\nsupervisor = {{ runtime_dir = \"run\", state_dir = \"state\" }}\n\
             model = [{}]\n{}workers.{format}.slots = {slots}\nworkers.{format}.context = {context_tokens}\n\
             workers.{format}.threads = {threads}\n",
            models.join(", "),
            self.settings,
        ))
    }
}

fn config_in(folder: &Path) -> PathBuf {
    folder.join("impetus.toml")
}
