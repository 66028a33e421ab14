//! Calls as JSON objects in one list behind a tag: `<tag>[{"name": "f", "arguments": {...}}, ...]</tag>`.

use std::fmt::Write;

use serde_json::Value as Json;

use super::{
    Beginning, Rules, Tags, Tool,
    body::{Answer, Body, Calls},
    call::{CallReader, Keys, Read},
    lark,
    reader::{Miss, Reader},
};

/// How a family writes the list.
#[derive(Debug)]
pub(super) struct Syntax {
    /// Tags that a list follows; the first one is the usual one.
    pub(super) open: &'static [&'static str],
    /// Tags behind a list; the first one is the usual one. None: the list ends by itself.
    pub(super) close: &'static [&'static str],
    /// Tags that add nothing to the text of an answer.
    pub(super) silent: &'static [&'static str],
    /// What is written like a call where the answer is plain text, if the family has that.
    pub(super) direct: Option<Direct>,
    /// Tags, no control tokens, that stand around the answer behind a thought; elsewhere they are text.
    pub(super) response: Option<(&'static str, &'static str)>,
    /// Those that stand before and behind a text, where they are control tokens.
    pub(super) around: Option<(&'static str, &'static str)>,
    /// Members of a call.
    pub(super) keys: Keys,
    /// What stands before, between and behind calls.
    pub(super) list: [&'static str; 3],
    /// What stands before a call's number, before its name, between name and arguments, and behind those. Calls have
    /// no number where nothing stands before it.
    pub(super) object: [&'static str; 4],
}

/// A call of nothing, behind which an answer stands.
#[derive(Debug)]
pub(super) struct Direct {
    /// Names that it goes by; the first one is the usual one.
    pub(super) names: &'static [&'static str],
    /// Stands before the answer.
    pub(super) label: &'static str,
}

/// As most write it.
pub(super) const LIST: [&str; 3] = ["[", ", ", "]"];
/// As most write it.
pub(super) const OBJECT: [&str; 4] = ["", "{\"name\": ", ", \"arguments\": ", "}"];

/// Takes an answer with such a list apart.
#[derive(Debug)]
pub(super) struct List {
    syntax: &'static Syntax,
    /// Tags that lists follow; none where nothing can be called.
    open: &'static [&'static str],
    /// Functions that may be called: any other object is text.
    names: Vec<String>,
    /// The completion goes on in an answer that has begun with the tag before a response.
    within: bool,
    /// The tag at the end of the answer is no text.
    closes: bool,
    /// An object of the list stands for an answer in plain text.
    direct: bool,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Where the answer begins.
    Beginning,
    /// Where an answer in plain text begins.
    Direct,
    Text,
    /// In a call; what was taken for the beginning of the list goes before it if it is none.
    Call(String, Box<CallReader>),
    /// Behind a call.
    Behind,
    /// Behind the list.
    Closing,
}

impl List {
    /// A parser of answers in this syntax.
    pub(super) fn new(syntax: &'static Syntax, beginning: &Beginning) -> Self {
        let open = if beginning.tools.is_empty() { &[] } else { syntax.open };
        let names = beginning.tools.iter().map(|tool| tool.name.clone()).collect();
        let within = syntax.response.is_some_and(|(open, _)| beginning.continued.contains(open));
        Self { syntax, open, names, within, closes: false, direct: false, state: State::Beginning }
    }

    /// What stands here; none if more has to come first.
    fn step(&mut self, answer: &mut Answer<'_>) -> Option<State> {
        match &mut self.state {
            State::Beginning => {
                let Some((open, _)) = self.syntax.response.filter(|_| answer.thought) else {
                    return Some(State::Text);
                };
                self.closes = self.within || pass(open, answer)?;
                Some(State::Text)
            }
            State::Direct => {
                if let Some(direct) = &self.syntax.direct {
                    pass(direct.label, answer)?;
                }
                Some(State::Text)
            }
            State::Text => self.text(answer),
            State::Call(opening, reader) => {
                let read = match reader.read(answer.buffer, answer.speech, answer.parts) {
                    Read::More if answer.last => reader.finish(answer.speech, answer.parts),
                    read => read,
                };
                match read {
                    Read::More => None,
                    Read::Over => {
                        self.direct |= reader.is_unsaid();
                        Some(State::Behind)
                    }
                    Read::NoCall(text) => {
                        answer.speech.text(&format!("{opening}{text}"), answer.parts);
                        Some(State::Text)
                    }
                }
            }
            State::Behind => {
                if !answer.buffer.skip_space() {
                    return None;
                }
                match answer.buffer.rest().as_bytes().first()? {
                    b',' => {
                        answer.skip(1);
                        Some(State::Behind)
                    }
                    b'{' => Some(State::Call(String::new(), self.reader())),
                    b']' => {
                        answer.skip(1);
                        Some(State::Closing)
                    }
                    _ => Some(State::Closing),
                }
            }
            State::Closing => {
                let mut reader = Reader::new(answer.buffer.rest(), false);
                reader.space();
                match reader.one_of(self.syntax.close) {
                    Ok(_) => {
                        let bytes = reader.at();
                        answer.skip(bytes);
                    }
                    Err(Miss::Short) => return None,
                    Err(Miss::Wrong) => {}
                }
                Some(if std::mem::take(&mut self.direct) { State::Direct } else { State::Text })
            }
        }
    }

