//! From one configuration to another: part by part, and back again when one of them cannot follow.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use impetus_config::{Config, WorkerConfig};
use impetus_proto::Error;

use super::super::Control;
use crate::{catalog::Names, fleet::Manifest, gateway::Moves, settings};

/// What becomes of the gateway.
pub(super) enum Gateway {
    /// It goes on.
    Stays,
    /// Another one takes over, on other sockets as far as these move.
    Another(Moves),
}

/// What a new configuration comes down to.
pub(super) struct Plan {
    names: Arc<Names>,
    config: Arc<Config>,
    gateway: Gateway,
}

/// What holds before a plan is carried out.
struct Former {
    names: Arc<Names>,
    config: Arc<Config>,
    manifests: BTreeMap<String, Arc<Manifest>>,
}

impl Plan {
    pub(super) fn new(names: Names, config: Arc<Config>, gateway: Gateway) -> Self {
        Self { names: Arc::new(names), config, gateway }
    }
}

impl Control {
    /// Carries `plan` out. On an error everything is as it was before.
    pub(super) async fn carry_out(&self, plan: Plan) -> Result<(), Error> {
        let up = self.models_up().await?;
        let manifests =
            up.into_iter().filter_map(|model| Some((model.clone(), self.library.lookup(&model).ok()?)));
        let former = Former {
            manifests: manifests.collect(),
            names: self.library.names(),
            config: self.configured.now(),
        };
        self.set(plan.names, plan.config.clone()).await?;
        let mut replaced = Vec::new();
        let mut done = self.renew_models(&former, &mut replaced).await;
        if done.is_ok() {
            done = self.renew_gateway(&plan.config, plan.gateway).await;
        }
        if let Err(error) = done {
            self.undo(former, replaced).await;
            return Err(error);
        }
        self.preload_new(&former.config, &plan.config).await;
        Ok(())
    }

    /// Has names and settings count from now on.
    async fn set(&self, names: Arc<Names>, config: Arc<Config>) -> Result<(), Error> {
        self.fleet.configure(settings::of_fleet(&config, &self.configured.places)).await?;
        self.library.set_names(names);
        self.library.rescan().await;
        self.configured.set(config);
        Ok(())
    }

    /// Replaces the workers whose settings changed, one after the other, and lets models go that are no more. What was
    /// replaced is noted in `replaced` with what it was before.
    async fn renew_models(&self, former: &Former, replaced: &mut Vec<Arc<Manifest>>) -> Result<(), Error> {
        let config = self.configured.now();
        for (model, old) in &former.manifests {
            let Ok(new) = self.library.lookup(model) else {
                tokio::spawn(
                    self.clone().retire(model.clone(), |library, model| library.lookup(model).is_ok()),
                );
                continue;
            };
            let is_run_otherwise =
                is_other_process(former.config.workers.get(&old.format), config.workers.get(&new.format));
            if is_run_otherwise
                || (&old.spec, &old.format, &old.fixed) != (&new.spec, &new.format, &new.fixed)
            {
                self.replace(&new, Some(old)).await?;
                replaced.push(old.clone());
            } else if old != &new {
                self.fleet.place(new).await?;
            }
        }
        Ok(())
    }

    async fn renew_gateway(&self, config: &Config, gateway: Gateway) -> Result<(), Error> {
        let settings = settings::of_gateway(config, &self.configured.places, &self.configured.keys)
            .map_err(|error| Error::internal(format!("the gateway cannot be told its settings: {error}")))?;
        match gateway {
            Gateway::Stays => self.gateway.configure(settings).await,
            Gateway::Another(moves) => self.gateway.renew(settings, moves).await,
        }
    }

    /// Goes back to what held before. What cannot is told to the log: there is nobody else to tell.
    async fn undo(&self, former: Former, replaced: Vec<Arc<Manifest>>) {
        if let Err(error) = self.set(former.names, former.config).await {
            tracing::error!(%error, "the former configuration is not in force again");
        }
        for manifest in replaced {
            if let Err(error) = self.replace(&manifest, None).await {
                tracing::error!(model = manifest.spec.model, %error, "the former worker is not back");
            }
        }
    }

    /// Places the models that are loaded at start from now on.
    async fn preload_new(&self, former: &Config, config: &Config) {
        let preloads = |config: &Config| -> BTreeSet<String> {
            config.model.iter().filter(|entry| entry.preload).map(|entry| entry.name.clone()).collect()
        };
        for name in preloads(config).difference(&preloads(former)) {
            self.preload(name).await;
        }
    }

    /// The models that have a worker.
    async fn models_up(&self) -> Result<BTreeSet<String>, Error> {
        let snapshot = self.fleet.snapshot().await?;
        let alive = snapshot.workers.into_iter().filter(|row| row.pid.is_some());
        Ok(alive.filter_map(|row| row.model).collect())
    }
}

/// Whether workers of a format are other processes than before, whatever model they have.
fn is_other_process(old: Option<&WorkerConfig>, new: Option<&WorkerConfig>) -> bool {
    let process =
        |worker: Option<&WorkerConfig>| worker.map(|worker| (worker.command.clone(), worker.sandbox));
    process(old) != process(new)
}
