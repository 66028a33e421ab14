//! The keys' own service on the control socket: `Watch`, `NoteUse`, `Add`, `List` and `Revoke`.

use futures::{StreamExt, stream};
use impetus_proto::{
    Error,
    key::{
        AddReply, AddRequest, KeySet, ListRequest, NoteUseReply, NoteUseRequest, RevokeReply, RevokeRequest,
        WatchRequest, keys_server,
    },
};
use tokio::task::spawn_blocking;
use tonic::{Request, Response, Status};

use super::{Answers, Control, audit, configured::carried_through};
use crate::{
    events::{Kind, Note},
    keys::from_message,
};

/// The keys of a running server, for gateways and `supervisorctl`.
#[derive(Debug, Clone)]
pub(super) struct KeyService(pub(super) Control);

impl KeyService {
    async fn add(&self, request: AddRequest) -> Result<(), Error> {
        let entry = from_message(request.key.unwrap_or_default())?;
        let (name, configured) = (entry.name.clone(), self.0.configured.clone());
        // Writing waits for the disk.
        carried_through(spawn_blocking(move || configured.keys.add(entry, &configured.now()))).await?;
        audit::act("key_add", &name);
        self.0.note(Note::new(Kind::KeyCreated, name, "was made"));
        Ok(())
    }

    async fn revoke(&self, RevokeRequest { name }: RevokeRequest) -> Result<RevokeReply, Error> {
        let (revoked, configured) = (name.clone(), self.0.configured.clone());
        let left =
            carried_through(spawn_blocking(move || configured.keys.revoke(&revoked, &configured.now())))
                .await?;
        audit::act("key_revoke", &name);
        self.0.note(Note::new(Kind::KeyRevoked, name, "opens nothing any more"));
        Ok(RevokeReply { left })
    }
}

#[tonic::async_trait]
impl keys_server::Keys for KeyService {
    type WatchStream = Answers<KeySet>;

    async fn watch(&self, _: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let mut made = self.0.configured.keys.watch();
        made.mark_changed();
        let sets = stream::unfold(made, |mut made| async {
            made.changed().await.ok()?;
            let set = made.borrow_and_update().to_message();
            Some((Ok(set), made))
        });
        Ok(Response::new(sets.boxed()))
    }

    async fn note_use(&self, request: Request<NoteUseRequest>) -> Result<Response<NoteUseReply>, Status> {
        let (uses, configured) = (request.into_inner().uses, self.0.configured.clone());
        let noted = spawn_blocking(move || {
            configured.keys.note_use(&uses, &configured.now());
            Ok(())
        });
        carried_through(noted).await?;
        Ok(Response::new(NoteUseReply {}))
    }

    async fn add(&self, request: Request<AddRequest>) -> Result<Response<AddReply>, Status> {
        self.add(request.into_inner()).await?;
        Ok(Response::new(AddReply {}))
    }

    async fn list(&self, _: Request<ListRequest>) -> Result<Response<KeySet>, Status> {
        Ok(Response::new(self.0.configured.keys.list(&self.0.configured.now())))
    }

    async fn revoke(&self, request: Request<RevokeRequest>) -> Result<Response<RevokeReply>, Status> {
        Ok(Response::new(self.revoke(request.into_inner()).await?))
    }
}
