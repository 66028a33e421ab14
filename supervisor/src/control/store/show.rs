//! `Show`: everything that is known of a model, wherever it lies.

use impetus_models::{Footprint, Share};
use impetus_proto::{
    Error,
    store::{Part, ShowReply},
    supervisor::ModelStatus,
};

use super::StoreService;
use crate::pulls::blocking;

impl StoreService {
    pub(super) async fn answer_show(&self, model: &str) -> Result<ShowReply, Error> {
        self.0.library.scan().await;
        let name = self.0.library.canonical(model);
        let store = self.0.pulls.store();
        let models = blocking(move || store.models()).await?;
        let kept = models.into_iter().find(|kept| kept.name.as_str() == name);
        let loaded = self.loaded().await?;
        let stored = kept.map(|kept| self.message(kept, &loaded));
        let snapshot = self.0.fleet.snapshot().await?;
        let status = self.0.model_statuses(&snapshot).into_iter().find(|status| status.name == name);
        // A damaged model of the store is not among those that are served.
        let (Some(status), Some(found)) = (status, self.0.library.catalog().find(&name).cloned()) else {
            return match stored {
                Some(stored) => {
                    let (path, detail) = (stored.path.clone(), stored.broken.clone());
                    Ok(ShowReply {
                        name,
                        path,
                        detail,
                        stored: Some(stored),
                        state: "broken".into(),
                        ..ShowReply::default()
                    })
                }
                None => Err(self.0.library.lookup(model).err().unwrap_or_else(|| {
                    Error::internal(format!("{name} is not where it was a moment ago; try again"))
                })),
            };
        };
        let spec = self.0.library.names().spec_of(&found);
        let held = crate::catalog::held(&found, &spec);
        let files = found.files.iter().map(|path| path.to_string_lossy().into_owned());
        let template = found.metadata().and_then(|metadata| metadata.chat_template.clone());
        Ok(ShowReply {
            stored,
            slots: spec.slots,
            chat_template: template.unwrap_or_default(),
            files: files.collect(),
            ..reply(status, held.as_ref())
        })
    }
}

fn reply(status: ModelStatus, held: Option<&Footprint>) -> ShowReply {
    ShowReply {
        name: status.name,
        path: status.path,
        format: status.format,
        architecture: status.architecture,
        quantization: status.quantization,
        parameters: status.parameters,
        context_tokens: status.context_tokens,
        trained_context_tokens: status.trained_context_tokens,
        description: status.description,
        task: status.task,
        state: status.state,
        detail: status.detail,
        aliases: status.aliases,
        bytes: status.size_bytes,
        ram: held.map(|held| part(&held.ram)),
        gpus: held.into_iter().flat_map(|held| &held.gpus).map(part).collect(),
        ..ShowReply::default()
    }
}

fn part(share: &Share) -> Part {
    Part {
        weights: share.weights,
        kv: share.kv,
        compute: share.compute,
        process: share.process,
        full: share.full(),
    }
}
