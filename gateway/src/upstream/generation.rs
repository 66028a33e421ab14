//! One completion, across as many workers as it takes.
//!
//! A worker that is lost before its first token is replaced without a trace. The tokens received are kept: a
//! request that goes on after its first token is this same loop with `resume` filled from them, and
//! `Generation::lost` is the one place that decides.

use std::{pin::Pin, sync::Arc};

use futures::Stream;
use impetus_proto::{
    Code, Error,
    worker::{GenerateEvent, GenerateRequest, generate_event, worker_client::WorkerClient},
};
use tonic::Streaming;
use tracing::warn;

use super::{
    Event, Request, Upstream,
    event::Finished,
    failure::{self, Failure},
    lease::{Lease, with_id},
};

/// The events of one completion; they end after `Finished` or with the first error. Dropping it cancels.
pub(crate) type Events = Pin<Box<dyn Stream<Item = Result<Event, Error>> + Send>>;

/// What is known of a completion, whichever worker makes it.
#[derive(Debug)]
struct Generation {
    request: Request,
    /// The ids of every token whose event has been passed on, in order.
    received: Vec<u32>,
    accepted: bool,
    attempts: u32,
}

/// One worker's share of a completion.
struct Attempt {
    lease: Lease,
    events: Streaming<GenerateEvent>,
}

/// Starts a completion. Nothing happens before the first poll.
pub(crate) fn generate(upstream: Arc<Upstream>, request: Request) -> Events {
    Box::pin(async_stream::try_stream! {
        let mut generation = Generation::new(request);
        loop {
            let lease = upstream.lease(&generation.request.model, &generation.request.id).await?;
            generation.attempts += 1;
            let (lease, error) = match generation.start(&upstream, lease).await {
                Ok(mut attempt) => loop {
                    match attempt.next(&mut generation).await {
                        Ok(None) => {}
                        Ok(Some(event)) => {
                            let is_last = matches!(event, Event::Finished(_));
                            yield event;
                            if is_last {
                                return;
                            }
                        }
                        Err(Failure::Final(error)) => Err(error)?,
                        Err(Failure::Lost(error)) => break (attempt.lease, error),
                    }
                },
                Err((_, Failure::Final(error))) => Err(error)?,
                Err((lease, Failure::Lost(error))) => (lease, error),
            };
            upstream.connections.forget(&lease.endpoint);
            generation.lost(&lease, &error)?;
            lease.ended().await;
        }
    })
}

impl Generation {
    fn new(request: Request) -> Self {
        Self { request, received: Vec::new(), accepted: false, attempts: 0 }
    }

    async fn start(&self, upstream: &Upstream, lease: Lease) -> Result<Attempt, (Lease, Failure)> {
        let open = async {
            let channel =
                upstream.connections.get(&lease.endpoint, "the worker").await.map_err(Failure::Lost)?;
            let message = GenerateRequest { model: lease.model.to_string(), ..self.request.generate.clone() };
            let request = with_id(message, &self.request.id);
            let reply =
                WorkerClient::new(channel).generate(request).await.map_err(|status| Failure::of(&status))?;
            Ok(reply.into_inner())
        };
        match open.await {
            Ok(events) => Ok(Attempt { lease, events }),
            Err(failure) => Err((lease, failure)),
        }
    }

    /// Checks that the event continues this completion, and takes in its tokens. `None`: nothing to pass on.
    fn take(&mut self, event: GenerateEvent, model: &Arc<str>) -> Result<Option<Event>, Failure> {
        let untrue = |message| Err(Failure::Lost(Error::new(Code::WorkerCrashed, message)));
        if event.model != **model {
            return untrue(format!("the worker of {model:?} answered for {:?}", event.model));
        }
        if usize::try_from(event.index) != Ok(self.received.len()) {
            return untrue(format!("the worker sent token {} after {}", event.index, self.received.len()));
        }
        if !self.accepted && !matches!(event.event, Some(generate_event::Event::Accepted(_))) {
            return untrue("the worker generated before it accepted the request".to_owned());
        }
        let n_tokens = event.tokens.len();
        self.received.extend(event.tokens);
        Ok(match event.event {
            Some(generate_event::Event::Accepted(accepted)) => {
                let is_first = !std::mem::replace(&mut self.accepted, true);
                let prompt_tokens = accepted.prompt_tokens;
                is_first.then(|| Event::Accepted { model: model.clone(), prompt_tokens })
            }
            Some(generate_event::Event::Delta(delta)) => Some(Event::Delta { text: delta.text, n_tokens }),
            Some(generate_event::Event::Finished(finished)) => Some(Event::Finished(Finished {
                reason: finished.reason(),
                n_tokens,
                usage: finished.usage.unwrap_or_default(),
                timings: finished.timings.unwrap_or_default(),
                text: finished.text,
            })),
            None => Some(Event::Delta { text: String::new(), n_tokens }),
        })
    }

    /// Decides whether the completion goes on without the worker that was just lost.
    fn lost(&mut self, lease: &Lease, error: &Error) -> Result<(), Error> {
        let n_received = self.received.len();
        warn!(worker = lease.worker_id, attempt = self.attempts, n_received, %error, "worker lost");
        let model = &lease.model;
        if n_received > 0 {
            let message = format!(
                "the worker of {model:?} was lost after {n_received} tokens of this answer ({error}); \
                 send the request again"
            );
            return Err(Error::new(Code::WorkerCrashed, message));
        }
        failure::again(model, self.attempts, "before the first token", error)
    }
}

impl Attempt {
    async fn next(&mut self, generation: &mut Generation) -> Result<Option<Event>, Failure> {
        match self.events.message().await {
            Ok(Some(event)) => generation.take(event, &self.lease.model),
            Ok(None) => Err(Failure::Lost(Error::new(Code::WorkerCrashed, "its stream ended unfinished"))),
            Err(status) => Err(Failure::of(&status)),
        }
    }
}

#[cfg(test)]
mod tests;
