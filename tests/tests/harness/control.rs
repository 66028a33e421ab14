//! The control socket, and the sockets of workers, spoken to as the gateway does.

use std::path::Path;

use impetus_proto::{
    endpoint,
    supervisor::{
        AcquireRequest, StatusReply, StatusRequest, acquire_event::Event, supervisor_client::SupervisorClient,
    },
    worker::{Stats, StatsRequest, worker_client::WorkerClient},
};
use tonic::transport::Channel;

use super::wait::PATIENCE;

pub(crate) struct Control(SupervisorClient<Channel>);

impl Control {
    /// `None` when nobody listens there yet.
    pub(crate) async fn connect(socket: &Path) -> Option<Self> {
        let channel = endpoint::connect(&format!("unix://{}", socket.display()), PATIENCE).await.ok()?;
        Some(Self(SupervisorClient::new(channel)))
    }

    /// `None` when the supervisor does not answer.
    pub(crate) async fn status(&self) -> Option<StatusReply> {
        Some(self.0.clone().status(StatusRequest {}).await.ok()?.into_inner())
    }

    /// What the worker of `model` has counted. The model is loaded if it is not.
    pub(crate) async fn stats(&self, model: &str) -> Stats {
        let request = AcquireRequest { model: model.to_owned(), request_id: "test".to_owned() };
        let mut lease = self.0.clone().acquire(request).await.unwrap().into_inner();
        let ready = loop {
            let event = lease.message().await.unwrap().expect("a lease says ready before it ends");
            if let Some(Event::Ready(ready)) = event.event {
                break ready;
            }
        };
        let channel = endpoint::connect(&ready.endpoint, PATIENCE).await.unwrap();
        WorkerClient::new(channel).stats(StatsRequest {}).await.unwrap().into_inner()
    }
}
