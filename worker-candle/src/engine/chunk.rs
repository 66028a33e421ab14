//! Whether the chunks of a batch can be computed. The runtime sends none that cannot; should it ever, only those
//! sequences shall end.

use impetus_runtime::engine::{Limits, SlotId, StepError};

use crate::plan::{Plan, PlannedChunk};

/// Refuses the slots whose chunks do not follow what they hold (`length`), do not fit or have unknown tokens.
pub(crate) fn reject(plan: &Plan, limits: Limits, length: impl Fn(SlotId) -> usize) -> Result<(), StepError> {
    let objection =
        |chunk: &PlannedChunk| Some((chunk.slot, objection(plan, chunk, limits, length(chunk.slot))?));
    let objections: Vec<_> = plan.chunks.iter().filter_map(objection).collect();
    let Some((_, reason)) = objections.first() else { return Ok(()) };
    let reason = reason.clone();
    Err(StepError::Rejected { slots: objections.into_iter().map(|(slot, _)| slot).collect(), reason })
}

fn objection(plan: &Plan, chunk: &PlannedChunk, limits: Limits, held: usize) -> Option<String> {
    if chunk.position != held {
        return Some(format!("a chunk at position {} for a slot that holds {held}", chunk.position));
    }
    let end = chunk.position + chunk.rows.len();
    if end > limits.context_tokens as usize {
        return Some(format!("{end} tokens for a slot of {}", limits.context_tokens));
    }
    let unknown = plan.tokens[chunk.rows.clone()].iter().find(|&&token| token >= limits.vocabulary);
    unknown.map(|token| format!("token {token} is not of the vocabulary"))
}
