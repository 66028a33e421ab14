//! One completion, across as many workers as it takes.
//!
//! The tokens received are kept. A worker's successor is sent the same request with those tokens as `resume`: it
//! takes them in as if it had generated them, says nothing of them, and goes on with the next one.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures::Stream;
use impetus_proto::{
    Error, MAX_MESSAGE_BYTES,
    worker::{GenerateEvent, GenerateRequest, Resume, Timings, generate_event, worker_client::WorkerClient},
};
use tokio::time::Instant;
use tonic::Streaming;

use super::{
    Delta, Event, Request, Upstream,
    course::{Course, Errand},
    deadline,
    event::Finished,
    failure::Failure,
    lease::{Lease, with_id},
};
use crate::metrics;

/// The events of one completion; they end after `Finished` or with the first error. Dropping it cancels.
pub(crate) type Events = Pin<Box<dyn Stream<Item = Result<Event, Error>> + Send>>;

const RPC: &str = "impetus.worker.v1.Worker/Generate";

/// What is known of a completion, whichever worker makes it.
#[derive(Debug)]
struct Generation {
    request: Request,
    course: Course,
    /// The ids of every token whose event has been passed on, in order.
    received: Vec<u32>,
    /// When the worker accepted the request that had the first token, and when that came.
    accepted: Option<Instant>,
    first_token: Option<Instant>,
    /// The prompt has been passed on.
    is_echoed: bool,
    /// Several workers have had a part in it.
    is_resumed: bool,
}

/// One worker's share of a completion.
struct Attempt {
    lease: Lease,
    events: Streaming<GenerateEvent>,
    accepted: bool,
}

/// Starts a completion. Nothing happens before the first poll, but the time allowed for it runs since it was asked for.
pub(crate) fn generate(upstream: Arc<Upstream>, request: Request) -> Events {
    let (began, limit) = (request.asked.began, upstream.limits.request_timeout);
    deadline::bounded(run(upstream, request), began, limit)
}

fn run(
    upstream: Arc<Upstream>,
    request: Request,
) -> impl Stream<Item = Result<Event, Error>> + Send + 'static {
    async_stream::try_stream! {
        let mut generation = Generation::begin(&upstream, request)?;
        loop {
            let lease = generation.course.lease().await?;
            let (lease, failure) = match generation.start(&upstream, lease).await {
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
                        Err(failure) => break (attempt.lease, failure),
                    }
                },
                Err(lost) => lost,
            };
            generation.lost(lease, failure).await?;
        }
    }
}

impl Generation {
    fn begin(upstream: &Arc<Upstream>, request: Request) -> Result<Self, Error> {
        let errand = Errand {
            id: request.asked.id.clone(),
            model: request.model.clone(),
            keep_alive: request.keep_alive,
            // The first choice speaks for the others, which follow when it is accepted.
            is_part: request.generate.choice > 0,
            needs_turn: true,
            fingerprint: upstream.poison.of_generation(&request.generate),
            rpc: RPC,
        };
        let course = Course::begin(upstream, errand)?;
        Ok(Self {
            request,
            course,
            received: Vec::new(),
            accepted: None,
            first_token: None,
            is_echoed: false,
            is_resumed: false,
        })
    }

    /// Sends the request, with what has been received of its completion, to the leased worker.
    async fn start(&mut self, upstream: &Upstream, mut lease: Lease) -> Result<Attempt, (Lease, Failure)> {
        let channel = match upstream.connections.get(&lease.endpoint, "the worker").await {
            Ok(channel) => channel,
            Err(error) => return Err((lease, Failure::Broken(error))),
        };
        let resume = (!self.received.is_empty()).then(|| Resume { tokens: self.received.clone() });
        let model = lease.model.to_string();
        let Request { asked, generate, .. } = &self.request;
        let (owner, priority, asked_unix_s) = (asked.owner.to_string(), asked.priority, asked.unix_s);
        let message = GenerateRequest { model, resume, owner, priority, asked_unix_s, ..generate.clone() };
        let request = with_id(message, &asked.id);
        self.course.dispatched(&lease.worker_id, self.received.len());
        let mut client = WorkerClient::new(channel).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let reply = tokio::select! {
            reply = client.generate(request) => reply.map_err(|status| Failure::of(&status)),
            () = lease.silence() => Err(Failure::broken("it is gone")),
        };
        match reply {
            Ok(reply) => Ok(Attempt { lease, events: reply.into_inner(), accepted: false }),
            Err(failure) => Err((lease, failure)),
        }
    }

