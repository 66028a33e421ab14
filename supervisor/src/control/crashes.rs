//! The reports of deaths, for `supervisorctl crashes`.

use impetus_proto::{
    Code, Error,
    event::{Crash, ListCrashesReply, ListCrashesRequest, ShowCrashReply, ShowCrashRequest, crashes_server},
};
use tokio::task::spawn_blocking;
use tonic::{Request, Response, Status};

use super::configured::carried_through;
use crate::crashes::{Crashes, Kept};

/// The reports of a running server.
#[derive(Debug, Clone)]
pub(super) struct CrashService(pub(super) Crashes);

impl CrashService {
    async fn kept(&self) -> Result<Vec<Kept>, Error> {
        let crashes = self.0.clone();
        // Reading waits for the disk.
        carried_through(spawn_blocking(move || Ok(crashes.list()))).await
    }

    async fn show(&self, id: &str) -> Result<String, Error> {
        // Looked for by name among those that are there: an id is no path.
        let kept = self.kept().await?.into_iter().find(|kept| kept.id == id).ok_or_else(|| {
            let message = format!("there is no report {id:?}; `supervisorctl crashes` lists them");
            Error::new(Code::NotFound, message)
        })?;
        serde_json::to_string_pretty(&kept.crash).map_err(|error| Error::internal(error.to_string()))
    }
}

#[tonic::async_trait]
impl crashes_server::Crashes for CrashService {
    async fn list(&self, _: Request<ListCrashesRequest>) -> Result<Response<ListCrashesReply>, Status> {
        let crashes = self.kept().await?.into_iter().map(message).collect();
        Ok(Response::new(ListCrashesReply { crashes }))
    }

    async fn show(&self, request: Request<ShowCrashRequest>) -> Result<Response<ShowCrashReply>, Status> {
        let json = Self::show(self, &request.into_inner().id).await?;
        Ok(Response::new(ShowCrashReply { json }))
    }
}

fn message(Kept { id, path, crash }: Kept) -> Crash {
    let model = crash.worker.and_then(|worker| worker.model).map(|model| model.name);
    Crash {
        id,
        unix_ms: crash.unix_ms,
        process: crash.process,
        model: model.unwrap_or_default(),
        cause: crash.cause,
        path: path.to_string_lossy().into_owned(),
    }
}
