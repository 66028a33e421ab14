//! `Swap`: another model behind an alias.

use std::sync::Arc;

use impetus_config::is_model_name;
use impetus_proto::{
    Code, Error,
    supervisor::{SwapReply, SwapRequest},
};
use tokio::task::spawn_blocking;

use super::{Control, configured::carried_through};
use crate::{
    catalog::Held,
    events::{Kind, Note},
    fleet::{Manifest, Snapshot, Wanted},
    worker::State,
};

impl Control {
    /// Answers when the alias means the new model and that one serves.
    pub(super) async fn answer_swap(&self, request: SwapRequest) -> Result<SwapReply, Error> {
        let control = self.clone();
        carried_through(tokio::spawn(async move { control.swap(request).await })).await
    }

    async fn swap(&self, SwapRequest { alias, model }: SwapRequest) -> Result<SwapReply, Error> {
        let _turn = self.configured.turn().await;
        let manifest = self.library.find_now(&model).await?;
        self.check_alias(&alias)?;
        let model = manifest.spec.model.clone();
        let former = self.library.names().meaning(&alias).map(str::to_owned);
        let (beside, held) = self
            .change_over(&alias, former.as_deref(), &manifest)
            .await
            .map_err(|error| unchanged(&alias, former.as_deref(), error))?;
        self.let_mean(&alias, &model).await?;
        drop(held);
        tracing::info!(alias, model, former, beside, "swapped");
        let meant = former.as_deref().map(|former| format!(" instead of {former}")).unwrap_or_default();
        self.note(Note::new(Kind::AliasSwapped, &*alias, format!("means {model}{meant}")));
        if let Some(former) = former.clone().filter(|former| *former != model) {
            tokio::spawn(self.clone().retire(former, |library, model| library.is_wanted(model, None)));
        }
        Ok(SwapReply { alias, model, former: former.unwrap_or_default(), beside })
    }

    /// Has the new model serve: beside the former one where there is room for both, else in its place; then the alias is
    /// held until it means the new one. Whether both were up.
    async fn change_over(
        &self,
        alias: &str,
        former: Option<&str>,
        manifest: &Arc<Manifest>,
    ) -> Result<(bool, Option<Held>), Error> {
        let snapshot = self.fleet.snapshot().await?;
        let model = manifest.spec.model.as_str();
        let former = former.filter(|former| *former != model && is_up(&snapshot, former));
        let fits = match former {
            Some(former) if !is_up(&snapshot, model) => {
                self.fleet.fits_beside(manifest.clone(), former.to_owned()).await?
            }
            _ => true,
        };
        match former {
            Some(former) if !fits => {
                // Nobody is given the former one any more, nor refused with the new one if that cannot be loaded.
                let held = self.library.hold(alias);
                self.load_in_place(alias, former, manifest).await?;
                Ok((false, Some(held)))
            }
            _ => {
                self.load(manifest).await?;
                Ok((former.is_some(), None))
            }
        }
    }

    /// Has the new model serve once the former one has gone. That one is back on its way when this fails.
    async fn load_in_place(&self, alias: &str, former: &str, manifest: &Arc<Manifest>) -> Result<(), Error> {
        self.fleet.forgive(manifest.clone()).await?;
        let mut lease = self.fleet.acquire(Wanted::of(manifest.clone())).await?;
        let loaded = if self.library.is_wanted(former, Some(alias)) {
            // It goes when it has its turn, if it may.
            lease.ready().await
        } else {
            tokio::join!(lease.ready(), self.fleet.unload(former.to_owned())).0
        };
        if let Err(error) = loaded {
            if let Ok(former) = self.library.lookup(former) {
                self.fleet.place(former).await?;
            }
            return Err(error);
        }
        Ok(())
    }

    /// Waits until the model serves, whatever became of it before.
    async fn load(&self, manifest: &Arc<Manifest>) -> Result<(), Error> {
        self.fleet.forgive(manifest.clone()).await?;
        self.fleet.acquire(Wanted::of(manifest.clone())).await?.ready().await?;
        Ok(())
    }

    fn check_alias(&self, alias: &str) -> Result<(), Error> {
        if !is_model_name(alias) {
            let message = format!(
                "{alias:?} cannot be an alias: it takes at most 256 characters without spaces or control characters"
            );
            return Err(Error::invalid("alias", message));
        }
        if self.library.catalog().find(alias).is_some() || self.library.names().has_entry(alias) {
            let message = format!(
                "{alias} is a model's own name, which always means that model; let clients use an alias, and swap that"
            );
            return Err(Error::new(Code::Conflict, message).with_param("alias"));
        }
        Ok(())
    }

    /// From here on, and after a restart, the alias means the model.
    async fn let_mean(&self, alias: &str, model: &str) -> Result<(), Error> {
        let (names, swapped) = self.library.names().with_swap(alias, model);
        let file = self.configured.aliases.clone();
        let kept = spawn_blocking(move || {
            file.write(&swapped).map_err(|error| {
                let message = format!(
                    "cannot keep it in {}: {error}; check supervisor.state_dir",
                    file.path().display()
                );
                Error::new(Code::Internal, message)
            })
        });
        carried_through(kept).await?;
        self.library.set_names(Arc::new(names));
        Ok(())
    }
}

/// Whether a worker serves the model.
fn is_up(snapshot: &Snapshot, model: &str) -> bool {
    let mut rows = snapshot.workers.iter().filter(|row| row.model.as_deref() == Some(model));
    rows.any(|row| row.state == State::Ready)
}

/// The error of a swap that was not to be.
fn unchanged(alias: &str, former: Option<&str>, error: Error) -> Error {
    let state = match former {
        Some(former) => format!("{alias} still means {former}"),
        None => format!("{alias} still means nothing"),
    };
    Error { message: format!("{state}: {}", error.message), ..error }
}
