//! All choices of one answer as one stream: each is a sequence of its own, with a worker and a successor of its own.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures::{Stream, StreamExt};
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

/// Choices that have not ended.
struct Running<F> {
    /// Starts the choice of an index, of a model where that is known.
    start: F,
    count: Count,
    n_started: u32,
    events: Vec<ChoiceEvents>,
    /// The place in `events` of the one that is asked first, so that none keeps others waiting.
    next: usize,
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

impl<F: Fn(u32, Option<&str>) -> ChoiceEvents + Unpin> Stream for Running<F> {
    type Item = Result<ChoiceEvent, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let running = self.get_mut();
        let mut n_silent = 0;
        while n_silent < running.events.len() {
            let place = running.next % running.events.len();
            running.next = place + 1;
            match running.events[place].poll_next_unpin(cx) {
                Poll::Ready(Some(said)) => {
                    running.go_on(&said);
                    return Poll::Ready(Some(said));
                }
                Poll::Ready(None) => {
                    drop(running.events.remove(place));
                    running.next = place;
                }
                Poll::Pending => n_silent += 1,
            }
        }
        if running.events.is_empty() { Poll::Ready(None) } else { Poll::Pending }
    }
}

impl<F: Fn(u32, Option<&str>) -> ChoiceEvents> Running<F> {
    /// What one of the choices said concerns the others.
    fn go_on(&mut self, said: &Result<ChoiceEvent, Error>) {
        match said {
            Ok(ChoiceEvent { event: Event::Accepted { model, .. }, .. }) => {
                // An alias may come to mean another model at any time; one answer is of one model.
                let others = self.n_started..self.count.total();
                self.n_started = self.count.total();
                self.events.extend(others.map(|index| (self.start)(index, Some(model))));
            }
            Ok(_) => {}
            Err(_) => self.events.clear(),
        }
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
    let start = move |index: u32, model: Option<&str>| -> ChoiceEvents {
        let prompt = count.prompt_of(index);
        let request = of_index(&requests[prompt as usize], index, model);
        let events = record.observe(prompt, upstream::generate(upstream.clone(), request));
        Box::pin(events.map(move |event| Ok(ChoiceEvent { index, event: event? })))
    };
    let first = start(0, None);
    if count.total() == 1 {
        return first;
    }
    Box::pin(Running { start, count, n_started: 1, events: vec![first], next: 0 })
}

/// The request for one of its choices, on which its random numbers depend.
fn of_index(request: &Request, index: u32, model: Option<&str>) -> Request {
    let model = model.map_or_else(|| request.model.clone(), str::to_owned);
    let generate = GenerateRequest { choice: index, ..request.generate.clone() };
    Request { model, generate, ..request.clone() }
}

#[cfg(test)]
mod tests;
