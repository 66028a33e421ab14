//! Gemma 4: `<|tool_call>call:f{x:1}<tool_call|>`, whose arguments are in a notation of its own; thought in a channel.

mod grammar;
mod notation;

use super::{
    Beginning, Format, Parser, Rules, Tags, Tool, Unenforced,
    body::{Answer, Body, Whole},
    choice::Template,
    reader::{Miss, Reader},
    thought::Block,
};
use notation::{Notation, Progress};

const OPEN: &str = "<|tool_call>";
const CLOSE: &str = "<tool_call|>";
/// Before and behind a string.
const QUOTE: &str = "<|\"|>";
/// Where the model expects an answer; it ends the turn.
const RESPONSE: &str = "<|tool_response>";

const THOUGHT: Block = Block { open: "<|channel>thought", close: "<channel|>", end: "\n<channel|>" };

/// The longest name, in bytes. What is longer is no name.
const MAX_NAME_BYTES: usize = 256;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gemma;

/// Takes an answer with such calls apart.
#[derive(Debug)]
struct Calls {
    /// Tags that begin something, calls last where there can be any.
    tags: &'static [&'static str],
    state: State,
}

#[derive(Debug)]
enum State {
    Text,
    Arguments(Notation),
    /// Behind arguments.
    Behind,
}

impl Gemma {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has(OPEN) && template.has("<|tool_response>")
    }
}

impl Format for Gemma {
    fn name(&self) -> &'static str {
        "gemma"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &[OPEN, CLOSE, QUOTE, RESPONSE, "<|channel>", "<channel|>"]
    }

    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser> {
        let tags: &[&str] = if beginning.tools.is_empty() { &[RESPONSE] } else { &[RESPONSE, OPEN] };
        Whole::always(THOUGHT, beginning, Calls { tags, state: State::Text })
    }

    fn unenforced(&self, tool: &Tool) -> Option<Unenforced> {
        grammar::unenforced(tool)
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        grammar::of(rules, &THOUGHT.lark(beginning, tags), tags)
    }
}

impl Calls {
    /// What stands here; none if more has to come first.
    fn step(&mut self, answer: &mut Answer<'_>) -> Option<State> {
        match &mut self.state {
            State::Text => {
                let tag = self.tags[answer.text_before(self.tags)?];
                if tag == RESPONSE {
                    answer.skip(tag.len());
                    return Some(State::Text);
                }
                match begin(answer.reader()) {
                    Ok((name, bytes)) => {
                        answer.skip(bytes);
                        answer.call(&name, "");
                        Some(State::Arguments(Notation::default()))
                    }
                    Err(Miss::Short) => None,
                    Err(Miss::Wrong) => {
                        answer.text(tag.len());
                        Some(State::Text)
                    }
                }
            }
            State::Arguments(notation) => {
                let mut json = String::new();
                let progress = notation.read(answer.buffer, &mut json, answer.last);
                answer.arguments(&json);
                match progress {
                    Progress::More => None,
                    Progress::Over => Some(State::Behind),
                    Progress::Wrong => Some(State::Text),
                }
            }
            State::Behind => {
                let mut reader = Reader::new(answer.buffer.rest(), false);
                reader.space();
                match reader.literal(CLOSE) {
                    Ok(()) => {
                        let bytes = reader.at();
                        answer.skip(bytes);
                    }
                    Err(Miss::Short) => return None,
                    Err(Miss::Wrong) => {}
                }
                Some(State::Text)
            }
        }
    }
}

impl Body for Calls {
    fn read(&mut self, answer: &mut Answer<'_>) {
        while let Some(state) = self.step(answer) {
            self.state = state;
        }
    }
}

/// The function that is called here, and the bytes before its arguments.
fn begin(mut reader: Reader<'_>) -> Result<(String, usize), Miss> {
    reader.literal(OPEN)?;
    reader.space();
    reader.literal("call:")?;
    let name = reader.until(&['{', '<', '\n'], MAX_NAME_BYTES)?.trim();
    let bytes = reader.at();
    reader.literal("{")?;
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(Miss::Wrong);
    }
    Ok((name.to_owned(), bytes))
}
