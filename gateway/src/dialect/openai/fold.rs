//! A unary answer: the events of a stream, taken together.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use impetus_proto::Error;

use super::{choices::ChoiceEvent, shape::finish_reason, usage::Cost};
use crate::upstream::Event;

/// An answer that is whole.
#[derive(Debug, PartialEq)]
pub(super) struct Completed {
    pub(super) model: Arc<str>,
    /// In the order of their indices.
    pub(super) choices: Vec<Choice>,
    pub(super) cost: Cost,
}

/// A choice that is whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Choice {
    pub(super) text: String,
    pub(super) finish_reason: &'static str,
}

/// Takes the events together until the last of `n_choices` choices has ended.
pub(super) async fn fold(
    mut events: impl Stream<Item = Result<ChoiceEvent, Error>> + Unpin,
    n_choices: u32,
) -> Result<Completed, Error> {
    let choices = vec![Choice::default(); n_choices as usize];
    let mut completed = Completed { model: Arc::from(""), choices, cost: Cost::default() };
    while let Some(said) = events.next().await {
        let ChoiceEvent { index, event } = said?;
        let choice = &mut completed.choices[index as usize];
        match event {
            Event::Accepted { model, .. } => completed.model = model,
            Event::Delta(delta) => choice.text.push_str(&delta.text()),
            Event::Prompt(_) => {}
            Event::Finished(finished) => {
                choice.text.push_str(&finished.rest.text());
                choice.finish_reason = finish_reason(finished.reason);
                completed.cost.add(&finished);
                if completed.cost.n_choices() == n_choices {
                    return Ok(completed);
                }
            }
        }
    }
    Err(Error::internal("the answer ended without its end"))
}
