//! The control socket, and the sockets of workers, spoken to as the gateway does.

use std::path::{Path, PathBuf};

use impetus_proto::{
    endpoint,
    supervisor::{StatusReply, StatusRequest, supervisor_client::SupervisorClient},
    worker::{Stats, StatsRequest, worker_client::WorkerClient},
};
use tonic::transport::Channel;

use super::wait::PATIENCE;

pub(crate) struct Control {
    client: SupervisorClient<Channel>,
    runtime_dir: PathBuf,
}

impl Control {
    /// The server whose sockets are in `runtime_dir`; `None` when nobody listens there yet.
    pub(crate) async fn connect(runtime_dir: &Path) -> Option<Self> {
        let client = SupervisorClient::new(connect(&runtime_dir.join("supervisor.sock")).await?);
        Some(Self { client, runtime_dir: runtime_dir.to_owned() })
    }

    /// `None` when the supervisor does not answer.
    pub(crate) async fn status(&self) -> Option<StatusReply> {
        Some(self.client.clone().status(StatusRequest {}).await.ok()?.into_inner())
    }

    /// What the worker of `model` has counted. It is asked directly: a lease on it would be seen in the status.
    pub(crate) async fn stats(&self, model: &str) -> Stats {
        self.worker(model).await.stats(StatsRequest {}).await.unwrap().into_inner()
    }

    /// The worker of `model`, spoken to without a lease.
    pub(crate) async fn worker(&self, model: &str) -> WorkerClient<Channel> {
        let workers = self.status().await.expect("the supervisor answers").workers;
        let worker = workers
            .iter()
            .find(|worker| worker.model == model && worker.role.is_empty())
            .expect("the model is loaded");
        let channel = connect(&self.runtime_dir.join(format!("{}.sock", worker.id))).await;
        WorkerClient::new(channel.expect("a worker that serves can be reached"))
    }
}

async fn connect(socket: &Path) -> Option<Channel> {
    endpoint::connect(&format!("unix://{}", socket.display()), PATIENCE).await.ok()
}
