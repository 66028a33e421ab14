//! The service of the store on the control socket: models that are fetched, sent, shown and removed.

mod convert;
mod pull;
mod show;
mod upload;
mod verify;

use std::time::Duration;

use impetus_proto::{
    Code, Error,
    fetch::{File, Search},
    store::{
        BeginUploadReply, BeginUploadRequest, CancelPullReply, CancelPullRequest, ConvertEvent,
        ConvertRequest, DedupeReply, DedupeRequest, FinishUploadReply, FinishUploadRequest, ListReply,
        ListRequest, PullEvent, PullRequest, PullsReply, PullsRequest, RemoveReply, RemoveRequest,
        SearchReply, Shared, ShowReply, ShowRequest, Stored, VerifyEvent, VerifyRequest, store_server,
    },
};
use tokio::time::timeout;
use tonic::{Request, Response, Status};

use super::{Answers, Control, audit, configured::carried_through};
use crate::{
    events::{Kind, Note},
    pulls::{blocking, shown},
    store::Kept,
};

/// How long a hold on a model that was just used may linger before the model counts as in use.
const LINGER: Duration = Duration::from_secs(1);

/// The store, for `supervisorctl` and gateways.
#[derive(Debug, Clone)]
pub(super) struct StoreService(pub(super) Control);

impl StoreService {
    async fn list(&self) -> Result<ListReply, Error> {
        let store = self.0.pulls.store();
        let (models, shared, folder, free_bytes) = blocking(move || {
            let saved: u64 = store.saved_bytes()?;
            Ok((store.models()?, saved, store.root().to_owned(), store.free_bytes()))
        })
        .await?;
        let loaded = self.loaded().await?;
        let bytes: u64 = models.iter().map(|kept| kept.bytes).sum();
        Ok(ListReply {
            models: models.into_iter().map(|kept| self.message(kept, &loaded)).collect(),
            folder: folder.to_string_lossy().into_owned(),
            disk_bytes: bytes.saturating_sub(shared),
            free_bytes,
        })
    }

    /// Names of the models that have a worker.
    async fn loaded(&self) -> Result<Vec<String>, Error> {
        let rows = self.0.fleet.snapshot().await?.workers.into_iter();
        Ok(rows.filter(|row| row.pid.is_some()).filter_map(|row| row.model).collect())
    }

    async fn remove(&self, model: String) -> Result<RemoveReply, Error> {
        let name = self.0.library.canonical(&model);
        let (store, wanted) = (self.0.pulls.store(), name.clone());
        blocking(move || store.find(&wanted)).await?;
        // Whoever asks for it from now on waits, and then hears that it is gone, or gets it if it stays.
        let _held = self.0.library.hold(&name);
        if timeout(LINGER, self.unused(&name)).await.is_err() {
            let message = format!(
                "{name} is in use by requests; wait for them, or `supervisorctl unload {name}` first"
            );
            return Err(Error::new(Code::Conflict, message).with_param("model"));
        }
        self.0.fleet.unload(name.clone()).await?;
        let (store, wanted) = (self.0.pulls.store(), name.clone());
        let freed_bytes = blocking(move || store.remove(&wanted)).await?;
        self.0.pulls.refresh().await?;
        self.0.note(Note::new(Kind::ModelRemoved, &*name, format!("{freed_bytes} bytes are free again")));
        Ok(RemoveReply { model: name, freed_bytes })
    }

    /// Waits until no request holds the model.
    async fn unused(&self, model: &str) -> Result<(), Error> {
        let mut changes = self.0.fleet.changes();
        loop {
            let snapshot = self.0.fleet.snapshot().await?;
            let mut rows = snapshot.workers.iter().filter(|row| row.model.as_deref() == Some(model));
            if rows.all(|row| row.leases == 0) {
                return Ok(());
            }
            // An error means that the server is about to end.
            changes.changed().await.map_err(|_| Error::new(Code::Unavailable, "the server is stopping"))?;
        }
    }

    async fn dedupe(&self, plan_only: bool) -> Result<DedupeReply, Error> {
        let store = self.0.pulls.store();
        let shared = blocking(move || store.share(plan_only)).await?;
        let freed_bytes = shared.iter().map(|shared| shared.bytes).sum();
        let message = |shared: crate::store::Shared| Shared {
            path: shared.path.to_string_lossy().into_owned(),
            with: shared.with.to_string_lossy().into_owned(),
            bytes: shared.bytes,
        };
        Ok(DedupeReply { shared: shared.into_iter().map(message).collect(), freed_bytes })
    }

