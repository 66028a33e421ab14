//! A sequence's events as the protocol says them.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use impetus_proto::{
    Code, Error,
    worker::{self, Delta, Finished, GenerateEvent, generate_event},
};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tonic::Status;

use super::score;
use crate::{
    engine::{TokenId, Vocabulary},
    output::Parts,
    sampling::Score,
    scheduler::{Ending, Event, FinishReason, Said},
};

/// A stream of protocol events. Dropping it drops the receiver, which is what cancels the sequence.
pub(super) struct Completion {
    model: String,
    vocabulary: Arc<dyn Vocabulary>,
    /// The prompt's text, to be said with the scores of its tokens.
    prompt: String,
    /// What it took to tokenize.
    tokenize: Duration,
    events: Option<mpsc::Receiver<Event>>,
    _in_progress: TaskTrackerToken,
}

impl Completion {
    pub(super) fn new(
        model: String,
        vocabulary: Arc<dyn Vocabulary>,
        prompt: String,
        events: mpsc::Receiver<Event>,
        in_progress: TaskTrackerToken,
    ) -> Self {
        let (tokenize, events) = (Duration::ZERO, Some(events));
        Self { model, vocabulary, prompt, tokenize, events, _in_progress: in_progress }
    }

    /// The same stream, of a prompt that took so long to tokenize.
    pub(super) fn tokenized_in(mut self, time: Duration) -> Self {
        self.tokenize = time;
        self
    }

    fn event(&mut self, event: Event) -> Result<GenerateEvent, Status> {
        let (index, tokens, event) = match event {
            Event::Prompt(scores) => {
                let prompt = score::prompt(std::mem::take(&mut self.prompt), &scores, &*self.vocabulary);
                (0, Vec::new(), generate_event::Event::Prompt(prompt))
            }
            Event::Tokens(Said { index, tokens, parts, scores, ending }) => {
                let delta = self.delta(parts, &tokens, &scores);
                let event = match ending {
                    None => generate_event::Event::Delta(delta),
                    Some(ending) => {
                        self.events = None;
                        generate_event::Event::Finished(self.finished(delta, *ending))
                    }
                };
                (index, tokens.iter().map(|token| token.0).collect(), event)
            }
            Event::Over { index, ending } => {
                self.events = None;
                (index, Vec::new(), generate_event::Event::Finished(self.finished(Delta::default(), ending)))
            }
            Event::Failed(reason) => {
                self.events = None;
                return Err(Error::internal(format!("`{}` could not go on: {reason}", self.model)).into());
            }
        };
        Ok(GenerateEvent { model: self.model.clone(), index, tokens, event: Some(event) })
    }

    fn delta(&self, parts: Parts, tokens: &[TokenId], scores: &[Score]) -> Delta {
        let scored = tokens.iter().zip(scores);
        let logprobs = scored.map(|(token, score)| score::logprobs(*token, score, &*self.vocabulary));
        Delta { parts: parts.into_iter().map(Into::into).collect(), logprobs: logprobs.collect() }
    }

    /// `rest` is what the last token added, before what was held back.
    fn finished(&self, mut rest: Delta, ending: Ending) -> Finished {
        rest.parts.extend(ending.rest.into_iter().map(Into::into));
        let (reason, stop) = match ending.reason {
            FinishReason::End => (worker::FinishReason::Stop, String::new()),
            FinishReason::StopString(stop) => (worker::FinishReason::Stop, stop),
            FinishReason::Length => (worker::FinishReason::Length, String::new()),
        };
        let us = |time: Duration| time.as_micros() as u64;
        let calls = ending.called && reason == worker::FinishReason::Stop;
        let reason = if calls { worker::FinishReason::ToolCalls } else { reason };
        Finished {
            reason: reason.into(),
            rest: Some(rest),
            stop,
            usage: Some(worker::Usage {
                prompt_tokens: ending.usage.prompt_tokens,
                cached_tokens: ending.usage.cached_tokens,
                completion_tokens: ending.usage.completion_tokens,
                reasoning_tokens: ending.usage.reasoning_tokens,
            }),
            timings: Some(worker::Timings {
                queue_us: us(ending.timings.queue),
                prefill_us: us(ending.timings.prefill),
                decode_us: us(ending.timings.decode),
                tokenize_us: us(self.tokenize),
            }),
        }
    }
}

impl Stream for Completion {
    type Item = Result<GenerateEvent, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(events) = &mut self.events else { return Poll::Ready(None) };
        match events.poll_recv(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(event)) => Poll::Ready(Some(self.event(event))),
            Poll::Ready(None) => {
                self.events = None;
                // The engine's thread is gone, and the process soon will be: another worker goes on from here.
                let message = format!("`{}` dropped this request without finishing it", self.model);
                let error = Error::new(Code::WorkerCrashed, message);
                Poll::Ready(Some(Err(error.into())))
            }
        }
    }
}
