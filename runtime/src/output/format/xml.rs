//! Calls whose arguments stand in tags of their own, each as bare text: `<function=f><parameter=x>1</parameter>...`.
//!
//! What an argument is, is read from the tool's schema: strings are said as they come, other values when they are
//! whole. Tags that do not make up a call are text.

mod grammar;
mod strict;

use super::{
    Tool,
    body::{Answer, Body},
    buffer::Found,
    reader::{Miss, Reader},
    value::{Types, escape},
};

/// The tags of a family.
#[derive(Debug)]
pub(super) struct Syntax {
    /// Before a call, or before several.
    pub(super) open: &'static str,
    /// What stands before the name of a function, what ends the name, and what stands behind it.
    pub(super) function: (&'static str, &'static [char], &'static str),
    /// What stands before the name of an argument, and what ends the name.
    pub(super) parameter: (&'static str, char),
    /// What may stand behind that name, and what it says of the value.
    pub(super) typed: &'static [(&'static str, Typing)],
    /// Before the value.
    pub(super) value: &'static str,
    /// Behind the value.
    pub(super) value_end: &'static str,
    /// Values stand on lines of their own.
    pub(super) lines: bool,
    /// Behind the arguments.
    pub(super) function_end: &'static str,
    /// Behind the call or the calls.
    pub(super) close: &'static str,
    /// The outer tags stand around all calls, not around each.
    pub(super) several: bool,
}

/// What says the type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Typing {
    /// The tool's schema.
    Schema,
    /// The tag: it is a string.
    Text,
    /// The tag: it is JSON.
    Json,
}

/// Takes an answer with such calls apart.
#[derive(Debug)]
pub(super) struct Xml {
    syntax: &'static Syntax,
    tools: Vec<Tool>,
    state: State,
}

#[derive(Debug)]
enum State {
    Text,
    /// Within a call, before an argument or the end.
    Call(Call),
    /// Before an argument's value.
    Before(Call, Types),
    /// Within a string, which is said as it comes.
    String(Call),
    /// Within another value, which is said when it is whole.
    Value(Call, Types, String),
    /// Behind a call, before another one or the last tag.
    Behind,
}

#[derive(Debug, Clone, Copy)]
struct Call {
    /// Its place among the tools.
    tool: Option<usize>,
    has_arguments: bool,
}

/// The longest name, in bytes. What is longer is no name.
const MAX_NAME_BYTES: usize = 256;

impl Xml {
    /// A parser of answers in which `tools` may be called.
    pub(super) fn new(syntax: &'static Syntax, tools: &[Tool]) -> Self {
        Self { syntax, tools: tools.to_vec(), state: State::Text }
    }

    /// What stands here; none if more has to come first.
    fn step(&mut self, answer: &mut Answer<'_>) -> Option<State> {
        match &mut self.state {
            State::Text => self.text(answer),
            State::Call(call) => {
                let call = *call;
                self.call(call, answer)
            }
            State::Before(call, types) => {
                if self.syntax.lines {
                    let first = *answer.buffer.rest().as_bytes().first()?;
                    answer.skip(usize::from(first == b'\n'));
                }
                if types.only_strings() {
                    answer.arguments("\"");
                    return Some(State::String(*call));
                }
                Some(State::Value(*call, *types, String::new()))
            }
            State::String(call) => {
                let (piece, over) = self.syntax.value(answer);
                let mut json = String::new();
                escape(&piece, &mut json);
                json.push_str(if over { "\"" } else { "" });
                answer.arguments(&json);
                over.then_some(State::Call(*call))
            }
            State::Value(call, types, value) => {
                let (piece, over) = self.syntax.value(answer);
                value.push_str(&piece);
                match (over, answer.last) {
                    (true, _) => answer.arguments(&types.json(value)),
                    (false, true) => answer.arguments(&std::mem::take(value)),
                    (false, false) => {}
                }
                over.then_some(State::Call(*call))
            }
            State::Behind => {
                let mut reader = Reader::new(answer.buffer.rest(), false);
                reader.space();
                match reader.literal(self.syntax.close) {
                    Ok(()) => {
                        let bytes = reader.at();
                        answer.skip(bytes);
                        Some(State::Text)
                    }
                    Err(Miss::Short) => None,
                    Err(Miss::Wrong) => Some(State::Text),
                }
            }
        }
    }

    fn text(&self, answer: &mut Answer<'_>) -> Option<State> {
        let (open, function) = (self.syntax.open, self.syntax.function.0);
        let which = answer.text_before(&[open, function])?;
        match self.begin(answer) {
            Ok(call) => Some(State::Call(call)),
            Err(Miss::Short) => None,
            Err(Miss::Wrong) => {
                answer.text([open, function][which].len());
                Some(State::Text)
            }
        }
    }

