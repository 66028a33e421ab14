//! The messages of a chat, with every form of content flattened to text: a template sees the same conversation
//! however a client wrote it down, so that a worker finds its prefix again.

use impetus_proto::{Error, worker::Message};
use serde_json::value::RawValue;

use super::parameter::unsupported;
use crate::dialect::{call::calls_json, field::Fields, ignored::Ignored};

mod call;
mod content;

pub(super) use content::{content, flattened};

/// The most messages of a chat.
const MAX_MESSAGES: usize = 16_384;

/// The most parts or tool calls of a message.
const MAX_PARTS: usize = 4096;

/// Takes `messages`.
pub(super) fn messages(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Vec<Message>, Error> {
    let Some(values) = fields.array("messages", "an array of messages", MAX_MESSAGES)? else {
        return Err(Error::invalid(
            "messages",
            "messages is missing; it must be an array of at least one message",
        ));
    };
    if values.is_empty() {
        return Err(Error::invalid("messages", "messages is empty; it must have at least one message"));
    }
    let mut messages: Vec<Message> = Vec::with_capacity(values.len());
    // Of the last `function_call`, which is what a message of the role function answers.
    let mut last_call = String::new();
    for (i, value) in values.into_iter().enumerate() {
        messages.push(message(value, i, &mut last_call, ignored)?);
    }
    Ok(messages)
}

fn message(
    value: &RawValue,
    i: usize,
    last_call: &mut String,
    ignored: &mut Ignored,
) -> Result<Message, Error> {
    let mut fields = Fields::of(value, format!("messages[{i}]"))?;
    let (role, is_function) = role(&mut fields)?;
    let said = content(&mut fields, ignored)?;
    if fields.raw("audio").is_some() {
        let path = fields.path_of("audio");
        return Err(unsupported(path, "audio in a message is not supported by this server"));
    }
    // What a model refused with is what it said.
    let refusal = fields.text("refusal")?;
    // Each of the two is somebody's name for it.
    let thought = [fields.text("reasoning_content")?, fields.text("reasoning")?];
    let mut calls = call::calls(&mut fields, ignored)?;
    if let Some(call) = call::function_call(&mut fields, i)? {
        call.id.clone_into(last_call);
        calls.push(call);
    }
    let mut tool_call_id = fields.text("tool_call_id")?.unwrap_or_default();
    if is_function && tool_call_id.is_empty() {
        last_call.clone_into(&mut tool_call_id);
    }
    let message = Message {
        role,
        content: said.text.or(refusal).unwrap_or_default(),
        name: fields.text("name")?.unwrap_or_default(),
        tool_call_id,
        tool_calls_json: calls_json(&calls)?,
        reasoning: thought.into_iter().flatten().next().unwrap_or(said.reasoning),
    };
    ignored.add("messages.", &fields);
    Ok(message)
}

/// The role as templates know it, and whether it is the one that `tool` replaced.
fn role(fields: &mut Fields<'_>) -> Result<(String, bool), Error> {
    let path = fields.path_of("role");
    match fields.text("role")?.as_deref() {
        Some("developer") => Ok(("system".to_owned(), false)),
        Some("function") => Ok(("tool".to_owned(), true)),
        Some(role @ ("system" | "user" | "assistant" | "tool")) => Ok((role.to_owned(), false)),
        Some(role) => {
            let role: String = role.chars().take(32).collect();
            let message = format!("{path} must be system, developer, user, assistant or tool, not {role:?}");
            Err(Error::invalid(path, message))
        }
        None => {
            let message = format!("{path} is missing; it must be system, developer, user, assistant or tool");
            Err(Error::invalid(path, message))
        }
    }
}

#[cfg(test)]
mod tests;
