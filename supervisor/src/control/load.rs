//! `Load`

use impetus_proto::{
    Error,
    supervisor::{LoadReply, LoadRequest},
};

use super::Control;
use crate::fleet::Wanted;

impl Control {
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
