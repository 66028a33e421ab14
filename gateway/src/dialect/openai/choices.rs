//! All choices of one answer as one stream: each is a sequence of its own, with a worker and a successor of its own.

use std::{pin::Pin, sync::Arc};

use async_stream::try_stream;
use futures::{
    Stream, StreamExt,
    stream::{BoxStream, SelectAll},
};
use impetus_proto::{Error, worker::GenerateRequest};

use crate::{
    record::Record,
    upstream::{self, Event, Request, Upstream},
};

/// Events of all choices, in turn; they end after the last choice's `Finished` or with the first error of any.
/// Dropping it cancels all.
pub(super) type ChoiceEvents = Pin<Box<dyn Stream<Item = Result<ChoiceEvent, Error>> + Send>>;

/// What happened to one choice.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ChoiceEvent {
    pub(super) index: u32,
    pub(super) event: Event,
}

/// How many choices there are. Those of one prompt stand together, in the order of the prompts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    /// At least one.
    pub(super) n_prompts: u32,
    /// Of each prompt; at least one.
    pub(super) n_each: u32,
}

impl Count {
    /// All choices.
    pub(super) fn total(self) -> u32 {
        self.n_prompts * self.n_each
    }

    /// The prompt that a choice continues.
    pub(super) fn prompt_of(self, index: u32) -> u32 {
        index / self.n_each
    }
}

/// Starts `n_each` sequences of each of the `requests`, which differ in their input alone. What refuses one most often
/// refuses all, so the others start when the first is accepted: a request that cannot be served costs one attempt, and
/// no worker gets it as many times as it has choices.
pub(super) fn generate(
    upstream: Arc<Upstream>,
    record: Record,
    requests: Vec<Request>,
    n_each: u32,
) -> ChoiceEvents {
    let count = Count { n_prompts: requests.len() as u32, n_each };
    let start = move |index: u32, model: Option<&str>| {
        let prompt = count.prompt_of(index);
        let request = of_index(&requests[prompt as usize], index, model);
        let events = record.observe(prompt, upstream::generate(upstream.clone(), request));
        events.map(move |event| Ok(ChoiceEvent { index, event: event? })).boxed()
    };
    if count.total() == 1 {
        return start(0, None);
    }
    Box::pin(try_stream! {
        let mut running: SelectAll<BoxStream<'static, Result<ChoiceEvent, Error>>> = SelectAll::new();
        running.push(start(0, None));
        let mut n_started = 1;
        while let Some(said) = running.next().await {
            let said = said?;
            if n_started < count.total() && let Event::Accepted { model, .. } = &said.event {
                // An alias may come to mean another model at any time; one answer is of one model.
                running.extend((n_started..count.total()).map(|index| start(index, Some(model))));
                n_started = count.total();
            }
            yield said;
        }
    })
}

/// The request for one of its choices, on which its random numbers depend.
fn of_index(request: &Request, index: u32, model: Option<&str>) -> Request {
    let model = model.map_or_else(|| request.model.clone(), str::to_owned);
    let generate = GenerateRequest { choice: index, ..request.generate.clone() };
    Request { model, generate, ..request.clone() }
}

#[cfg(test)]
mod tests;
