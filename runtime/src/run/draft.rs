//! Loads a model's draft model, behind it and in the same library.

use impetus_proto::launch::DraftSpec;

use super::engine_thread::Placement;
use crate::{
    engine::{
        Backend, Limits, LoadError, Model, ModelSpec, Progress, Task,
        vocabulary::kinship::{self, Mismatch},
    },
    scheduler::Draft,
};

/// How much of the progress of a load is that of the model itself.
pub(super) const OWN_PART: f32 = 0.9;

/// What a draft model is loaded from; slots and context follow from those of the model.
pub(super) fn model_spec(spec: &DraftSpec, of: &ModelSpec) -> ModelSpec {
    ModelSpec {
        path: spec.path.as_str().into(),
        root: spec.root.as_str().into(),
        context_tokens: spec.context_tokens,
        options: spec.options.clone().into_iter().collect(),
        ..of.clone()
    }
}

/// Loads the draft model of a loaded `model`, where it has one.
pub(super) fn load<B: Backend>(
    backend: &mut B,
    placement: &Placement,
    model: &Model,
    progress: &Progress,
) -> Result<Option<Draft>, LoadError> {
    let Some(spec) = &placement.draft else { return Ok(None) };
    let refused = |mismatch| LoadError::Draft {
        draft: spec.path.clone(),
        model: placement.model.path.clone(),
        mismatch,
    };
    let Task::Generate(engine) = &model.task else { return Err(refused(Mismatch::Task)) };
    let limits = engine.limits();
    let spec = beside(spec, limits);
    let draft = backend.load(&spec, &progress.part(OWN_PART, 1.0))?;
    kinship::check(&*draft.vocabulary, &*model.vocabulary).map_err(refused)?;
    let engine = draft.task.into_generate().ok_or_else(|| refused(Mismatch::Task))?;
    Ok(Some(Draft::new(engine, limits, placement.scheduler.step_stretch)))
}

/// The same slots, each of the same context where the draft model has as much.
fn beside(spec: &ModelSpec, limits: Limits) -> ModelSpec {
    let context_tokens = match spec.context_tokens {
        0 => limits.context_tokens,
        most => most.min(limits.context_tokens),
    };
    ModelSpec { slots: limits.slots, context_tokens, ..spec.clone() }
}

#[cfg(test)]
mod tests;
