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
#[derive(Debug, PartialEq)]
pub(super) struct ChoiceEvent {
    pub(super) index: u32,
    pub(super) event: Event,
}

/// Starts `n_choices` sequences of `request`. What refuses one refuses all, so the others start when the first is
/// accepted: a request that cannot be served costs one attempt, and no worker gets it `n_choices` times.
pub(super) fn generate(
    upstream: Arc<Upstream>,
    record: Record,
    request: Request,
    n_choices: u32,
) -> ChoiceEvents {
    Box::pin(try_stream! {
        let start = |choice: Request| {
            let index = choice.generate.choice;
            let events = record.observe(upstream::generate(upstream.clone(), choice));
            events.map(move |event| Ok(ChoiceEvent { index, event: event? })).boxed()
        };
        let mut running: SelectAll<BoxStream<'static, Result<ChoiceEvent, Error>>> = SelectAll::new();
        running.push(start(of_index(&request, 0)));
        let mut n_started = 1;
        while let Some(said) = running.next().await {
            let said = said?;
            if n_started < n_choices && let Event::Accepted { model, .. } = &said.event {
                // An alias may come to mean another model at any time; one answer is of one model.
                let request = Request { model: model.to_string(), ..request.clone() };
                running.extend((n_started..n_choices).map(|index| start(of_index(&request, index))));
                n_started = n_choices;
            }
            yield said;
        }
    })
}

/// The request for one of its choices, on which its random numbers depend.
fn of_index(request: &Request, index: u32) -> Request {
    let generate = GenerateRequest { choice: index, ..request.generate.clone() };
    Request { generate, ..request.clone() }
}

#[cfg(test)]
mod tests;
