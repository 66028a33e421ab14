//! A conversation as a template wants it: instructions first, then turns. What was said the same way in another form is the
//! same here, so that a worker finds its prefix again: text in one block or as a string, our own answers given back, and
//! without the line that a client changes from one run to the next.

use std::collections::{BTreeSet, HashMap};

use impetus_proto::{Error, worker::Message};
use serde_json::value::RawValue;

use super::block::{self, Block, Blocks};
use crate::dialect::{
    call::{Call, calls_json},
    field::Fields,
    ignored::Ignored,
};

/// The most messages of a conversation.
const MAX_MESSAGES: usize = 16_384;

/// Between texts that are not the assistant's.
const SEPARATOR: &str = "\n";

/// How a block begins in which Claude Code says what it is billed by. It changes with every run, and no model is meant.
const BILLING: &str = "x-anthropic-billing-header:";

/// What becomes of a result that is an error.
const FAILED: &str = "Error: ";

/// A conversation, understood.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Conversation {
    pub(super) messages: Vec<Message>,
    /// The last message is the beginning of the answer.
    pub(super) continue_last: bool,
    /// Names of tools that a search has found.
    pub(super) found: BTreeSet<String>,
}

/// A conversation that is being read.
#[derive(Debug, Default)]
struct Turns {
    /// Instructions from before the first answer.
    system: Vec<String>,
    messages: Vec<Message>,
    /// Of tools, by the ids of their calls.
    names: HashMap<String, String>,
    found: BTreeSet<String>,
    is_answered: bool,
}

/// Takes `system` and `messages`.
pub(super) fn take(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Conversation, Error> {
    let mut turns = Turns { system: system(fields, ignored)?, ..Turns::default() };
    let missing = "messages is missing; it must be an array of at least one message";
    let values = fields
        .array("messages", "an array of messages", MAX_MESSAGES)?
        .ok_or_else(|| Error::invalid("messages", missing))?;
    if values.is_empty() {
        return Err(Error::invalid("messages", "messages is empty; it must have at least one message"));
    }
    for (i, value) in values.into_iter().enumerate() {
        turns.message(value, format!("messages[{i}]"), ignored)?;
    }
    Ok(turns.end())
}

/// Takes `system`: a string, or blocks of text.
fn system(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Vec<String>, Error> {
    let Some(blocks) = block::take(fields, "system", ignored)? else { return Ok(Vec::new()) };
    let mut texts = Vec::with_capacity(blocks.0.len());
    for (path, block) in blocks.0 {
        let Block::Text(text) = block else { return Err(misplaced(&path, "system")) };
        if text.starts_with(BILLING) {
            ignored.name("system.", BILLING.trim_end_matches(':'));
        } else {
            texts.push(text);
        }
    }
    Ok(texts)
}

impl Turns {
    fn message(&mut self, value: &RawValue, path: String, ignored: &mut Ignored) -> Result<(), Error> {
        let mut fields = Fields::of(value, path)?;
        let path = fields.path_of("content");
        let role = fields.word("role", &["user", "assistant", "system"])?.ok_or_else(|| {
            let path = fields.path_of("role");
            Error::invalid(path.as_str(), format!("{path} is missing; it must be user or assistant"))
        })?;
        let Some(content) = block::take(&mut fields, "content", ignored)? else {
            let message = format!("{path} is missing; it must be a string or an array of blocks");
            return Err(Error::invalid(path, message));
        };
        ignored.add("messages.", &fields);
        match role {
            "assistant" => self.assistant(content, ignored),
            "system" => self.instruction(content),
            _ => self.user(content),
        }
    }

    /// What the user says, and what tools answer.
    fn user(&mut self, content: Blocks) -> Result<(), Error> {
        for (path, block) in content.0 {
            match block {
                Block::Text(text) => self.say(text),
                Block::Result { id, text, is_error, found } => {
                    self.found.extend(found);
                    let name = self.names.get(&id).cloned().unwrap_or_default();
                    let content = if is_error { format!("{FAILED}{text}") } else { text };
                    let (role, tool_call_id) = ("tool".to_owned(), own_id(id));
                    self.messages.push(Message { role, content, name, tool_call_id, ..Message::default() });
                }
                _ => return Err(misplaced(&path, "user")),
            }
        }
        Ok(())
    }

    /// Instructions in the midst of a conversation. Most templates take them at its beginning alone, where those stand that
    /// are there before the first answer; later ones would change what is computed already, and are said in the user's
    /// turn.
    fn instruction(&mut self, content: Blocks) -> Result<(), Error> {
        let mut texts = Vec::with_capacity(content.0.len());
        for (path, block) in content.0 {
            let Block::Text(text) = block else { return Err(misplaced(&path, "system")) };
            texts.push(text);
        }
        if self.is_answered {
            self.say(format!("<system>\n{}\n</system>", texts.join(SEPARATOR)));
        } else {
            self.system.append(&mut texts);
        }
        Ok(())
    }

    /// What we have said.
    fn assistant(&mut self, content: Blocks, ignored: &mut Ignored) -> Result<(), Error> {
        let mut message = Message { role: "assistant".to_owned(), ..Message::default() };
        let mut calls = Vec::new();
        for (path, block) in content.0 {
            match block {
                // Of one text, which thoughts and calls have cut.
                Block::Text(text) => message.content.push_str(&text),
                Block::Thought(Some(thought)) => message.reasoning.push_str(&thought),
                Block::Thought(None) => ignored.name("messages.content.", "thinking"),
                Block::Call(Call { id, name, arguments }) => {
                    self.names.insert(id.clone(), name.clone());
                    calls.push(Call { id: own_id(id), name, arguments });
                }
                Block::Result { .. } => return Err(misplaced(&path, "assistant")),
            }
        }
        message.tool_calls_json = calls_json(&calls)?;
        self.messages.push(message);
        self.is_answered = true;
        Ok(())
    }

    /// Text of the user, in the turn that is theirs.
    fn say(&mut self, text: String) {
        match self.messages.last_mut().filter(|last| last.role == "user") {
            Some(last) => {
                last.content.push_str(SEPARATOR);
                last.content.push_str(&text);
            }
            None => {
                self.messages.push(Message { role: "user".to_owned(), content: text, ..Message::default() });
            }
        }
    }

    fn end(mut self) -> Conversation {
        if !self.system.is_empty() {
            let (role, content) = ("system".to_owned(), self.system.join(SEPARATOR));
            self.messages.insert(0, Message { role, content, ..Message::default() });
        }
        let continue_last = self.messages.last().is_some_and(|last| {
            last.role == "assistant"
                && last.tool_calls_json.is_empty()
                && !(last.content.is_empty() && last.reasoning.is_empty())
        });
        Conversation { messages: self.messages, continue_last, found: self.found }
    }
}

/// The id of a call as the worker knows it.
fn own_id(id: String) -> String {
    id.strip_prefix(block::CALL_PREFIX).map(str::to_owned).unwrap_or(id)
}

fn misplaced(path: &str, role: &str) -> Error {
    Error::invalid(path, format!("{path} is a block that has no place in what the {role} says"))
}

#[cfg(test)]
mod tests;