    /// Begins the call that stands here.
    fn begin(&self, answer: &mut Answer<'_>) -> Result<Call, Miss> {
        let mut reader = answer.reader();
        let opened = reader.literal(self.syntax.open).is_ok();
        reader.space();
        let (before, ends, behind) = self.syntax.function;
        reader.literal(before)?;
        let name = reader.until(ends, MAX_NAME_BYTES)?.trim().to_owned();
        reader.literal(behind)?;
        let tool = self.tools.iter().position(|tool| tool.name == name);
        // Without the outer tag it is a call only if it names a tool: texts may speak of functions.
        let is_name =
            !name.is_empty() && !name.contains(|char: char| char.is_whitespace() || "{}[]\"".contains(char));
        if !is_name || (tool.is_none() && !opened) {
            return Err(Miss::Wrong);
        }
        let bytes = reader.at();
        answer.skip(bytes);
        answer.call(&name, "");
        Ok(Call { tool, has_arguments: false })
    }

    fn call(&self, call: Call, answer: &mut Answer<'_>) -> Option<State> {
        let syntax = self.syntax;
        let mut reader = Reader::new(answer.buffer.rest(), false);
        reader.space();
        // The tags that begin another call end this one too, if its own end was forgotten.
        let tags = [syntax.parameter.0, syntax.function_end, syntax.close, syntax.open, syntax.function.0];
        let n_tags = if syntax.function.0.is_empty() { 4 } else { 5 };
        match reader.one_of(&tags[..n_tags]) {
            Ok(0) => self.argument(call, answer),
            Ok(which) => {
                let bytes = if which < 3 { reader.at() } else { 0 };
                answer.skip(bytes);
                answer.arguments(if call.has_arguments { "}" } else { "{}" });
                Some(if which == 1 && syntax.function_end != syntax.close {
                    State::Behind
                } else {
                    State::Text
                })
            }
            Err(Miss::Short) => None,
            // What follows belongs to no call, and this one is not whole.
            Err(Miss::Wrong) => Some(State::Text),
        }
    }

    fn argument(&self, call: Call, answer: &mut Answer<'_>) -> Option<State> {
        let (name, typing, bytes) = match self.syntax.argument(answer.buffer.rest()) {
            Ok(argument) => argument,
            Err(Miss::Short) => return None,
            Err(Miss::Wrong) => return Some(State::Text),
        };
        let types = match typing {
            Typing::Schema => Types::of(call.tool.map(|tool| &self.tools[tool]), &name),
            Typing::Text => Types::STRING,
            Typing::Json => Types::JSON,
        };
        let mut json = String::from(if call.has_arguments { ", \"" } else { "{\"" });
        escape(&name, &mut json);
        json.push_str("\": ");
        answer.arguments(&json);
        answer.skip(bytes);
        Some(State::Before(Call { has_arguments: true, ..call }, types))
    }
}

impl Body for Xml {
    fn read(&mut self, answer: &mut Answer<'_>) {
        while let Some(state) = self.step(answer) {
            self.state = state;
        }
    }
}

impl Syntax {
    /// Reads the tags before a value: the argument's name, what says its type, and the bytes of it all.
    fn argument(&self, text: &str) -> Result<(String, Typing, usize), Miss> {
        let mut reader = Reader::new(text, false);
        reader.space();
        reader.literal(self.parameter.0)?;
        let name = reader.until(&[self.parameter.1], MAX_NAME_BYTES)?.trim();
        let tags: Vec<&str> = self.typed.iter().map(|(tag, _)| *tag).collect();
        let (_, typing) = self.typed[reader.one_of(&tags)?];
        if !self.value.is_empty() {
            reader.space();
            reader.literal(self.value)?;
        }
        Ok((name.to_owned(), typing, reader.at()))
    }

    /// Takes a piece of a value; whether it is over. Of a tag that is cut off nothing is left.
    fn value(&self, answer: &mut Answer<'_>) -> (String, bool) {
        let line_end = format!("\n{}", self.value_end);
        let ends: &[&str] = if self.lines { &[&line_end, self.value_end] } else { &[self.value_end] };
        match answer.buffer.find(ends, false) {
            Found::Free(bytes) => (answer.buffer.take(bytes).to_owned(), false),
            Found::Tag { at, tag } => {
                let piece = answer.buffer.take(at).to_owned();
                answer.skip(ends[tag].len());
                (piece, true)
            }
        }
    }
}
