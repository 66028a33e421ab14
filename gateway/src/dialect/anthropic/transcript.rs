//! What a model says, as blocks of a message: written as events one by one, or kept for a whole answer. There is one way
//! from what happens to either.

use bytes::Bytes;
use impetus_proto::worker::{ToolCallDelta, Usage as Used};
use serde::Serialize;

use super::{
    error::ErrorBody,
    message::{Block, ContextManagement, Message, Open, Usage},
    thinking::Shown,
};
use crate::{
    dialect::frames::Frames,
    error::Failure,
    upstream::{Delta, Event, Finished, Part},
};

/// An event, whose type is its name as well.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Say<'a> {
    MessageStart {
        message: &'a Message,
    },
    ContentBlockStart {
        index: usize,
        content_block: Block,
    },
    ContentBlockDelta {
        index: usize,
        delta: &'a Piece<'a>,
    },
    ContentBlockStop {
        index: usize,
    },
    MessageDelta {
        delta: End<'a>,
        usage: Usage,
        #[serde(skip_serializing_if = "Option::is_none")]
        context_management: &'a Option<ContextManagement>,
    },
    MessageStop,
    Ping,
}

#[derive(Serialize)]
#[serde(tag = "type")]
enum Piece<'a> {
    #[serde(rename = "text_delta")]
    Text { text: &'a str },
    #[serde(rename = "thinking_delta")]
    Thinking { thinking: &'a str },
    #[serde(rename = "signature_delta")]
    Signature { signature: &'a str },
    #[serde(rename = "input_json_delta")]
    Input { partial_json: &'a str },
}

#[derive(Serialize)]
struct End<'a> {
    stop_reason: Option<&'static str>,
    stop_sequence: Option<&'a str>,
}

/// A message that is being written.
#[derive(Debug)]
pub(super) struct Transcript {
    message: Message,
    thoughts: Shown,
    /// The block that the model is at.
    open: Option<Open>,
    /// The worker's number of the call that it was at last.
    call: Option<u32>,
    /// Absent where nobody reads events.
    frames: Option<Frames>,
    is_over: bool,
}

impl Transcript {
    /// Nothing has been said yet.
    pub(super) fn new(message: Message, thoughts: Shown, is_streamed: bool) -> Self {
        let frames = is_streamed.then(Frames::new);
        Self { message, thoughts, open: None, call: None, frames, is_over: false }
    }

    /// Says that there is a message.
    pub(super) fn begin(&mut self) {
        tell(&mut self.frames, "message_start", &Say::MessageStart { message: &self.message });
        self.ping();
    }

    /// An event that carries nothing.
    pub(super) fn ping(&mut self) {
        tell(&mut self.frames, "ping", &Say::Ping);
    }

    /// Takes in what happened.
    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::Accepted { model, prompt_tokens } => {
                if self.message.model.is_empty() {
                    self.message.model = model.to_string();
                }
                self.message.usage.input_tokens = prompt_tokens;
            }
            Event::Prompt(_) => {}
            Event::Delta(delta) => self.delta(delta),
            Event::Finished(finished) => self.end(finished),
        }
    }

    /// It goes no further.
    pub(super) fn fail(&mut self, failure: &Failure, request_id: &str) {
        tell(&mut self.frames, "error", &ErrorBody::of(failure, request_id));
        self.is_over = true;
    }

    /// Whether nothing more will happen.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether what is written should leave before there is more.
    pub(super) fn is_full(&self) -> bool {
        self.frames.as_ref().is_some_and(Frames::is_full)
    }

    /// What was written since the last time.
    pub(super) fn written(&mut self) -> Bytes {
        self.frames.as_mut().map(Frames::take).unwrap_or_default()
    }

    /// The message, once it is whole.
    pub(super) fn into_message(self) -> Message {
        self.message
    }

    fn delta(&mut self, delta: Delta) {
        for part in delta.parts {
            match part {
                Part::Text(text) => self.text(&text),
                Part::Reasoning(text) => self.thought(&text),
                Part::ToolCall(call) => self.call(call),
            }
        }
    }

    fn text(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if !matches!(self.open, Some(Open::Text(_))) {
            self.open(Open::Text(String::new()));
        }
        self.say(text, &Piece::Text { text });
    }

    fn thought(&mut self, thinking: &str) {
        let is_sealed = match self.thoughts {
            Shown::No => return,
            Shown::Yes => false,
            Shown::Sealed => true,
        };
        if thinking.is_empty() {
            return;
        }
        if !matches!(self.open, Some(Open::Thought { .. })) {
            self.open(Open::Thought { text: String::new(), is_sealed });
        }
        if is_sealed {
            if let Some(open) = &mut self.open {
                open.push(thinking);
            }
        } else {
            self.say(thinking, &Piece::Thinking { thinking });
        }
    }

    fn call(&mut self, call: ToolCallDelta) {
        let goes_on = self.call == Some(call.index) && matches!(self.open, Some(Open::Call { .. }));
        if !goes_on {
            self.open(Open::call(call.name, call.id));
            self.call = Some(call.index);
        }
        if !call.arguments.is_empty() {
            self.say(&call.arguments, &Piece::Input { partial_json: &call.arguments });
        }
    }

    /// Begins a block behind the one that was open.
    fn open(&mut self, open: Open) {
        self.close();
        let say =
            Say::ContentBlockStart { index: self.message.content.len(), content_block: open.beginning() };
        tell(&mut self.frames, "content_block_start", &say);
        self.open = Some(open);
    }

    /// Goes on with the block that is open.
    fn say(&mut self, text: &str, piece: &Piece<'_>) {
        if let Some(open) = &mut self.open {
            open.push(text);
        }
        self.tell_piece(piece);
    }

    fn tell_piece(&mut self, delta: &Piece<'_>) {
        let say = Say::ContentBlockDelta { index: self.message.content.len(), delta };
        tell(&mut self.frames, "content_block_delta", &say);
    }

    /// Ends the block that is open.
    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        if let Some(signature) = open.signature() {
            self.tell_piece(&Piece::Signature { signature: &signature });
        }
        let index = self.message.content.len();
        tell(&mut self.frames, "content_block_stop", &Say::ContentBlockStop { index });
        self.message.content.push(open.end());
    }

    fn end(&mut self, finished: Finished) {
        self.delta(finished.rest);
        if self.open.is_none() && self.message.content.is_empty() {
            // A model that says nothing has said so: clients look at the first block.
            self.open(Open::Text(String::new()));
        }
        self.close();
        let Used { prompt_tokens, cached_tokens, completion_tokens, .. } = finished.usage;
        let usage = &mut self.message.usage;
        usage.input_tokens = prompt_tokens.saturating_sub(cached_tokens);
        usage.cache_read_input_tokens = cached_tokens;
        usage.output_tokens = completion_tokens;
        self.message.end(finished.reason, finished.stop);
        let Message { stop_reason, stop_sequence, usage, context_management, .. } = &self.message;
        let delta = End { stop_reason: *stop_reason, stop_sequence: stop_sequence.as_deref() };
        let say = Say::MessageDelta { delta, usage: *usage, context_management };
        tell(&mut self.frames, "message_delta", &say);
        tell(&mut self.frames, "message_stop", &Say::MessageStop);
        self.is_over = true;
    }
}

/// Writes an event, if anybody reads it.
fn tell(frames: &mut Option<Frames>, name: &str, event: &impl Serialize) {
    if let Some(frames) = frames {
        frames.named_event(name, event);
    }
}

#[cfg(test)]
mod tests;
