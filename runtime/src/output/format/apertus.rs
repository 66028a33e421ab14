//! Apertus: a JSON list between control tokens, of objects whose one member is named like the function.

use std::fmt::Write;

use super::{
    Beginning, Format, Parser, Rules, Tags, Tool,
    body::{Answer, Body, Calls, Whole},
    choice::Template,
    json::{Extent, Place},
    lark,
    reader::{Miss, Reader},
    thought::Block,
};

const OPEN: &str = "<|tools_prefix|>";
const CLOSE: &str = "<|tools_suffix|>";

const THOUGHT: Block = Block { open: "<|inner_prefix|>", close: "<|inner_suffix|>", end: "<|inner_suffix|>" };

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(super) struct Apertus;

/// Takes an answer with such calls apart.
#[derive(Debug)]
enum List {
    Text,
    Arguments(Extent),
    /// Behind arguments.
    Behind,
}

/// The longest name, in bytes. What is longer is no name.
const MAX_NAME_BYTES: usize = 256;

impl Apertus {
    /// Whether a template shows calls like this.
    pub(super) fn detects(template: &Template<'_>) -> bool {
        template.has(OPEN)
    }
}

impl Format for Apertus {
    fn name(&self) -> &'static str {
        "apertus"
    }

    fn control_tokens(&self) -> &'static [&'static str] {
        &[OPEN, CLOSE, "<|inner_prefix|>", "<|inner_suffix|>"]
    }

    fn parser(&self, beginning: &Beginning) -> Box<dyn Parser> {
        Whole::parser(THOUGHT, beginning, List::Text)
    }

    fn grammar(&self, rules: &Rules, beginning: &Beginning, tags: &Tags) -> Option<String> {
        let function = |tool: &Tool| {
            let head = lark::literal(&format!("{{{}: ", serde_json::Value::from(tool.name.as_str())));
            format!("{head} {} \"}}\"", lark::arguments(tool, rules))
        };
        let functions: Vec<String> = rules.tools.iter().map(function).collect();
        let calls = lark::calls("function", &lark::literal(", "), rules);
        let mut rest = format!("rest: \"[\" {calls} \"]\" {}\n", tags.lark(CLOSE));
        writeln!(rest, "function: {}", functions.join(" | ")).ok()?;
        let thought = THOUGHT.lark(beginning, tags);
        Calls { open: OPEN, around: None, between: None, direct: false, rest, shapes: Vec::new() }
            .grammar(&thought, rules, tags)
    }
}

impl List {
    /// What stands here; none if more has to come first.
    fn step(&mut self, answer: &mut Answer<'_>) -> Option<Self> {
        match self {
            Self::Text => {
                answer.text_before(&[OPEN])?;
                match Self::begin(OPEN, answer) {
                    Err(Miss::Wrong) => {
                        answer.text(OPEN.len());
                        Some(Self::Text)
                    }
                    next => next.ok(),
                }
            }
            Self::Arguments(extent) => {
                let rest = answer.buffer.rest();
                let end = rest.bytes().enumerate().find_map(|(at, byte)| match extent.push(byte) {
                    Place::Within => None,
                    Place::Last => Some(at + 1),
                    Place::Behind | Place::Wrong => Some(at),
                });
                let piece = answer.buffer.take(end.unwrap_or(rest.len())).to_owned();
                answer.arguments(&piece);
                end.map(|_| Self::Behind)
            }
            Self::Behind => {
                let mut reader = Reader::new(answer.buffer.rest(), false);
                reader.space();
                match reader.one_of(&["}", "]", CLOSE, ","]) {
                    Ok(which @ 0..3) => {
                        let bytes = reader.at();
                        answer.skip(bytes);
                        Some(if which < 2 { Self::Behind } else { Self::Text })
                    }
                    Ok(_) => match Self::begin(",", answer) {
                        Err(Miss::Wrong) => Some(Self::Text),
                        next => next.ok(),
                    },
                    Err(Miss::Short) => None,
                    Err(Miss::Wrong) => Some(Self::Text),
                }
            }
        }
    }

    /// Begins the call behind `mark`, if there is one.
    fn begin(mark: &str, answer: &mut Answer<'_>) -> Result<Self, Miss> {
        let mut reader = answer.reader();
        reader.space();
        reader.literal(mark)?;
        reader.space();
        if mark == OPEN {
            reader.literal("[")?;
            reader.space();
        }
        reader.literal("{")?;
        reader.space();
        reader.literal("\"")?;
        let name = reader.until(&['"', '\\', '\n'], MAX_NAME_BYTES)?.to_owned();
        reader.literal("\"")?;
        reader.space();
        reader.literal(":")?;
        reader.space();
        let bytes = reader.at();
        reader.literal("{")?;
        answer.skip(bytes);
        answer.call(&name, "");
        Ok(Self::Arguments(Extent::default()))
    }
}

impl Body for List {
    fn read(&mut self, answer: &mut Answer<'_>) {
        while let Some(state) = self.step(answer) {
            *self = state;
        }
    }
}
