//! What tokens add to an output, by what it is.

use impetus_proto::worker::{self, ToolCallDelta};

/// A piece of an output.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// Of the answer's text.
    Text(String),
    /// Of what the model thinks before it answers.
    Reasoning(String),
    /// Of a tool call.
    ToolCall(ToolCallDelta),
}

impl From<Part> for worker::Part {
    fn from(part: Part) -> Self {
        let part = match part {
            Part::Text(text) => worker::part::Part::Text(text),
            Part::Reasoning(text) => worker::part::Part::Reasoning(text),
            Part::ToolCall(call) => worker::part::Part::ToolCall(call),
        };
        Self { part: Some(part) }
    }
}