    /// Takes in the tokens of an event that continues this completion. `None`: nothing to pass on.
    fn take(&mut self, event: GenerateEvent, model: &Arc<str>) -> Option<Event> {
        let n_tokens = event.tokens.len();
        if n_tokens > 0 {
            self.first_token.get_or_insert_with(Instant::now);
            self.received.extend(event.tokens);
            self.course.went_on();
        }
        match event.event {
            Some(generate_event::Event::Accepted(accepted)) => {
                self.course.accepted();
                let is_first = self.accepted.is_none();
                if self.first_token.is_none() {
                    self.accepted = Some(Instant::now());
                }
                let prompt_tokens = accepted.prompt_tokens;
                is_first.then(|| Event::Accepted { model: model.clone(), prompt_tokens })
            }
            Some(generate_event::Event::Delta(delta)) => Some(Event::Delta(Delta::of(delta, n_tokens))),
            Some(generate_event::Event::Finished(finished)) => {
                self.course.went_on();
                let timings = finished.timings.unwrap_or_default();
                self.course.finished(&timings);
                Some(Event::Finished(Finished {
                    reason: finished.reason(),
                    stop: finished.stop,
                    usage: finished.usage.unwrap_or_default(),
                    timings: if self.is_resumed { self.timings() } else { timings },
                    lease: self.course.waited(),
                    rest: Delta::of(finished.rest.unwrap_or_default(), n_tokens),
                }))
            }
            Some(generate_event::Event::Prompt(prompt)) => {
                let is_first = !self.is_echoed;
                self.is_echoed = true;
                is_first.then_some(Event::Prompt(prompt))
            }
            None => Some(Event::Delta(Delta { n_tokens, ..Delta::default() })),
        }
    }

    /// The times of a completion that no worker saw the whole of, as they were seen here.
    fn timings(&self) -> Timings {
        let between = |from: Option<Instant>, to: Option<Instant>| match (from, to) {
            (Some(from), Some(to)) => to.saturating_duration_since(from),
            _ => Duration::ZERO,
        };
        let us = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Timings {
            queue_us: 0,
            tokenize_us: 0,
            prefill_us: us(between(self.accepted, self.first_token)),
            decode_us: us(between(self.first_token, Some(Instant::now()))),
        }
    }

    /// The worker is lost; the next one goes on, unless the request is over.
    async fn lost(&mut self, lease: Lease, failure: Failure) -> Result<(), Error> {
        let model = lease.model.clone();
        let n_received = self.received.len();
        self.course.lost(lease, failure, n_received).await?;
        self.is_resumed |= n_received > 0;
        metrics::replayed_tokens(&model, n_received as u64);
        Ok(())
    }
}

impl Attempt {
    async fn next(&mut self, generation: &mut Generation) -> Result<Option<Event>, Failure> {
        let message = tokio::select! {
            biased;
            message = self.events.message() => message,
            () = self.lease.silence() => return Err(Failure::broken("it is gone")),
        };
        match message {
            Ok(Some(event)) => {
                self.check(&event, generation.received.len())?;
                Ok(generation.take(event, &self.lease.model))
            }
            Ok(None) => Err(Failure::broken("its stream ended unfinished")),
            Err(status) => Err(Failure::of(&status)),
        }
    }

    /// Checks that the event continues a completion of `n_received` tokens.
    fn check(&mut self, event: &GenerateEvent, n_received: usize) -> Result<(), Failure> {
        let model = &self.lease.model;
        if event.model != **model {
            return Err(Failure::untrue(format!("the worker of {model:?} answered for {:?}", event.model)));
        }
        if usize::try_from(event.index) != Ok(n_received) {
            let index = event.index;
            return Err(Failure::untrue(format!("the worker sent token {index} after {n_received}")));
        }
        self.accepted |= matches!(event.event, Some(generate_event::Event::Accepted(_)));
        if !self.accepted {
            return Err(Failure::untrue("the worker generated before it accepted the request".to_owned()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
