//! A running server, its processes and its control socket.

use std::{
    fs::{File, OpenOptions},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command},
    time::Duration,
};

use anyhow::{Context, anyhow, ensure};
use impetus_proto::{
    endpoint,
    supervisor::{StatusReply, StatusRequest, WorkerStatus, supervisor_client::SupervisorClient},
};
use nix::sys::signal::Signal;
use tempfile::TempDir;
use tonic::transport::Channel;

use super::{client::Client, wait::eventually};
use crate::process::{command, processes_in, program, signal, supervisor_of};

/// How long the control socket may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

pub(super) struct Site {
    dir: TempDir,
    sets: Vec<String>,
    child: Child,
    pub(super) client: Client,
    pub(super) control: SupervisorClient<Channel>,
}

impl Site {
    pub(super) async fn start(dir: TempDir, sets: Vec<String>) -> anyhow::Result<Self> {
        let mut child = spawn(dir.path(), &sets)?;
        let (control, listen) = match ready(dir.path(), &mut child).await {
            Ok(found) => found,
            Err(error) => {
                drop((child.kill(), child.wait()));
                let said = std::fs::read_to_string(dir.path().join("output")).unwrap_or_default();
                return Err(error.context(said));
            }
        };
        Ok(Self { dir, sets, child, client: Client::new(listen)?, control })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) async fn status(&self) -> anyhow::Result<StatusReply> {
        let reply = self.control.clone().status(StatusRequest {}).await;
        Ok(reply.context("asking for the status")?.into_inner())
    }

    /// The worker that serves `model`, if there is one.
    pub(super) async fn worker(&self, model: &str) -> Option<WorkerStatus> {
        let workers = self.status().await.ok()?.workers;
        workers.into_iter().find(|worker| worker.model == model && worker.role.is_empty())
    }

    /// Waits until `model` has a worker that is as `is_so` wants it.
    pub(super) async fn worker_when(
        &self,
        model: &str,
        what: &str,
        is_so: impl Fn(&WorkerStatus) -> bool,
    ) -> anyhow::Result<WorkerStatus> {
        let what = format!("the worker of {model} {what}");
        eventually(&what, || async { self.worker(model).await.filter(|worker| is_so(worker)) }).await
    }

    /// Waits for another worker of `model` than the process `before`, which serves.
    pub(super) async fn successor(&self, model: &str, before: u32) -> anyhow::Result<WorkerStatus> {
        let serves = |worker: &WorkerStatus| worker.state == "ready" && worker.pid != before;
        self.worker_when(model, "is replaced", serves).await
    }

    /// Runs `supervisorctl`, which must succeed; what it prints.
    pub(super) async fn ctl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let mut command = self.ctl_command(arguments);
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        ensure!(output.status.success(), "supervisorctl {arguments:?}: {out}{err}");
        Ok(out.into_owned())
    }

    fn ctl_command(&self, arguments: &[&str]) -> Command {
        let mut command = command(&program("supervisorctl"), self.dir.path());
        command.arg("--config").arg(self.path("impetus.toml")).args(arguments);
        command
    }

    /// Kills the supervisor and nobody else.
    pub(super) fn kill_supervisor(&mut self) -> anyhow::Result<()> {
        self.child.kill().context("killing the supervisor")?;
        self.child.wait().context("waiting for the supervisor")?;
        Ok(())
    }

    /// Starts another supervisor in the place of a dead one.
    pub(super) async fn restart_supervisor(&mut self) -> anyhow::Result<()> {
        self.child = spawn(self.dir.path(), &self.sets)?;
        (self.control, _) = ready(self.dir.path(), &mut self.child).await?;
        Ok(())
    }

    /// The processes of this server.
    pub(super) fn processes(&self) -> Vec<(u32, String)> {
        processes_in(self.dir.path())
    }

    /// Asks it to stop, and waits until it has.
    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        signal(self.pid(), Signal::SIGTERM);
        let child = &mut self.child;
        let ended = || std::future::ready(child.try_wait().ok().flatten());
        eventually("the server ends", ended).await.map(drop)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            drop((self.child.kill(), self.child.wait()));
        }
        for (pid, _) in self.processes() {
            signal(pid, Signal::SIGKILL);
        }
    }
}

fn spawn(dir: &Path, sets: &[String]) -> anyhow::Result<Child> {
    let output: File = OpenOptions::new().create(true).append(true).open(dir.join("output"))?;
    let mut command = command(&supervisor_of(dir), dir);
    command.arg("--config").arg(dir.join("impetus.toml"));
    for setting in sets {
        command.args(["--set", setting]);
    }
    command.stdout(output.try_clone()?).stderr(output).spawn().context("starting a supervisor")
}

/// Waits until the gateway serves, and says where.
async fn ready(dir: &Path, child: &mut Child) -> anyhow::Result<(SupervisorClient<Channel>, SocketAddr)> {
    let socket = format!("unix://{}", dir.join("run/supervisor.sock").display());
    let found = eventually("the server is ready", || {
        let ended = child.try_wait().ok().flatten();
        let socket = &socket;
        async move {
            if let Some(ended) = ended {
                return Some(Err(anyhow!("the supervisor ended with {ended}")));
            }
            let control = SupervisorClient::new(endpoint::connect(socket, ANSWER).await.ok()?);
            let status = control.clone().status(StatusRequest {}).await.ok()?.into_inner();
            let gateway = status.gateway.filter(|gateway| gateway.state == "ready")?;
            Some(Ok((control, gateway.listen.parse().ok()?)))
        }
    });
    found.await?
}
