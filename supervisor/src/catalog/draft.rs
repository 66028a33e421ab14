//! Which model guesses for another one, as `draft` of a `[[model]]` names it.

use impetus_models::{Catalog, Model, Task};
use impetus_proto::{Code, Error, launch::DraftSpec};

use super::Names;

/// Tokens that a draft model guesses at once, at most, where nothing else is set. It stops by itself at a token that it
/// is not sure of.
const DRAFT_TOKENS: u32 = 16;

impl Names {
    /// The draft model of `model`, if it is to have one.
    pub(super) fn draft<'c>(&self, model: &Model, catalog: &'c Catalog) -> Result<Option<&'c Model>, Error> {
        let Some(name) = self.entry(model).and_then(|entry| entry.draft.as_deref()) else { return Ok(None) };
        let refused = |why: &str| {
            let message = format!(
                "{} cannot be loaded: {name:?}, which is to be its draft model, {why}; set `draft` of \
                 [[model]] name = \"{}\" to a smaller model of the same family, or to none",
                model.name, model.name
            );
            Err(Error::new(Code::ModelLoadFailed, message))
        };
        let Some(draft) = catalog.find(name).or_else(|| catalog.find(self.canonical(name))) else {
            return refused("is not here (`supervisorctl models` lists those there are)");
        };
        let task = |model: &Model| model.metadata().map_or(Task::Generate, |metadata| metadata.task);
        if let Some(broken) = draft.broken() {
            return refused(&format!("is damaged: {broken}"));
        }
        if draft.name == model.name {
            return refused("is the model itself");
        }
        if self.entry(draft).is_some_and(|entry| entry.draft.is_some()) {
            return refused("has a draft model of its own");
        }
        if draft.format != model.format {
            return refused(&format!("is of the format {}, the model of {}", draft.format, model.format));
        }
        if task(draft) != Task::Generate || task(model) != Task::Generate {
            return refused("cannot guess: only models that generate have drafts, and are ones");
        }
        Ok(Some(draft))
    }

    /// What the worker of `model` is told of its `draft` model.
    pub(super) fn draft_spec(&self, model: &Model, draft: &Model) -> DraftSpec {
        let tokens = self.entry(model).and_then(|entry| entry.draft_tokens);
        DraftSpec {
            model: draft.name.to_string(),
            path: draft.path.to_string_lossy().into_owned(),
            root: draft.root.to_string_lossy().into_owned(),
            options: self.spec(draft).options,
            context_tokens: draft.metadata().map_or(0, |metadata| metadata.context_tokens),
            tokens: tokens.unwrap_or(DRAFT_TOKENS),
        }
    }
}
