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

/// The parts, those of one kind that follow each other made one.
pub(super) fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut joined: Vec<Part> = Vec::with_capacity(parts.len());
    for part in parts {
        match (joined.last_mut(), part) {
            (Some(Part::Text(text)), Part::Text(more))
            | (Some(Part::Reasoning(text)), Part::Reasoning(more)) => {
                text.push_str(&more);
            }
            (Some(Part::ToolCall(call)), Part::ToolCall(more)) if call.index == more.index => {
                call.arguments.push_str(&more.arguments);
            }
            (_, part) => joined.push(part),
        }
    }
    joined
}
