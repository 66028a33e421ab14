//! `Models`

use impetus_models::{Model, State, Task};
use impetus_proto::{
    Error,
    supervisor::{ModelStatus, ModelsReply},
};

use super::Control;
use crate::fleet::{ModelRow, Snapshot};

impl Control {
    pub(super) async fn answer_models(&self) -> Result<ModelsReply, Error> {
        self.library.scan().await;
        let snapshot = self.fleet.snapshot().await?;
        Ok(ModelsReply { models: self.model_statuses(&snapshot) })
    }

    /// All models on disk with what the fleet says of them; duplicates of a name are listed as broken.
    pub(super) fn model_statuses(&self, snapshot: &Snapshot) -> Vec<ModelStatus> {
        let default = self.library.default_model();
        let catalog = self.library.catalog();
        let mut models: Vec<ModelStatus> = catalog
            .models()
            .iter()
            .map(|model| {
                let row = snapshot.models.get(model.name.as_str()).filter(|_| model.is_servable());
                let is_default = model.is_servable() && default.as_deref() == Some(model.name.as_str());
                ModelStatus { is_default, ..self.model_status(model, row) }
            })
            .collect();
        models.sort_by(|a, b| (&a.name, &a.path).cmp(&(&b.name, &b.path)));
        models
    }

    fn model_status(&self, model: &Model, row: Option<&ModelRow>) -> ModelStatus {
        let (state, detail) = match (&model.state, &model.duplicate_of, row) {
            (State::Broken(broken), _, _) => ("broken", broken.to_string()),
            (_, Some(other), _) => ("broken", format!("{} has this name already", other.display())),
            (_, None, Some(row)) => (row.state, row.detail.clone()),
            (_, None, None) => ("available", String::new()),
        };
        let metadata = model.metadata();
        let modified = model.modified.and_then(|time| time.duration_since(std::time::UNIX_EPOCH).ok());
        ModelStatus {
            name: model.name.to_string(),
            format: model.format.clone(),
            state: state.into(),
            path: model.path.to_string_lossy().into_owned(),
            size_bytes: model.size_bytes,
            detail,
            aliases: self.library.aliases_of(model.name.as_str()),
            architecture: metadata.map(|metadata| metadata.architecture.clone()).unwrap_or_default(),
            quantization: metadata.map(|metadata| metadata.quantization.clone()).unwrap_or_default(),
            parameters: metadata.map(|metadata| metadata.parameters).unwrap_or_default(),
            context_tokens: self.library.context_tokens(model),
            trained_context_tokens: metadata.map(|metadata| metadata.context_tokens).unwrap_or_default(),
            chat_template: metadata.is_some_and(|metadata| metadata.chat_template.is_some()),
            modified_unix_s: modified.map(|time| time.as_secs()).unwrap_or_default(),
            is_default: false,
            description: metadata.and_then(|metadata| metadata.description.clone()).unwrap_or_default(),
            task: metadata.map(|metadata| name_of(metadata.task)).unwrap_or_default().to_owned(),
        }
    }
}

/// The task's name on the wire.
fn name_of(task: Task) -> &'static str {
    match task {
        Task::Generate => "generate",
        Task::Embed => "embed",
        Task::Rerank => "rerank",
    }
}