    fn message(&self, kept: Kept, loaded: &[String]) -> Stored {
        let path = self.0.pulls.store().root().join(kept.name.as_str());
        let absent = (!self.0.pulls.store().has(&kept))
            .then(|| "its folder is not there; is the disk of models.store?".to_owned());
        let broken =
            self.0.library.catalog().get(&kept.name).and_then(|model| Some(model.broken()?.to_string()));
        Stored {
            path: path.to_string_lossy().into_owned(),
            origin: kept.origin.name().into(),
            source: kept.source,
            revision: kept.revision,
            format: kept.format,
            quantization: kept.quantization,
            bytes: kept.bytes,
            added_unix_s: kept.added_s,
            verified_unix_s: kept.verified_s,
            files: kept
                .files
                .iter()
                .map(|file| File {
                    path: file.path.to_string_lossy().into_owned(),
                    bytes: file.bytes,
                    sha256: file.sha256.map(|digest| digest.to_string()).unwrap_or_default(),
                })
                .collect(),
            loaded: loaded.iter().any(|model| model == kept.name.as_str()),
            broken: kept.damage.or(absent).or(broken).unwrap_or_default(),
            name: kept.name.to_string(),
        }
    }
}

#[tonic::async_trait]
impl store_server::Store for StoreService {
    type PullStream = Answers<PullEvent>;
    type VerifyStream = Answers<VerifyEvent>;
    type ConvertStream = Answers<ConvertEvent>;

    async fn pull(&self, request: Request<PullRequest>) -> Result<Response<Self::PullStream>, Status> {
        let request = request.into_inner();
        let reference = shown(&request.reference);
        let begun = self.answer_pull(request).await;
        audit::attempt("pull", &reference, &begun);
        Ok(Response::new(begun?))
    }

    async fn search(&self, request: Request<Search>) -> Result<Response<SearchReply>, Status> {
        let repositories = self.0.pulls.search(request.into_inner()).await?;
        Ok(Response::new(SearchReply { repositories }))
    }

    async fn pulls(&self, _: Request<PullsRequest>) -> Result<Response<PullsReply>, Status> {
        let pulls = self.0.pulls.list().await?;
        Ok(Response::new(PullsReply { pulls: pulls.into_iter().map(pull::message).collect() }))
    }

    async fn cancel_pull(
        &self,
        request: Request<CancelPullRequest>,
    ) -> Result<Response<CancelPullReply>, Status> {
        let CancelPullRequest { id, discard } = request.into_inner();
        let done = self.0.pulls.cancel(&id, discard).await;
        audit::attempt("pull_cancel", &id, &done);
        Ok(Response::new(CancelPullReply { pull: Some(pull::message(done?)) }))
    }

    async fn list(&self, _: Request<ListRequest>) -> Result<Response<ListReply>, Status> {
        Ok(Response::new(self.list().await?))
    }

    async fn show(&self, request: Request<ShowRequest>) -> Result<Response<ShowReply>, Status> {
        Ok(Response::new(self.answer_show(&request.into_inner().model).await?))
    }

    async fn remove(&self, request: Request<RemoveRequest>) -> Result<Response<RemoveReply>, Status> {
        let model = request.into_inner().model;
        let (service, wanted) = (self.clone(), model.clone());
        let done = carried_through(tokio::spawn(async move { service.remove(wanted).await })).await;
        audit::attempt("remove", &model, &done);
        Ok(Response::new(done?))
    }

    async fn verify(&self, request: Request<VerifyRequest>) -> Result<Response<Self::VerifyStream>, Status> {
        Ok(Response::new(self.answer_verify(request.into_inner().model).await?))
    }

    async fn convert(
        &self,
        request: Request<ConvertRequest>,
    ) -> Result<Response<Self::ConvertStream>, Status> {
        let request = request.into_inner();
        let model = request.model.clone();
        let begun = self.answer_convert(request).await;
        audit::attempt("convert", &model, &begun);
        Ok(Response::new(begun?))
    }

    async fn dedupe(&self, request: Request<DedupeRequest>) -> Result<Response<DedupeReply>, Status> {
        let (service, plan_only) = (self.clone(), request.into_inner().plan_only);
        let done = carried_through(tokio::spawn(async move { service.dedupe(plan_only).await })).await;
        audit::attempt("dedupe", "", &done);
        Ok(Response::new(done?))
    }

    async fn begin_upload(
        &self,
        request: Request<BeginUploadRequest>,
    ) -> Result<Response<BeginUploadReply>, Status> {
        Ok(Response::new(self.answer_begin_upload(request.into_inner()).await?))
    }

    async fn finish_upload(
        &self,
        request: Request<FinishUploadRequest>,
    ) -> Result<Response<FinishUploadReply>, Status> {
        let request = request.into_inner();
        let id = request.id.clone();
        let service = self.clone();
        let finishing = async move { service.answer_finish_upload(request).await };
        let done = carried_through(tokio::spawn(finishing)).await;
        audit::attempt("upload", &id, &done);
        Ok(Response::new(done?))
    }
}