    fn reader(&self) -> Box<CallReader> {
        let direct = self.syntax.direct.as_ref().map_or(&[][..], |direct| direct.names);
        Box::new(CallReader::new(self.syntax.keys).among(self.names.clone()).unsaid(direct))
    }

    fn text(&self, answer: &mut Answer<'_>) -> Option<State> {
        let close = self.syntax.response.filter(|_| self.closes).map(|(_, close)| close);
        let tags: Vec<&str> = self.open.iter().chain(self.syntax.silent).copied().chain(close).collect();
        let which = answer.text_before(&tags)?;
        if close == Some(tags[which]) {
            let is_end = answer.buffer.rest()[tags[which].len()..].trim_start().is_empty();
            if is_end && !answer.last {
                return None;
            }
            if is_end {
                answer.buffer.take_all();
            } else {
                answer.text(tags[which].len());
            }
            return Some(State::Text);
        }
        if which >= self.open.len() {
            answer.skip(tags[which].len());
            return Some(State::Text);
        }
        match opening(tags[which], answer.reader()) {
            Ok(bytes) => {
                let opening = answer.buffer.take(bytes).to_owned();
                Some(State::Call(opening, self.reader()))
            }
            Err(Miss::Short) => None,
            Err(Miss::Wrong) => {
                answer.text(tags[which].len());
                Some(State::Text)
            }
        }
    }
}

impl Body for List {
    fn read(&mut self, answer: &mut Answer<'_>) {
        while let Some(state) = self.step(answer) {
            self.state = state;
        }
    }
}

impl Syntax {
    /// The grammar of an answer in which tools may be called, behind a thought that the rules `thought` are about.
    pub(super) fn grammar(&self, thought: &str, rules: &Rules, tags: &Tags) -> Option<String> {
        let functions: Vec<String> = rules.tools.iter().map(|tool| self.function(tool, rules)).collect();
        let [before, between, behind] = self.list.map(lark::literal);
        let calls = lark::calls("function", &between, rules);
        let close = self.close.first().map(|close| tags.lark(close)).unwrap_or_default();
        let mut rest = format!("rest: {before} {calls} {behind} {close}\n");
        writeln!(rest, "function: {}", functions.join(" | ")).ok()?;
        let shapes =
            self.open[1..].iter().filter(|tag| !tags.is_control(tag)).map(|tag| shape(tag)).collect();
        if let Some(direct) = &self.direct {
            let [_, name, arguments, end] = self.object;
            let object =
                |called: &&str| lark::literal(&format!("{name}{}{arguments}{{}}{end}", Json::from(*called)));
            let objects: Vec<String> = direct.names.iter().map(object).collect();
            let (objects, label) = (objects.join(" | "), lark::literal(&format!("\n{} ", direct.label)));
            writeln!(rest, "direct: {before} ({objects}) {behind} {close} {label}").ok()?;
        }
        let direct = self.direct.is_some();
        Calls { open: self.open[0], around: self.around, between: None, direct, rest, shapes }
            .grammar(thought, rules, tags)
    }

    fn function(&self, tool: &Tool, rules: &Rules) -> String {
        let [number, name, arguments, behind] = self.object;
        let number = if number.is_empty() {
            String::new()
        } else {
            format!("{} /[0-9]{{1,3}}/ ", lark::literal(number))
        };
        let head = lark::literal(&format!("{name}{}{arguments}", Json::from(tool.name.as_str())));
        format!("{number}{head} {} {}", lark::arguments(tool, rules), lark::literal(behind))
    }
}

/// Passes over `tag` and white space before it; whether it was there. None: it may still come.
fn pass(tag: &str, answer: &mut Answer<'_>) -> Option<bool> {
    let mut reader = answer.reader();
    reader.space();
    match reader.literal(tag) {
        Ok(()) => {
            let bytes = reader.at();
            answer.skip(bytes);
            Some(true)
        }
        Err(Miss::Short) => None,
        Err(Miss::Wrong) => Some(false),
    }
}

/// Reads `tag` and what stands behind it up to the first call: a list's beginning, and a fence around it, may be absent.
fn opening(tag: &str, mut reader: Reader<'_>) -> Result<usize, Miss> {
    reader.literal(tag)?;
    reader.space();
    for optional in ["```json", "```", "["] {
        match reader.literal(optional) {
            Err(Miss::Short) => return Err(Miss::Short),
            _ => reader.space(),
        }
    }
    let bytes = reader.at();
    reader.literal("{")?;
    Ok(bytes)
}

/// What [`opening`] takes for the beginning of calls, as a regular expression: the tag by itself may be a word.
fn shape(tag: &str) -> String {
    format!("{}\\s*(```json)?\\s*(```)?\\s*\\[?\\s*\\{{", lark::regex(tag))
}
