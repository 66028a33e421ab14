//! Calls with a head between tags before their arguments: `<call>f<arguments>{...}</call>`.

use std::fmt::Write;

use super::{
    Rules, Tags, Tool,
    body::{Answer, Body, Calls},
    buffer::Found,
    lark,
    reader::{Miss, Reader},
};

/// The tags of a family.
#[derive(Debug)]
pub(super) struct Syntax {
    /// Before the calls; the first one is the usual one.
    pub(super) open: &'static [&'static str],
    /// Before each call.
    pub(super) begin: &'static str,
    /// Reads what stands between that tag and the arguments.
    pub(super) head: fn(&mut Reader<'_>) -> Result<Head, Miss>,
    /// Behind the arguments; any of them.
    pub(super) end: &'static [&'static str],
    /// Behind the calls.
    pub(super) close: &'static str,
}

/// Who is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Head {
    /// The function.
    pub(super) name: String,
    /// The model's name of the call, or empty.
    pub(super) id: String,
}

/// What a grammar has to know of how calls are written.
pub(super) struct Written<'a> {
    /// Writes what stands between the tag before a call and its arguments.
    pub(super) head: &'a dyn Fn(&Tool) -> String,
    /// Between the arguments and the tag behind them.
    pub(super) behind: &'a str,
    /// Between two calls.
    pub(super) between: &'a str,
}

/// Takes an answer with such calls apart.
#[derive(Debug)]
pub(super) struct Headed {
    syntax: &'static Syntax,
    state: State,
}

#[derive(Debug)]
enum State {
    Text,
    /// In arguments: white space that may be behind them, and whether they have begun.
    Arguments(String, bool),
    /// Behind a call.
    Behind,
}

/// The longest name, in bytes. What is longer is no name.
pub(super) const MAX_NAME_BYTES: usize = 256;

impl Headed {
    /// A parser of answers in this syntax.
    pub(super) fn new(syntax: &'static Syntax) -> Self {
        Self { syntax, state: State::Text }
    }

    /// What stands here; none if more has to come first.
    fn step(&mut self, answer: &mut Answer<'_>) -> Option<State> {
        let syntax = self.syntax;
        match &mut self.state {
            State::Text => {
                let tags: Vec<&str> = syntax.open.iter().copied().chain([syntax.begin]).collect();
                let which = answer.text_before(&tags)?;
                match begin(syntax, tags[which], answer.reader()) {
                    Ok((head, bytes)) => {
                        answer.skip(bytes);
                        answer.call(&head.name, &head.id);
                        Some(State::Arguments(String::new(), false))
                    }
                    Err(Miss::Short) => None,
                    Err(Miss::Wrong) => {
                        answer.text(tags[which].len());
                        Some(State::Text)
                    }
                }
            }
            State::Arguments(space, begun) => {
                let (bytes, over) = match answer.buffer.find(syntax.end, false) {
                    Found::Free(bytes) => (bytes, false),
                    Found::Tag { at, .. } => (at, true),
                };
                let piece = answer.buffer.take(bytes).to_owned();
                let piece = if *begun { piece.as_str() } else { piece.trim_start() };
                let json = piece.trim_end();
                if !json.is_empty() {
                    *begun = true;
                    answer.arguments(&(std::mem::take(space) + json));
                }
                space.push_str(&piece[json.len()..]);
                if over && !*begun {
                    answer.arguments("{}");
                }
                over.then_some(State::Behind)
            }
            State::Behind => {
                let mut reader = Reader::new(answer.buffer.rest(), false);
                reader.space();
                let ends = syntax.end.iter().map(|end| end.trim_start());
                let tags: Vec<&str> = ends.chain([syntax.close]).collect();
                match reader.one_of(&tags) {
                    Ok(which) => {
                        let bytes = reader.at();
                        answer.skip(bytes);
                        Some(if tags[which] == syntax.close { State::Text } else { State::Behind })
                    }
                    Err(Miss::Short) => None,
                    Err(Miss::Wrong) => Some(State::Text),
                }
            }
        }
    }
}

/// Reads from `tag`, which stands here, to the arguments of the call: who is called, and the bytes of it.
fn begin(syntax: &Syntax, tag: &str, mut reader: Reader<'_>) -> Result<(Head, usize), Miss> {
    reader.literal(tag)?;
    if tag != syntax.begin {
        reader.space();
        reader.literal(syntax.begin)?;
    }
    reader.space();
    let head = (syntax.head)(&mut reader)?;
    let is_name = |char: char| char.is_alphanumeric() || "_-.:/".contains(char);
    if head.name.is_empty() || !head.name.chars().all(is_name) {
        return Err(Miss::Wrong);
    }
    Ok((head, reader.at()))
}

impl Body for Headed {
    fn read(&mut self, answer: &mut Answer<'_>) {
        while let Some(state) = self.step(answer) {
            self.state = state;
        }
    }
}

impl Syntax {
    /// The grammar of an answer in which tools may be called, behind a thought that the rules `thought` are about.
    pub(super) fn grammar(
        &self,
        call: &Written<'_>,
        thought: &str,
        rules: &Rules,
        tags: &Tags,
    ) -> Option<String> {
        let Written { head, behind, between } = call;
        let (begin, close) = (tags.lark(self.begin), tags.lark(self.close));
        let end = format!("{} {}", lark::literal(behind), self.end.first().map(|end| tags.lark(end))?);
        let function = |tool: &Tool| format!("{} {}", head(tool), lark::arguments(tool, rules));
        let functions: Vec<String> = rules.tools.iter().map(function).collect();
        let calls = lark::calls("function", &lark::literal(between), rules);
        let mut rest = format!("rest: {calls} {close}\n");
        writeln!(rest, "function: {begin} ({}) {end}", functions.join(" | ")).ok()?;
        let others = self.open[1..].iter().chain([&self.begin]).filter(|tag| !tags.is_control(tag));
        let shapes = others.map(|tag| lark::regex(tag)).collect();
        Calls { open: self.open[0], around: None, between: None, direct: false, rest, shapes }
            .grammar(thought, rules, tags)
    }
}
