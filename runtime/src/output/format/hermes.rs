//! Hermes, Qwen 2.5, Qwen 3 and many others: `<tool_call>` around a JSON object with a name and arguments.

use super::{
    Beginning, Format, Parser, Rules, Tags,
    body::{Answer, Body, Calls, Whole},
    call::{self, CallReader, Read, USUAL},
    choice::Template,
    thought::THINK,
};

const OPEN: &str = "<tool_call>";
const CLOSE: &str = "</tool_call>";

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hermes;

#[derive(Debug, Default)]
enum State {
    #[default]
    Text,
    /// Behind the opening tag.
    Call(Box<CallReader>),
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
        Whole::parser(THINK, beginning, State::Text)
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        let objects = call::objects(rules, "{\"name\": ", ", \"arguments\": ", "}");
        let rest = format!("rest: \"\\n\" ({objects}) \"\\n\" {}\n", tags.lark(CLOSE));
        Calls { open: OPEN, around: None, between: Some("\n"), direct: false, rest, shapes: Vec::new() }
            .grammar(&THINK.lark(beginning, tags), rules, tags)
    }
}

impl State {
    fn call() -> Self {
        Self::Call(Box::new(CallReader::new(USUAL)))
    }
}

impl Body for State {
    fn read(&mut self, answer: &mut Answer<'_>) {
        loop {
            *self = match self {
                Self::Text => {
                    if answer.text_before(&[OPEN]).is_none() {
                        return;
                    }
                    answer.skip(OPEN.len());
                    Self::call()
                }
                Self::Call(reader) => match answer.read_call(reader) {
                    Read::More => return,
                    Read::Over => Self::Closing,
                    Read::NoCall(text) => {
                        answer.say(OPEN);
                        answer.say(&text);
                        Self::Text
                    }
                },
                Self::Closing => {
                    if !answer.buffer.skip_space() {
                        return;
                    }
                    match answer.buffer.take_tag(CLOSE, answer.last) {
                        None => return,
                        Some(false) if answer.buffer.rest().starts_with('{') => Self::call(),
                        Some(_) => Self::Text,
                    }
                }
            };
        }
    }
}
