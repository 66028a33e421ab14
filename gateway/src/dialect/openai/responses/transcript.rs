//! A response in the making: what a worker says becomes items, and each step an event. An answer that is not streamed is
//! the same transcript, read at its end.

use impetus_proto::worker::{FinishReason, ToolCallDelta};

use super::{
    event::{Frame, Say, Teller},
    output::{ItemStatus, Logprob},
    params::Include,
    response::{Response, Status},
    tool::Tools,
};
use crate::{
    error::Failure,
    upstream::{Delta, Event, Part},
};

mod open;

use open::Open;

/// What is written, and how.
#[derive(Debug)]
pub(super) struct Transcript {
    pub(super) response: Response,
    tools: Tools,
    include: Include,
    /// The item that the model is at.
    open: Option<Open>,
    /// The worker's number of the call that it was at last.
    call: Option<u32>,
    /// Of tokens whose text is still held back.
    logprobs: Vec<Logprob>,
    teller: Teller,
}

impl Transcript {
    /// Nothing has been said yet.
    pub(super) fn new(response: Response, tools: Tools, include: Include, teller: Teller) -> Self {
        Self { response, tools, include, open: None, call: None, logprobs: Vec::new(), teller }
    }

    /// Says that there is a response.
    pub(super) fn begin(&mut self) {
        self.tell("response.created");
        let is_queued = self.response.status == Status::Queued;
        self.tell(if is_queued { "response.queued" } else { "response.in_progress" });
    }

    /// Takes in what happened.
    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::Accepted { model, .. } => {
                self.response.model = model.to_string();
                if self.response.status == Status::Queued {
                    self.response.status = Status::InProgress;
                    self.tell("response.in_progress");
                }
            }
            Event::Prompt(_) => {}
            Event::Delta(delta) => self.delta(delta),
            Event::Finished(finished) => {
                self.delta(finished.rest);
                if self.open.is_none() && self.response.output.is_empty() {
                    // A model that says nothing has said so.
                    self.open(Open::message());
                }
                let is_cut = finished.reason == FinishReason::Length;
                self.close(if is_cut { ItemStatus::Incomplete } else { ItemStatus::Completed });
                self.response.end(is_cut, finished.usage);
                self.tell(if is_cut { "response.incomplete" } else { "response.completed" });
            }
        }
    }

    /// It goes no further.
    pub(super) fn fail(&mut self, failure: &Failure) {
        self.close(ItemStatus::Incomplete);
        self.response.fail(failure);
        self.tell("response.failed");
    }

    /// Somebody wants it no more.
    pub(super) fn cancel(&mut self) {
        self.close(ItemStatus::Incomplete);
        self.response.status = Status::Cancelled;
        self.tell("response.cancelled");
    }

    /// An event that carries nothing. Comments will not do: several clients do not count them as a sign of life.
    pub(super) fn sign_of_life(&mut self) {
        self.tell("response.in_progress");
    }

    /// What there is to tell since the last time.
    pub(super) fn frames(&mut self) -> Vec<Frame> {
        self.teller.take()
    }

    /// Whether nothing more will happen.
    pub(super) fn is_over(&self) -> bool {
        self.response.status.is_final()
    }

    fn delta(&mut self, Delta { parts, logprobs, .. }: Delta) {
        let mut logprobs = logprobs.into_iter().map(Logprob::from);
        // What is held back goes on with the message that is open, or may be the beginning of one.
        if parts.is_empty() && matches!(self.open, None | Some(Open::Message { .. })) {
            self.logprobs.extend(&mut logprobs);
        }
        for part in parts {
            match part {
                Part::Text(text) => {
                    // What is no part of a message, such as a thought, has none in the API.
                    self.logprobs.extend(&mut logprobs);
                    self.text(&text);
                }
                Part::Reasoning(text) => self.thought(&text),
                Part::ToolCall(call) => self.call(call),
            }
        }
    }

    fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if !matches!(self.open, Some(Open::Message { .. })) {
            let logprobs = std::mem::take(&mut self.logprobs);
            self.open(Open::message());
            self.logprobs = logprobs;
        }
        self.say(text);
    }

    fn thought(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if !matches!(self.open, Some(Open::Thought { .. })) {
            let as_summary = self.response.asked.reasoning.summary.is_some();
            self.open(Open::thought(as_summary, self.include.sealed_reasoning));
        }
        self.say(text);
    }

    fn call(&mut self, call: ToolCallDelta) {
        let goes_on = self.call == Some(call.index) && matches!(self.open, Some(Open::Call { .. }));
        if !goes_on {
            self.open(Open::call(self.tools.name_of(&call.name), call.id));
            self.call = Some(call.index);
        }
        self.say(&call.arguments);
    }

    /// Begins an item behind the one that was open.
    fn open(&mut self, mut open: Open) {
        self.close(ItemStatus::Completed);
        open.begin(self.response.output.len(), &mut self.teller);
        self.open = Some(open);
    }

    fn say(&mut self, text: &str) {
        if let Some(open) = &mut self.open
            && !text.is_empty()
        {
            let logprobs = std::mem::take(&mut self.logprobs);
            open.say(text, logprobs, self.response.output.len(), &mut self.teller);
        }
    }

    /// Ends the item that is open.
    fn close(&mut self, status: ItemStatus) {
        let logprobs = std::mem::take(&mut self.logprobs);
        let Some(open) = self.open.take() else { return };
        let output_index = self.response.output.len();
        let item = open.end(status, logprobs, output_index, &mut self.teller);
        self.teller.tell("response.output_item.done", Say::Item { output_index, item: &item });
        self.response.output.push(item);
    }

    fn tell(&mut self, kind: &'static str) {
        self.teller.tell(kind, Say::Response { response: &self.response });
    }
}

#[cfg(test)]
mod tests;
