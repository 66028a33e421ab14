//! Reasoning in a block of its own at the beginning of an output: `<think>` and its like.

use super::{
    Beginning,
    buffer::{Buffer, Found},
    lark::{self, Tags},
    speech::Speech,
};
use crate::output::Part;

/// How a block of reasoning is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    /// Begins it.
    pub(super) open: &'static str,
    /// Ends it.
    pub(super) close: &'static str,
    /// Written to end it early.
    pub(super) end: &'static str,
}

/// The block of most models that have one.
pub(super) const THINK: Block = Block { open: "<think>", close: "</think>", end: "\n</think>\n\n" };

/// Reads the block, if there is one, and leaves the answer behind it to somebody else.
#[derive(Debug)]
pub(super) struct Thought {
    block: Block,
    state: State,
    /// There is one, in the completion or before it.
    there: bool,
    in_text: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The output has not begun.
    Before,
    Inside,
    Over,
}

impl Block {
    /// Whether the prompt has opened it, so that the completion begins inside.
    pub(super) fn is_open(self, beginning: &Beginning) -> bool {
        if beginning.continued.is_empty() {
            return beginning.prompt_tail.trim_end().ends_with(self.open);
        }
        let opened = beginning.continued.rfind(self.open);
        opened > beginning.continued.rfind(self.close)
    }

    /// What is continued of the answer, behind a thought that is over.
    pub(super) fn answer(self, beginning: &Beginning) -> &str {
        if self.is_open(beginning) {
            return "";
        }
        let continued = &beginning.continued;
        let inside = continued.trim_start().strip_prefix(self.open);
        inside
            .and_then(|inside| inside.split_once(self.close))
            .map_or(continued, |(_, answer)| answer.trim_start())
    }

    /// Rules of a grammar: `thought` is the block where it may or has to stand, or nothing.
    pub(super) fn lark(self, beginning: &Beginning, tags: &Tags) -> String {
        let inside = lark::through("thought_rest", self.close, tags);
        if self.is_open(beginning) {
            return format!("thought: thought_rest THOUGHT_SPACE\n{inside}{SPACE}");
        }
        if !beginning.continued.trim().is_empty() {
            return "thought: \"\"\n".to_owned();
        }
        format!(
            "thought: (THOUGHT_SPACE {} thought_rest THOUGHT_SPACE)?\n{inside}{SPACE}",
            tags.lark(self.open)
        )
    }
}

/// White space around a block.
const SPACE: &str = "THOUGHT_SPACE: /[ \\n]{0,4}/\n";

impl Thought {
    /// Reads `block` from the beginning of a completion.
    pub(super) fn new(block: Block, beginning: &Beginning, speech: &mut Speech) -> Self {
        let open = block.is_open(beginning);
        if open && !beginning.reasoning_in_text {
            speech.turn();
        }
        // What goes on inside an answer cannot open a thought any more.
        let within = !beginning.continued.trim().is_empty();
        let state = match (open, within) {
            (true, _) => State::Inside,
            (false, true) => State::Over,
            (false, false) => State::Before,
        };
        let there = open || beginning.continued.contains(block.close);
        Self { block, state, there, in_text: beginning.reasoning_in_text }
    }

    /// Whether the answer has one.
    pub(super) fn is_there(&self) -> bool {
        self.there
    }

    /// Whether what comes next is thought.
    pub(super) fn is_reasoning(&self) -> bool {
        self.state == State::Inside
    }

    /// The text that ends it now.
    pub(super) fn end(&self) -> Option<&'static str> {
        self.is_reasoning().then_some(self.block.end)
    }

    /// Takes from `buffer` what is thought; whether the rest is the answer's.
    pub(super) fn read(
        &mut self,
        buffer: &mut Buffer,
        speech: &mut Speech,
        parts: &mut Vec<Part>,
        last: bool,
    ) -> bool {
        if self.state == State::Before {
            let rest = buffer.rest();
            let text = rest.trim_start();
            let space = rest.len() - text.len();
            if text.starts_with(self.block.open) {
                let opening = buffer.take(space + self.block.open.len());
                if self.in_text {
                    speech.exact_text(opening, parts);
                } else {
                    speech.turn();
                }
                self.state = State::Inside;
                self.there = true;
            } else if !last && self.block.open.starts_with(text) {
                return false;
            } else {
                self.state = State::Over;
            }
        }
        if self.state == State::Inside {
            self.read_inside(buffer, speech, parts, last);
        }
        self.state == State::Over
    }

    fn read_inside(&mut self, buffer: &mut Buffer, speech: &mut Speech, parts: &mut Vec<Part>, last: bool) {
        let (bytes, closed) = match buffer.find(&[self.block.close], last) {
            Found::Tag { at, .. } => (at, true),
            Found::Free(at) => (at, false),
        };
        if self.in_text {
            let tag = if closed { self.block.close.len() } else { 0 };
            speech.exact_text(buffer.take(bytes + tag), parts);
        } else {
            speech.reasoning(buffer.take(bytes), parts);
            if closed {
                buffer.take(self.block.close.len());
                speech.turn();
            } else if last {
                speech.turn();
            }
        }
        if closed {
            self.state = State::Over;
        }
    }
}
