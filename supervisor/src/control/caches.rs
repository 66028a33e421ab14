//! The service of kept prefixes on the control socket: `List` and `Remove`.

use std::{sync::Arc, time::UNIX_EPOCH};

use impetus_proto::{
    Code, Error,
    cache::{File, ListReply, ListRequest, RemoveReply, RemoveRequest, caches_server},
};
use tokio::task::spawn_blocking;
use tonic::{Request, Response, Status};

use super::{Configured, audit, configured::carried_through};
use crate::{
    catalog::Library,
    prefixes::{FolderError, PrefixFile},
};

/// The files of kept prefixes, for `supervisorctl`.
#[derive(Debug, Clone)]
pub(super) struct CacheService {
    pub(super) configured: Arc<Configured>,
    pub(super) library: Arc<Library>,
}

impl CacheService {
    async fn files(&self) -> Result<Vec<PrefixFile>, Error> {
        let prefixes = self.configured.prefixes.clone();
        carried_through(spawn_blocking(move || prefixes.list().map_err(|error| unreadable(&error)))).await
    }

    async fn take_away(&self, RemoveRequest { model }: RemoveRequest) -> Result<RemoveReply, Error> {
        let prefixes = self.configured.prefixes.clone();
        let name = (!model.is_empty()).then(|| self.library.canonical(&model));
        let removing = move || prefixes.remove(name.as_deref()).map_err(|error| unreadable(&error));
        let meant = carried_through(spawn_blocking(removing)).await?;
        if meant.is_empty() && !model.is_empty() {
            let message =
                format!("no prefixes of {model} are kept; `supervisorctl cache list` shows what is kept");
            return Err(Error::new(Code::NotFound, message).with_param("model"));
        }
        let (in_use, removed): (Vec<_>, Vec<_>) = meant.into_iter().partition(|file| file.in_use);
        let messages = |files: Vec<PrefixFile>| files.into_iter().map(message).collect();
        Ok(RemoveReply { removed: messages(removed), in_use: messages(in_use) })
    }
}

#[tonic::async_trait]
impl caches_server::Caches for CacheService {
    async fn list(&self, _: Request<ListRequest>) -> Result<Response<ListReply>, Status> {
        let files = self.files().await?.into_iter().map(message).collect();
        Ok(Response::new(ListReply { files }))
    }

    async fn remove(&self, request: Request<RemoveRequest>) -> Result<Response<RemoveReply>, Status> {
        let request = request.into_inner();
        let model = request.model.clone();
        let done = self.take_away(request).await;
        audit::attempt("cache_remove", &model, &done);
        Ok(Response::new(done?))
    }
}

fn message(file: PrefixFile) -> File {
    File {
        model: file.model.unwrap_or_default(),
        path: file.path.to_string_lossy().into_owned(),
        bytes: file.bytes,
        used_unix_s: file.used.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
        in_use: file.in_use,
    }
}

fn unreadable(error: &FolderError) -> Error {
    Error::new(Code::Internal, error.to_string())
}
