//! What tokens add to an output, by what it is.

use impetus_proto::worker::{self, ToolCallDelta};
use smallvec::SmallVec;

/// What a token or a step adds, most often one part or none.
pub type Parts = SmallVec<[Part; 1]>;

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

/// Adds `more` to `parts`; of one kind, what follows each other becomes one part.
pub(crate) fn join(parts: &mut Parts, more: impl IntoIterator<Item = Part>) {
    for part in more {
        match (parts.last_mut(), part) {
            (Some(Part::Text(text)), Part::Text(more))
            | (Some(Part::Reasoning(text)), Part::Reasoning(more)) => {
                text.push_str(&more);
            }
            (Some(Part::ToolCall(call)), Part::ToolCall(more)) if call.index == more.index => {
                call.arguments.push_str(&more.arguments);
            }
            (_, part) => parts.push(part),
        }
    }
}

/// The parts, those of one kind that follow each other made one.
#[cfg(test)]
pub(super) fn joined(parts: Vec<Part>) -> Vec<Part> {
    let mut joined = Parts::new();
    join(&mut joined, parts);
    joined.into_vec()
}
