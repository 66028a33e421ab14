//! Whether whole inputs can be computed. The runtime sends none that cannot; should it ever, the worker goes on.

use impetus_runtime::engine::{EmbeddingLimits, SlotId, StepError, TokenId};

/// Refuses the inputs that are too long, too short or not of the vocabulary, by their places.
pub(super) fn check<'a>(
    limits: EmbeddingLimits,
    inputs: impl Iterator<Item = &'a [TokenId]>,
) -> Result<(), StepError> {
    let objections: Vec<_> =
        inputs.zip(0..).filter_map(|(input, idx)| Some((SlotId(idx), objection(limits, input)?))).collect();
    let Some((_, reason)) = objections.first() else { return Ok(()) };
    let reason = reason.clone();
    Err(StepError::Rejected { slots: objections.into_iter().map(|(slot, _)| slot).collect(), reason })
}

/// Why an input cannot be computed, if so.
fn objection(limits: EmbeddingLimits, input: &[TokenId]) -> Option<String> {
    let EmbeddingLimits { context_tokens, vocabulary, .. } = limits;
    if input.is_empty() || input.len() > context_tokens as usize {
        return Some(format!("an input of {} tokens for a model of {context_tokens}", input.len()));
    }
    let unknown = input.iter().find(|token| token.0 >= vocabulary);
    unknown.map(|token| format!("token {} is not of the vocabulary", token.0))
}
