//! What the supervisor serves on its control socket, to gateways and to `supervisorctl`: one verb, one file.

mod acquire;
mod audit;
mod caches;
mod configured;
mod crashes;
mod events;
mod keys;
mod levels;
mod load;
mod logs;
mod models;
mod reload;
mod restart;
mod retire;
mod settings;
mod status;
mod store;
mod swap;
mod unload;
mod upgrade;
mod version;
mod watch;

use std::{
    io,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
    pin::Pin,
    sync::Arc,
};

use futures::Stream;
use impetus_proto::{
    MAX_MESSAGE_BYTES,
    cache::caches_server::CachesServer,
    endpoint::{self, Incoming},
    event::{crashes_server::CrashesServer, events_server::EventsServer},
    key::keys_server::KeysServer,
    level::levels_server::LevelsServer,
    settings::settings_server::SettingsServer,
    store::store_server::StoreServer,
    supervisor::{
        AcquireEvent, AcquireRequest, LoadReply, LoadRequest, LogLines, LogsRequest, ModelsReply,
        ModelsRequest, ReloadReply, ReloadRequest, RestartReply, RestartRequest, StatusReply, StatusRequest,
        SwapReply, SwapRequest, UnloadReply, UnloadRequest, VersionReply, VersionRequest, WatchRequest,
        supervisor_server::{Supervisor, SupervisorServer},
    },
    upgrade::upgrades_server::UpgradesServer,
};
use tokio::time::Instant;
use tonic::{Request, Response, Status, transport::Server};

pub use configured::Configured;

use crate::{
    catalog::Library, conversions::Conversions, events::Note, fleet::FleetHandle, gateway::GatewayHandle,
    launch::Launcher, pulls::Pulls, upgrade::Upgrades, witness::Witness,
};

/// What a streaming verb answers.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The server's parts that verbs act on.
#[derive(Debug, Clone)]
pub struct Control {
    /// Workers and leases.
    pub fleet: FleetHandle,
    /// The gateway.
    pub gateway: GatewayHandle,
    /// The models.
    pub library: Arc<Library>,
    /// The configuration.
    pub configured: Arc<Configured>,
    /// Models that are fetched, and the store of those that were.
    pub pulls: Pulls,
    /// Models that are made of others.
    pub conversions: Conversions,
    /// What is written down.
    pub witness: Witness,
    /// What starts processes.
    pub launcher: Launcher,
    /// The way to another supervisor.
    pub upgrades: Arc<Upgrades>,
    /// When the server started.
    pub started: Instant,
}

/// The control socket cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot serve the control socket {}: {source}; check the permissions of supervisor.runtime_dir", path.display())]
pub struct ControlError {
    path: PathBuf,
    source: io::Error,
}

/// Opens the control socket, for this user alone.
pub fn bind(path: &Path) -> Result<UnixListener, ControlError> {
    endpoint::bind(path).map_err(|source| ControlError { path: path.into(), source })
}

/// What comes in there. Needs a tokio runtime.
pub fn accept(listener: &UnixListener, path: &Path) -> Result<Incoming, ControlError> {
    let accept = |listener| endpoint::accept(listener, path);
    listener.try_clone().and_then(accept).map_err(|source| ControlError { path: path.into(), source })
}

/// Serves until dropped.
pub async fn serve(incoming: Incoming, control: Control) -> Result<(), tonic::transport::Error> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<SupervisorServer<Control>>().await;
    let keys =
        KeysServer::new(keys::KeyService(control.clone())).max_encoding_message_size(MAX_MESSAGE_BYTES);
    let (configured, library) = (control.configured.clone(), control.library.clone());
    let caches = CachesServer::new(caches::CacheService { configured, library })
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let store = StoreServer::new(store::StoreService(control.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let witness = control.witness.clone();
    let events = EventsServer::new(events::EventService(witness.events));
    let crashes = CrashesServer::new(crashes::CrashService(witness.crashes))
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let levels = LevelsServer::new(levels::LevelService(control.clone()));
    let settings = SettingsServer::new(settings::SettingsService(control.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let upgrades = UpgradesServer::new(upgrade::UpgradeService(control.clone()));
    let service = SupervisorServer::new(control)
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    Server::builder()
        .add_service(health_service)
        .add_service(service)
        .add_service(keys)
        .add_service(caches)
        .add_service(store)
        .add_service(events)
        .add_service(crashes)
        .add_service(levels)
        .add_service(settings)
        .add_service(upgrades)
        .serve_with_incoming(incoming)
        .await
}

impl Control {
    /// Remembers something that happened.
    fn note(&self, note: Note) {
        self.witness.events.note(note);
    }
}

#[tonic::async_trait]
impl Supervisor for Control {
    type AcquireStream = Answers<AcquireEvent>;
    type WatchStream = Answers<StatusReply>;
    type LogsStream = Answers<LogLines>;

    async fn acquire(
        &self,
        request: Request<AcquireRequest>,
    ) -> Result<Response<Self::AcquireStream>, Status> {
        let stream = self.answer_acquire(request.into_inner()).await?;
        Ok(Response::new(stream))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Result<Response<StatusReply>, Status> {
        Ok(Response::new(self.answer_status().await?))
    }

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(self.answer_watch()))
    }

    async fn models(&self, _: Request<ModelsRequest>) -> Result<Response<ModelsReply>, Status> {
        Ok(Response::new(self.answer_models().await?))
    }

    async fn load(&self, request: Request<LoadRequest>) -> Result<Response<LoadReply>, Status> {
        let request = request.into_inner();
        let model = request.model.clone();
        let done = self.answer_load(request).await;
        audit::attempt("load", &model, &done);
        Ok(Response::new(done?))
    }

    async fn unload(&self, request: Request<UnloadRequest>) -> Result<Response<UnloadReply>, Status> {
        let request = request.into_inner();
        let model = request.model.clone();
        let done = self.answer_unload(request).await;
        audit::attempt("unload", &model, &done);
        Ok(Response::new(done?))
    }

    async fn restart(&self, request: Request<RestartRequest>) -> Result<Response<RestartReply>, Status> {
        let request = request.into_inner();
        let target = request.target.clone();
        let done = self.answer_restart(request).await;
        audit::attempt("restart", &target, &done);
        Ok(Response::new(done?))
    }

    async fn swap(&self, request: Request<SwapRequest>) -> Result<Response<SwapReply>, Status> {
        let request = request.into_inner();
        let subject = format!("{} to {}", request.alias, request.model);
        let done = self.answer_swap(request).await;
        audit::attempt("swap", &subject, &done);
        Ok(Response::new(done?))
    }

    async fn reload(&self, _: Request<ReloadRequest>) -> Result<Response<ReloadReply>, Status> {
        let done = self.answer_reload().await;
        let changed = done.as_ref().map(|reply| reply.changed.join(" ")).unwrap_or_default();
        audit::attempt("reload", &changed, &done);
        Ok(Response::new(done?))
    }

    async fn logs(&self, request: Request<LogsRequest>) -> Result<Response<Self::LogsStream>, Status> {
        Ok(Response::new(self.answer_logs(request.into_inner()).await?))
    }

    async fn version(&self, _: Request<VersionRequest>) -> Result<Response<VersionReply>, Status> {
        Ok(Response::new(version::answer()))
    }
}

#[cfg(test)]
mod tests;
