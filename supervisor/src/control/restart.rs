//! `Restart`

use std::sync::Arc;

use impetus_proto::{
    Code, Error,
    supervisor::{RestartReply, RestartRequest},
};

use super::{Control, configured::carried_through};
use crate::{
    fleet::{Manifest, Restarted, Role, Wanted},
    gateway,
    worker::State,
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
        if let Some(model) = self.serving(&target).await? {
            let control = self.clone();
            return carried_through(tokio::spawn(async move { control.renew(&model).await })).await;
        }
        match self.fleet.restart(target).await? {
            Some(Restarted::Standby) => Ok(RestartReply { target: asked }),
            Some(Restarted::Model(model)) => self.wait_for(&model).await,
            None => self.wait_for(&asked).await.map_err(|error| match error.code() {
                Code::ModelNotFound => nothing_of_that_name(&asked),
                _ => error,
            }),
        }
    }

    /// Replaces the worker of `manifest`'s model by one as it says, and waits until that one serves: beside the present
    /// one where both fit, else in its place, and then the model is held meanwhile. Whether it was beside. When the new
    /// one fails, the model goes on with `former`, or else the present worker.
    pub(super) async fn replace(
        &self,
        manifest: &Arc<Manifest>,
        former: Option<&Arc<Manifest>>,
    ) -> Result<bool, Error> {
        let model = &manifest.spec.model;
        let fits = self.fleet.fits_beside(manifest.clone(), model.clone()).await?;
        let _held = (!fits).then(|| self.library.hold(model));
        if self.fleet.replace(manifest.clone()).await? {
            return Ok(true);
        }
        if let Err(error) = self.fleet.acquire(Wanted::of(manifest.clone())).await?.ready().await {
            if let Some(former) = former {
                self.fleet.replace(former.clone()).await?;
            }
            return Err(error);
        }
        Ok(false)
    }

    /// The model that `target`, a model or a worker, serves at the moment.
    async fn serving(&self, target: &str) -> Result<Option<String>, Error> {
        let snapshot = self.fleet.snapshot().await?;
        let serving =
            snapshot.workers.into_iter().filter(|row| row.state == State::Ready && row.role == Role::Main);
        let is_meant = |id: &str, model: &str| id == target || model == target;
        let mut models = serving.filter_map(|row| row.model.filter(|model| is_meant(row.id.as_str(), model)));
        Ok(models.next())
    }

    /// Replaces the worker of a model that serves, by one with the model's files as they are by now.
    pub(super) async fn renew(&self, model: &str) -> Result<RestartReply, Error> {
        let _turn = self.configured.turn().await;
        let former = self.library.lookup(model).ok();
        self.library.rescan().await;
        let manifest = self.library.find_now(model).await?;
        self.replace(&manifest, former.as_ref()).await?;
        Ok(RestartReply { target: model.to_owned() })
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
