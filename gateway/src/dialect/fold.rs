//! A unary answer: the events of a stream, taken together.

use std::sync::Arc;

use futures::{Stream, StreamExt};
use impetus_proto::{
    Error,
    worker::{self, FinishReason, TokenLogprobs},
};

use super::{
    call::{self, Begun, Call},
    choices::{ChoiceEvent, Count},
    cost::Cost,
};
use crate::upstream::{Delta, Event, Part};

/// An answer that is whole.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Completed {
    pub(super) model: Arc<str>,
    /// In the order of their indices.
    pub(super) choices: Vec<Choice>,
    pub(super) cost: Cost,
}

/// A choice that is whole.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Choice {
    /// Where the request asks for an echo.
    pub(super) prompt: Option<worker::Prompt>,
    pub(super) text: String,
    pub(super) reasoning: String,
    pub(super) calls: Vec<Call>,
    pub(super) logprobs: Vec<TokenLogprobs>,
    pub(super) reason: FinishReason,
    begun: Begun,
}

impl Choice {
    fn add(&mut self, delta: Delta) {
        self.logprobs.extend(delta.logprobs);
        for part in delta.parts {
            match part {
                Part::Text(text) => self.text.push_str(&text),
                Part::Reasoning(text) => self.reasoning.push_str(&text),
                Part::ToolCall(piece) => call::add(&mut self.calls, &mut self.begun, piece),
            }
        }
    }

    /// The mean of the tokens' log probabilities.
    fn mean_logprob(&self) -> f64 {
        let sum: f64 = self.logprobs.iter().map(|token| f64::from(token.logprob)).sum();
        sum / self.logprobs.len().max(1) as f64
    }
}

impl Completed {
    /// Keeps the `n_kept` most probable of the `n_each` choices of each prompt, the most probable first.
    pub(super) fn keep_best(&mut self, n_each: u32, n_kept: u32) {
        let choices = std::mem::take(&mut self.choices);
        for of_prompt in choices.chunks(n_each as usize) {
            let mut of_prompt = of_prompt.to_vec();
            of_prompt.sort_by(|one, other| other.mean_logprob().total_cmp(&one.mean_logprob()));
            of_prompt.truncate(n_kept as usize);
            self.choices.append(&mut of_prompt);
        }
    }
}

/// Takes the events together until the last of the choices has ended.
pub(super) async fn fold(
    mut events: impl Stream<Item = Result<ChoiceEvent, Error>> + Unpin,
    count: Count,
) -> Result<Completed, Error> {
    let choices = vec![Choice::default(); count.total() as usize];
    let mut completed = Completed { model: Arc::from(""), choices, cost: Cost::default() };
    while let Some(said) = events.next().await {
        let ChoiceEvent { index, event } = said?;
        let choice = &mut completed.choices[index as usize];
        match event {
            Event::Accepted { model, .. } => completed.model = model,
            Event::Prompt(prompt) => choice.prompt = Some(prompt),
            Event::Delta(delta) => choice.add(delta),
            Event::Finished(finished) => {
                completed.cost.add(count.prompt_of(index), index, &finished);
                choice.reason = finished.reason;
                choice.add(finished.rest);
                if completed.cost.n_choices() == count.total() {
                    return Ok(completed);
                }
            }
        }
    }
    Err(Error::internal("the answer ended without its end"))
}
