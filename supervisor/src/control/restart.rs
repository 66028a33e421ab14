//! `Restart`

use impetus_proto::{
    Code, Error,
    supervisor::{RestartReply, RestartRequest},
};

use super::Control;
use crate::{
    fleet::{Restarted, Wanted},
    gateway,
};

impl Control {
    /// Answers when what was restarted is ready.
    pub(super) async fn answer_restart(&self, request: RestartRequest) -> Result<RestartReply, Error> {
        let asked = request.target;
        if asked == gateway::NAME {
            self.gateway.restart().await?;
            return Ok(RestartReply { target: asked });
        }
        let target = self.library.canonical(&asked);
        match self.fleet.restart(target).await? {
            Some(Restarted::Standby) => Ok(RestartReply { target: asked }),
            Some(Restarted::Model(model)) => self.wait_for(&model).await,
            None => self.wait_for(&asked).await.map_err(|error| match error.code() {
                Code::ModelNotFound => nothing_of_that_name(&asked),
                _ => error,
            }),
        }
    }

    async fn wait_for(&self, model: &str) -> Result<RestartReply, Error> {
        let manifest = self.library.find(model).await?;
        let target = manifest.spec.model.clone();
        self.fleet.acquire(Wanted::of(manifest)).await?.ready().await?;
        Ok(RestartReply { target })
    }
}

fn nothing_of_that_name(target: &str) -> Error {
    let message =
        format!("there is no model or worker {target:?}; `supervisorctl status` lists workers and models");
    Error::new(Code::ModelNotFound, message)
}
