//! Harmony, of gpt-oss: messages with a channel each: `analysis` is thought, `commentary` with a recipient a call,
//! everything else text. `<|call|>` and `<|return|>` end the turn.

mod grammar;
mod header;

use super::{
    Beginning, Format, Parser, Rules, Tags,
    buffer::{Buffer, Found},
    choice::Template,
    reader::Reader,
    speech::Speech,
};
use crate::output::Part;
use header::Kind;

const START: &str = "<|start|>";
const CHANNEL: &str = "<|channel|>";
const CONSTRAIN: &str = "<|constrain|>";
const MESSAGE: &str = "<|message|>";
const END: &str = "<|end|>";
const CALL: &str = "<|call|>";
const RETURN: &str = "<|return|>";

/// Ends a message of thought and begins the next one.
const END_OF_THOUGHT: &str = "<|end|><|start|>assistant";

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Harmony;

struct HarmonyParser {
    buffer: Buffer,
    speech: Speech,
    state: State,
    /// What the last message was.
    last_kind: Option<Kind>,
    /// Functions can be called.
    has_tools: bool,
    /// Thought is said as text, tags and all.
    in_text: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    /// Before a message's text; here only after a tag that begins a header, or at the beginning.
    Header,
    /// In a message; whether anything was said of it.
    Message(Kind, bool),
    /// Behind a message.
    Between,
}

impl Harmony {
    /// Whether a template shows messages like these.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has("<|channel|>") && template.has("<|message|>")
    }
}

impl Format for Harmony {
    fn name(&self) -> &'static str {
        "harmony"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &[START, CHANNEL, CONSTRAIN, MESSAGE, END, CALL, RETURN]
    }

    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser> {
        Box::new(HarmonyParser {
            buffer: Buffer::default(),
            speech: Speech::default(),
            state: State::after(beginning),
            last_kind: None,
            has_tools: !beginning.tools.is_empty(),
            in_text: beginning.reasoning_in_text,
        })
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        grammar::of(rules, &State::after(beginning), tags)
    }
}

impl State {
    /// Where a prompt leaves off.
    fn after(beginning: &Beginning) -> Self {
        let tail = &beginning.prompt_tail;
        let message = tail.rfind(START).map(|at| &tail[at..]);
        match message.and_then(|message| message.split_once(MESSAGE)) {
            Some((header, _)) => Self::Message(Kind::of(header), true),
            None if message.is_none() && !beginning.continued.is_empty() => Self::Message(Kind::Text, true),
            None => Self::Header,
        }
    }
}

impl HarmonyParser {
    fn read(&mut self, parts: &mut Vec<Part>, last: bool) {
        while let Some(state) = self.step(parts, last) {
            self.state = state;
        }
    }

    /// What stands here; none if more has to come first.
    fn step(&mut self, parts: &mut Vec<Part>, last: bool) -> Option<State> {
        match &self.state {
            State::Header => self.header(parts, last),
            State::Message(kind, said) => {
                let (kind, said) = (kind.clone(), *said);
                self.message(kind, said, parts, last)
            }
            State::Between => {
                if !self.buffer.skip_space() {
                    return None;
                }
                Some(State::Header)
            }
        }
    }

    fn header(&mut self, parts: &mut Vec<Part>, last: bool) -> Option<State> {
        let rest = self.buffer.rest();
        match header::read(rest, last) {
            header::Read::Short => None,
            header::Read::Header(kind, bytes) => {
                let kind = match kind {
                    Kind::Call(_) if !self.has_tools => Kind::Text,
                    kind => kind,
                };
                let header = self.buffer.take(bytes).to_owned();
                self.begin(&kind, &header, parts);
                Some(State::Message(kind, false))
            }
            header::Read::NoHeader if rest.is_empty() => None,
            // It speaks without a header, or in one that never ends, whose tag is text then.
            header::Read::NoHeader => {
                let mut reader = Reader::new(rest, true);
                reader.space();
                let bytes = reader.one_of(&[START, CHANNEL]).map_or(0, |_| reader.at());
                self.speech.text(self.buffer.take(bytes), parts);
                Some(State::Message(Kind::Text, true))
            }
        }
    }

    fn begin(&mut self, kind: &Kind, header: &str, parts: &mut Vec<Part>) {
        match kind {
            Kind::Reasoning if self.in_text => self.speech.exact_text(header, parts),
            Kind::Call(name) => self.speech.call(name, "", parts),
            // Two messages of a kind are two paragraphs.
            Kind::Text if self.last_kind == Some(Kind::Text) => self.speech.text("\n\n", parts),
            Kind::Reasoning if self.last_kind == Some(Kind::Reasoning) => {
                self.speech.reasoning("\n\n", parts);
            }
            Kind::Text if self.in_text || self.last_kind.is_none() => {}
            Kind::Text | Kind::Reasoning => self.speech.turn(),
        }
        self.last_kind = Some(kind.clone());
    }

    fn message(&mut self, kind: Kind, said: bool, parts: &mut Vec<Part>, last: bool) -> Option<State> {
        const ENDS: [&str; 5] = [END, CALL, RETURN, START, CHANNEL];
        let (bytes, end) = match self.buffer.find(&ENDS, last) {
            Found::Free(bytes) => (bytes, None),
            Found::Tag { at, tag } => (at, Some(ENDS[tag])),
        };
        let piece = self.buffer.take(bytes).to_owned();
        match &kind {
            Kind::Text => self.speech.text(&piece, parts),
            Kind::Reasoning if self.in_text => self.speech.exact_text(&piece, parts),
            Kind::Reasoning => self.speech.reasoning(&piece, parts),
            Kind::Call(_) => self.speech.arguments(if said { &piece } else { piece.trim_start() }, parts),
        }
        let said = said || !piece.trim_start().is_empty();
        let Some(end) = end else {
            let moved = self.state != State::Message(kind.clone(), said);
            return moved.then_some(State::Message(kind, said));
        };
        if matches!(kind, Kind::Call(_)) && !said {
            self.speech.arguments("{}", parts);
        }
        if [START, CHANNEL].contains(&end) {
            return Some(State::Header);
        }
        let tag = self.buffer.take(end.len()).to_owned();
        if self.in_text && kind == Kind::Reasoning {
            self.speech.exact_text(&tag, parts);
        }
        Some(State::Between)
    }
}

impl Parser for HarmonyParser {
    fn push(&mut self, text: &str, parts: &mut Vec<Part>) {
        self.buffer.push(text);
        self.read(parts, false);
    }

    fn finish(&mut self, parts: &mut Vec<Part>) {
        self.read(parts, true);
        self.speech.finish(parts);
    }

    fn is_reasoning(&self) -> bool {
        matches!(self.state, State::Message(Kind::Reasoning, _))
    }

    fn end_of_reasoning(&self) -> Option<&'static str> {
        self.is_reasoning().then_some(END_OF_THOUGHT)
    }
}
