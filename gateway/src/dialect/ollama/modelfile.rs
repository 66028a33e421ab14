//! Modelfiles: the instructions by which a model is made of another one. The text is read line by line; instructions are
//! known in any case, and a value that begins with a quotation mark goes on until there is another one at the end of a
//! line.

mod text;
mod written;

use serde_json::{Map, Value};

pub(super) use written::written;

use super::parameter;
use text::Lines;

/// The longest Modelfile, in bytes.
const MAX_BYTES: usize = 1 << 20;

/// The most instructions of one.
const MAX_INSTRUCTIONS: usize = 4096;

/// Who may speak before a request does.
pub(super) const ROLES: [&str; 3] = ["system", "user", "assistant"];

/// What a Modelfile says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Modelfile {
    /// As it is written: a model's name, or a file that was sent.
    pub(super) from: Option<String>,
    pub(super) system: Option<String>,
    pub(super) template: Option<String>,
    pub(super) messages: Vec<(String, String)>,
    /// As the `options` of a request.
    pub(super) options: Map<String, Value>,
    pub(super) license: Vec<String>,
}

/// Why a Modelfile is none. Lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ModelfileError {
    #[error("the Modelfile is longer than {MAX_BYTES} bytes")]
    TooLong,
    #[error("the Modelfile has more than {MAX_INSTRUCTIONS} instructions")]
    TooMany,
    #[error(
        "line {line} of the Modelfile: there is no instruction {word:?}; there are FROM, PARAMETER, TEMPLATE, SYSTEM, \
         MESSAGE and LICENSE"
    )]
    NoInstruction { line: usize, word: String },
    #[error("line {line} of the Modelfile: {word} has no value behind it")]
    NoValue { line: usize, word: &'static str },
    #[error(
        "line {line} of the Modelfile: the text that begins here with {quote} has no {quote} at the end of a line"
    )]
    Open { line: usize, quote: &'static str },
    #[error("line {line} of the Modelfile: there is one {word} already; leave one of them out")]
    Twice { line: usize, word: &'static str },
    #[error("line {line} of the Modelfile: the role of a MESSAGE is system, user or assistant, not {role:?}")]
    Role { line: usize, role: String },
    #[error("line {line} of the Modelfile: {why}")]
    Parameter { line: usize, why: String },
    #[error("line {line} of the Modelfile: {word} is not supported: {why}")]
    Unsupported { line: usize, word: &'static str, why: &'static str },
    #[error("the Modelfile has no FROM; it says which model the new one is made of")]
    NoFrom,
}

/// Instructions, by the words for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    From,
    Parameter,
    Template,
    System,
    Message,
    License,
    /// Known, and refused for this reason.
    Refused(&'static str, &'static str),
}

impl Modelfile {
    /// What this text says.
    pub(super) fn read(text: &str) -> Result<Self, ModelfileError> {
        if text.len() > MAX_BYTES {
            return Err(ModelfileError::TooLong);
        }
        let mut modelfile = Self::default();
        let mut lines = Lines::new(text.trim_start_matches('\u{feff}'));
        let mut n_instructions = 0;
        while let Some((line, text)) = lines.next_said() {
            n_instructions += 1;
            if n_instructions > MAX_INSTRUCTIONS {
                return Err(ModelfileError::TooMany);
            }
            let (word, rest) = split(text);
            let word =
                Word::read(word).ok_or_else(|| ModelfileError::NoInstruction { line, word: short(word) })?;
            modelfile.follow(word, line, rest, &mut lines)?;
        }
        if modelfile.from.is_none() { Err(ModelfileError::NoFrom) } else { Ok(modelfile) }
    }

    fn follow<'a>(
        &mut self,
        word: Word,
        line: usize,
        rest: &'a str,
        lines: &mut Lines<'a>,
    ) -> Result<(), ModelfileError> {
        let name = word.name();
        if rest.is_empty() {
            return Err(ModelfileError::NoValue { line, word: name });
        }
        match word {
            Word::Refused(word, why) => return Err(ModelfileError::Unsupported { line, word, why }),
            Word::From => once(&mut self.from, lines.value(line, rest)?, line, name)?,
            Word::System => once(&mut self.system, lines.value(line, rest)?, line, name)?,
            Word::Template => once(&mut self.template, lines.value(line, rest)?, line, name)?,
            Word::License => self.license.push(lines.value(line, rest)?),
            Word::Message => {
                let (role, rest) = split(rest);
                let role = role.to_ascii_lowercase();
                if !ROLES.contains(&&*role) {
                    return Err(ModelfileError::Role { line, role: short(&role) });
                }
                if rest.is_empty() {
                    return Err(ModelfileError::NoValue { line, word: name });
                }
                self.messages.push((role, lines.value(line, rest)?));
            }
            Word::Parameter => {
                let (parameter, rest) = split(rest);
                if rest.is_empty() {
                    return Err(ModelfileError::NoValue { line, word: name });
                }
                let value = lines.value(line, rest)?;
                let set = parameter::set(&mut self.options, &parameter.to_ascii_lowercase(), &value);
                set.map_err(|error| ModelfileError::Parameter { line, why: error.message })?;
            }
        }
        Ok(())
    }
}

impl Word {
    fn read(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "from" => Self::From,
            "parameter" => Self::Parameter,
            "template" => Self::Template,
            "system" => Self::System,
            "message" => Self::Message,
            "license" => Self::License,
            "adapter" => {
                Self::Refused("ADAPTER", "this server applies no adapters; merge it into the model first")
            }
            "renderer" => {
                Self::Refused("RENDERER", "prompts are made by the template in the model's own file")
            }
            "parser" => Self::Refused("PARSER", "answers are taken apart as the model's own template tells"),
            "requires" => Self::Refused("REQUIRES", "it names a version of another server; leave it out"),
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::From => "FROM",
            Self::Parameter => "PARAMETER",
            Self::Template => "TEMPLATE",
            Self::System => "SYSTEM",
            Self::Message => "MESSAGE",
            Self::License => "LICENSE",
            Self::Refused(name, _) => name,
        }
    }
}

fn once(
    place: &mut Option<String>,
    value: String,
    line: usize,
    word: &'static str,
) -> Result<(), ModelfileError> {
    if place.is_some() {
        return Err(ModelfileError::Twice { line, word });
    }
    *place = Some(value);
    Ok(())
}

/// The first word, and what follows the blanks behind it.
fn split(text: &str) -> (&str, &str) {
    match text.split_once([' ', '\t']) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text.trim_end(), ""),
    }
}

/// As much of a word as a message shows.
fn short(word: &str) -> String {
    word.chars().take(32).collect()
}

#[cfg(test)]
mod tests;
