//! `Load`

use impetus_proto::{
    Error,
    supervisor::{LoadReply, LoadRequest},
};

use super::Control;
use crate::fleet::Wanted;

impl Control {
    /// Has a model loaded that is to be up from the start, and waits for nothing.
    pub(crate) async fn preload(&self, name: &str) {
        let placed = match self.library.find(name).await {
            Ok(manifest) => self.fleet.place(manifest).await,
            Err(error) => Err(error),
        };
        if let Err(error) = placed {
            tracing::error!(model = name, %error, "model not preloaded");
        }
    }

    /// Answers when the model is ready.
    pub(super) async fn answer_load(&self, request: LoadRequest) -> Result<LoadReply, Error> {
        let manifest = self.library.find(&request.model).await?;
        let model = manifest.spec.model.clone();
        // Whoever loads a model wants it tried again, whatever became of it before.
        self.fleet.forgive(manifest.clone()).await?;
        let hold = self.fleet.acquire(Wanted::of(manifest)).await?.ready().await?;
        Ok(LoadReply { model, worker_id: hold.worker.to_string() })
    }
}
