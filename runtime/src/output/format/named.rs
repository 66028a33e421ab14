//! Calls with the function's name before a JSON object of arguments: `<tag>name<separator>{...}`.

use super::{
    Rules, Tags, Tool,
    body::{Answer, Body, Calls},
    json::{Extent, Place},
    lark,
    reader::{Miss, Reader},
};

/// The longest name or id, in bytes. What is longer is none.
const MAX_NAME_BYTES: usize = 256;

/// The tags of a family.
#[derive(Debug)]
pub(super) struct Syntax {
    /// Before the name.
    pub(super) begin: &'static str,
    /// Between the name and what the model calls the call, if it does.
    pub(super) id: Option<&'static str>,
    /// Before the arguments.
    pub(super) separator: &'static str,
    /// Behind the arguments, or nothing.
    pub(super) end: &'static str,
}

/// Takes an answer with such calls apart.
#[derive(Debug)]
pub(super) struct Named {
    syntax: &'static Syntax,
    state: State,
}

#[derive(Debug)]
enum State {
    Text,
    Arguments(Arguments),
    /// Behind the arguments.
    End,
}

/// Reads the arguments of a call that has begun, up to the object's end.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    extent: Extent,
    begun: bool,
}

impl Arguments {
    /// Says what there is of them; whether they are over. Text that is no JSON ends them.
    pub(super) fn read(&mut self, answer: &mut Answer<'_>) -> bool {
        if !self.begun {
            if !answer.buffer.skip_space() && !answer.last {
                return false;
            }
            if !answer.buffer.rest().starts_with('{') {
                answer.arguments("{}");
                return true;
            }
            self.begun = true;
        }
        let rest = answer.buffer.rest();
        let end = rest.bytes().enumerate().find_map(|(at, byte)| match self.extent.push(byte) {
            Place::Within => None,
            Place::Last => Some(at + 1),
            Place::Behind | Place::Wrong => Some(at),
        });
        let json = answer.buffer.take(end.unwrap_or(rest.len())).to_owned();
        answer.arguments(&json);
        end.is_some() || answer.last
    }
}

impl Named {
    /// A parser of answers in this syntax.
    pub(super) fn new(syntax: &'static Syntax) -> Self {
        Self { syntax, state: State::Text }
    }

    /// What stands here; none if more has to come first.
    fn step(&mut self, answer: &mut Answer<'_>) -> Option<State> {
        let syntax = self.syntax;
        match &mut self.state {
            State::Text => {
                answer.text_before(&[syntax.begin])?;
                match syntax.head(answer.reader()) {
                    Ok((name, id, bytes)) => {
                        answer.skip(bytes);
                        answer.call(&name, &id);
                        Some(State::Arguments(Arguments::default()))
                    }
                    Err(Miss::Short) => None,
                    Err(Miss::Wrong) => {
                        answer.text(syntax.begin.len());
                        Some(State::Text)
                    }
                }
            }
            State::Arguments(arguments) => arguments.read(answer).then_some(State::End),
            State::End => {
                if syntax.end.is_empty() {
                    return Some(State::Text);
                }
                if !answer.buffer.skip_space() {
                    return None;
                }
                answer.buffer.take_tag(syntax.end, answer.last).map(|_| State::Text)
            }
        }
    }
}

impl Body for Named {
    fn read(&mut self, answer: &mut Answer<'_>) {
        while let Some(state) = self.step(answer) {
            self.state = state;
        }
    }
}

impl Syntax {
    /// The name and the id of the call that begins here, and the bytes up to its arguments.
    fn head(&self, mut reader: Reader<'_>) -> Result<(String, String, usize), Miss> {
        reader.literal(self.begin)?;
        let is_edge =
            |edge: char| self.separator.starts_with(edge) || self.id.is_some_and(|id| id.starts_with(edge));
        let edges: Vec<char> = ['[', '>', '\n', '{'].into_iter().filter(|edge| is_edge(*edge)).collect();
        let name = reader.until(&edges, MAX_NAME_BYTES)?.trim().to_owned();
        if name.is_empty() || !name.chars().all(|char| char.is_alphanumeric() || "_-.:/".contains(char)) {
            return Err(Miss::Wrong);
        }
        let mut id = String::new();
        if let Some(tag) = self.id {
            match reader.literal(tag) {
                Ok(()) => reader.until(&edges, MAX_NAME_BYTES)?.trim().clone_into(&mut id),
                Err(Miss::Short) => return Err(Miss::Short),
                Err(Miss::Wrong) => {}
            }
        }
        reader.literal(self.separator)?;
        Ok((name, id, reader.at()))
    }

    /// The grammar of an answer in which tools may be called, behind a thought that the rules `thought` are about.
    pub(super) fn grammar(&self, thought: &str, rules: &Rules, tags: &Tags) -> Option<String> {
        let id = self.id.map_or_else(String::new, |tag| format!("({} /[a-zA-Z0-9]{{9}}/)?", tags.lark(tag)));
        let function = |tool: &Tool| {
            let name = lark::literal(&tool.name);
            format!("{name} {id} {} {}", tags.lark(self.separator), lark::arguments(tool, rules))
        };
        let functions: Vec<String> = rules.tools.iter().map(function).collect();
        let end = if self.end.is_empty() { String::new() } else { tags.lark(self.end) };
        let rest = format!("rest: ({}) {end}\n", functions.join(" | "));
        Calls { open: self.begin, around: None, between: Some(""), direct: false, rest, shapes: Vec::new() }
            .grammar(thought, rules, tags)
    }
}
