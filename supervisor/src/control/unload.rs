//! `Unload`

use impetus_proto::{
    Error,
    supervisor::{UnloadReply, UnloadRequest},
};

use super::Control;

impl Control {
    /// Answers when the model's worker is gone.
    pub(super) async fn answer_unload(&self, request: UnloadRequest) -> Result<UnloadReply, Error> {
        let asked = self.library.canonical(&request.model);
        // A model whose file has vanished can still be unloaded.
        let is_resident = self.fleet.snapshot().await?.models.contains_key(&asked);
        let model =
            if is_resident { asked } else { self.library.find(&request.model).await?.spec.model.clone() };
        self.fleet.unload(model.clone()).await?;
        Ok(UnloadReply { model })
    }
}
