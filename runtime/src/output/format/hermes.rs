//! Hermes, Qwen 2.5, Qwen 3 and many others: `<tool_call>` around a JSON object with a name and arguments.

use std::fmt::Write;

use super::{
    Beginning, Format, Parser, Rules, Tags,
    buffer::{Buffer, Found},
    call::{CallReader, Read, USUAL},
    choice::Template,
    lark,
    speech::Speech,
    thought::{THINK, Thought},
};
use crate::output::Part;

const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hermes;

struct HermesParser {
    buffer: Buffer,
    speech: Speech,
    thought: Thought,
    state: State,
    has_tools: bool,
}

enum State {
    Text,
    /// Behind the opening tag.
    Call(CallReader),
    /// Behind a call: its closing tag, or another call.
    Closing,
}

impl Hermes {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has(OPEN) && !template.has("<function=") && !template.has("<arg_key>")
    }
}

impl Format for Hermes {
    fn name(&self) -> &'static str {
        "hermes"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &[OPEN, CLOSE, "<think>", "</think>"]
    }

    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser> {
        let mut speech = Speech::default();
        let thought = Thought::new(THINK, beginning, &mut speech);
        let has_tools = !beginning.tools.is_empty();
        Box::new(HermesParser { buffer: Buffer::default(), speech, thought, state: State::Text, has_tools })
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        let mut grammar = THINK.lark(beginning, tags);
        if rules.tools.is_empty() {
            let content = rules.content.as_ref()?;
            return Some(format!("start: thought content\n{grammar}{content}"));
        }
        let (open, close) = (tags.lark(OPEN), tags.lark(CLOSE));
        let functions: Vec<String> = rules.tools.iter().map(|tool| function(tool, rules)).collect();
        let function = functions.join(" | ");
        writeln!(grammar, "rest: \"\\n\" ({function}) \"\\n\" {close}\ncall: {open} rest").ok()?;
        let between = lark::literal("\n");
        let calls = lark::calls("call", &between, rules);
        let start = match (&rules.content, rules.required) {
            (_, true) => format!("start: thought {calls}\n"),
            (Some(content), false) => format!("start: thought (content | {calls})\n{content}"),
            (None, false) => {
                let text = lark::text("TEXT", &[OPEN], &["<think>"], tags);
                let lead = lark::through("lead", OPEN, tags);
                let more = if rules.single { "lead rest" } else { "(lead rest)+ TEXT" };
                format!("start: thought (TEXT | {more})\n{text}{lead}")
            }
        };
        Some(start + &grammar)
    }
}

/// The object of a call.
fn function(tool: &super::Tool, rules: &Rules) -> String {
    let name = serde_json::Value::from(tool.name.as_str());
    let head = lark::literal(&format!("{{\"name\": {name}, \"arguments\": "));
    format!("{head} {} \"}}\"", lark::arguments(tool, rules))
}

impl HermesParser {
    fn read(&mut self, parts: &mut Vec<Part>, last: bool) {
        let Self { buffer, speech, thought, state, has_tools } = self;
        if !thought.read(buffer, speech, parts, last) {
            return;
        }
        if !*has_tools {
            return speech.exact_text(buffer.take_all(), parts);
        }
        loop {
            let next = match state {
                State::Text => match buffer.find(&[OPEN], last) {
                    Found::Free(bytes) => return speech.text(buffer.take(bytes), parts),
                    Found::Tag { at, .. } => {
                        speech.text(buffer.take(at), parts);
                        buffer.take(OPEN.len());
                        State::Call(CallReader::new(USUAL))
                    }
                },
                State::Call(reader) => {
                    let read = match reader.read(buffer, speech, parts) {
                        Read::More if last => reader.finish(speech, parts),
                        read => read,
                    };
                    match read {
                        Read::More => return,
                        Read::Over => State::Closing,
                        Read::NoCall(text) => {
                            speech.text(OPEN, parts);
                            speech.text(&text, parts);
                            State::Text
                        }
                    }
                }
                State::Closing => {
                    if !buffer.skip_space() {
                        return;
                    }
                    match buffer.take_tag(CLOSE, last) {
                        None => return,
                        Some(false) if buffer.rest().starts_with('{') => State::Call(CallReader::new(USUAL)),
                        Some(_) => State::Text,
                    }
                }
            };
            *state = next;
        }
    }
}

impl Parser for HermesParser {
    fn push(&mut self, text: &str, parts: &mut Vec<Part>) {
        self.buffer.push(text);
        self.read(parts, false);
    }

    fn finish(&mut self, parts: &mut Vec<Part>) {
        self.read(parts, true);
        self.speech.finish(parts);
    }

    fn is_reasoning(&self) -> bool {
        self.thought.is_reasoning()
    }

    fn end_of_reasoning(&self) -> Option<&'static str> {
        self.thought.end()
    }
}
