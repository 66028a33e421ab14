//! Parts as they are said, with the white space that belongs to none of them left out.

use impetus_proto::worker::ToolCallDelta;

use crate::output::Part;

/// Says parts. White space beside a thought or a call is syntax; within a text it is text, so it is held until it is
/// known what follows.
#[derive(Debug, Default)]
pub(super) struct Speech {
    /// White space that may be syntax.
    held: String,
    /// White space that comes now is syntax.
    fresh: bool,
    /// Calls so far.
    calls: u32,
}

impl Speech {
    /// Says text of the answer.
    pub(super) fn text(&mut self, text: &str, parts: &mut Vec<Part>) {
        if let Some(text) = self.settle(text) {
            parts.push(Part::Text(text));
        }
    }

    /// Says text of the answer as it is, white space and all.
    pub(super) fn exact_text(&mut self, text: &str, parts: &mut Vec<Part>) {
        self.fresh = false;
        let text = std::mem::take(&mut self.held) + text;
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
    }

    /// Says a piece of the thought.
    pub(super) fn reasoning(&mut self, text: &str, parts: &mut Vec<Part>) {
        if let Some(text) = self.settle(text) {
            parts.push(Part::Reasoning(text));
        }
    }

    /// Something else begins: white space around here belongs to nothing.
    pub(super) fn turn(&mut self) {
        self.held.clear();
        self.fresh = true;
    }

    /// Begins the next call.
    pub(super) fn call(&mut self, name: &str, id: &str, parts: &mut Vec<Part>) {
        self.turn();
        let (name, id) = (name.to_owned(), id.to_owned());
        parts.push(Part::ToolCall(ToolCallDelta { index: self.calls, name, arguments: String::new(), id }));
        self.calls += 1;
    }

    /// Says a piece of the arguments of the call that was begun last.
    pub(super) fn arguments(&mut self, text: &str, parts: &mut Vec<Part>) {
        if text.is_empty() {
            return;
        }
        let index = self.calls.saturating_sub(1);
        let arguments = text.to_owned();
        parts.push(Part::ToolCall(ToolCallDelta { index, arguments, ..ToolCallDelta::default() }));
    }

    /// Says the white space that an answer without calls ends with.
    pub(super) fn finish(&mut self, parts: &mut Vec<Part>) {
        let held = std::mem::take(&mut self.held);
        if self.calls == 0 && !held.is_empty() {
            parts.push(Part::Text(held));
        }
    }

    /// What can be said of `text` now.
    fn settle(&mut self, text: &str) -> Option<String> {
        let text = if self.fresh { text.trim_start() } else { text };
        if text.is_empty() {
            return None;
        }
        self.fresh = false;
        let said = text.trim_end();
        if said.is_empty() {
            self.held.push_str(text);
            return None;
        }
        let mut whole = std::mem::take(&mut self.held);
        whole.push_str(said);
        self.held.push_str(&text[said.len()..]);
        Some(whole)
    }
}
