//! The messages of a chat.

use std::collections::VecDeque;

use impetus_proto::{Error, worker::Message};
use serde_json::value::RawValue;

use super::preset::Preset;
use crate::dialect::{
    call::{Call, calls_json},
    field::{Fields, kind, wrong_type},
    ignored::Ignored,
    parameter::unsupported,
};

/// The most messages of a chat, and calls of a message.
const MAX_MESSAGES: usize = 16_384;
const MAX_CALLS: usize = 4096;

const ROLES: &[&str] = &["system", "user", "assistant", "tool"];

/// Calls that no message has answered yet.
type Unanswered = VecDeque<Call>;

/// Takes `messages`; `None` when there are none.
pub(super) fn take(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Option<Vec<Message>>, Error> {
    let values = fields.array("messages", "an array of messages", MAX_MESSAGES)?.unwrap_or_default();
    let mut unanswered = Unanswered::new();
    let messages = values
        .into_iter()
        .enumerate()
        .map(|(i, value)| message(value, i, &mut unanswered, ignored))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((!messages.is_empty()).then_some(messages))
}

/// What the preset says first, then `messages`. Its system prompt counts where they do not begin with one.
pub(super) fn after_preset(preset: Option<&Preset>, messages: Vec<Message>) -> Vec<Message> {
    let Some(preset) = preset else { return messages };
    let mut rest = messages.into_iter().peekable();
    let own = rest.next_if(|first| first.role == "system");
    let system = own.or_else(|| preset.system.as_deref().map(|system| of("system", system)));
    let first = preset.messages.iter().map(|(role, content)| of(role, content));
    system.into_iter().chain(first).chain(rest).collect()
}

/// A message that is text alone.
pub(super) fn of(role: &str, content: &str) -> Message {
    Message { role: role.to_owned(), content: content.to_owned(), ..Message::default() }
}

/// Whether the last message is a beginning that the answer continues.
pub(super) fn continues_last(messages: &[Message]) -> bool {
    messages.last().is_some_and(|last| {
        last.role == "assistant"
            && last.tool_calls_json.is_empty()
            && !(last.content.is_empty() && last.reasoning.is_empty())
    })
}

/// Takes `images`, of which there must be none.
pub(super) fn refuse_images(fields: &mut Fields<'_>) -> Result<(), Error> {
    let path = fields.path_of("images");
    let n_images = fields.array("images", "an array of images", MAX_CALLS)?.unwrap_or_default().len();
    if n_images == 0 {
        return Ok(());
    }
    let message = format!("{path} is not supported by this server, which reads text only; leave it out");
    Err(unsupported(path, message))
}

fn message(
    value: &RawValue,
    i: usize,
    unanswered: &mut Unanswered,
    ignored: &mut Ignored,
) -> Result<Message, Error> {
    let mut fields = Fields::of(value, format!("messages[{i}]"))?;
    let path = fields.path_of("role");
    let role = fields.word("role", ROLES)?.ok_or_else(|| {
        let message = format!("{path} is missing; it must be one of {}", ROLES.join(", "));
        Error::invalid(path, message)
    })?;
    let content = fields.text("content")?.unwrap_or_default();
    let reasoning = fields.text("thinking")?.unwrap_or_default();
    refuse_images(&mut fields)?;
    let calls = calls(&mut fields, i, ignored)?;
    let name = fields.text("tool_name")?.or(fields.text("name")?).unwrap_or_default();
    let id = fields.text("tool_call_id")?.unwrap_or_default();
    let tool_call_id = if role == "tool" { answered(unanswered, id, &name) } else { id };
    ignored.add("messages.", &fields);
    let tool_calls_json = calls_json(&calls)?;
    unanswered.extend(calls);
    Ok(Message { role: role.to_owned(), content, name, tool_call_id, tool_calls_json, reasoning })
}

/// The id of the call that a tool's message answers: the one that it names, else that of the first call of that tool that
/// nothing has answered, else that of the first of all.
fn answered(unanswered: &mut Unanswered, id: String, tool: &str) -> String {
    let place = if id.is_empty() {
        unanswered.iter().position(|call| call.name == tool).unwrap_or(0)
    } else {
        unanswered.iter().position(|call| call.id == id).unwrap_or(usize::MAX)
    };
    unanswered.remove(place).map_or(id, |call| call.id)
}

/// Takes `tool_calls` of the message `i`.
fn calls(fields: &mut Fields<'_>, i: usize, ignored: &mut Ignored) -> Result<Vec<Call>, Error> {
    let path = fields.path_of("tool_calls");
    let values = fields.array("tool_calls", "an array of tool calls", MAX_CALLS)?.unwrap_or_default();
    values
        .into_iter()
        .enumerate()
        .map(|(j, value)| {
            let mut call = Fields::of(value, format!("{path}[{j}]"))?;
            // Nine letters and digits are what every template takes.
            let id = call.text("id")?.unwrap_or_else(|| format!("c{:04}{:04}", i % 10_000, j % 10_000));
            call.raw("type");
            let path = call.path_of("function");
            let mut function = call.object("function")?.ok_or_else(|| {
                let message = format!("{path} is missing; it must be an object with name and arguments");
                Error::invalid(path, message)
            })?;
            ignored.add("messages.tool_calls.", &call);
            of_function(id, &mut function, ignored)
        })
        .collect()
}

fn of_function(id: String, function: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Call, Error> {
    let path = function.path_of("name");
    let name = function.text("name")?.ok_or_else(|| {
        let message = format!("{path} is missing; it must be a string");
        Error::invalid(path, message)
    })?;
    let path = function.path_of("arguments");
    function.note("arguments", || serde_json::json!({"type": "object"}));
    let arguments = match function.raw("arguments") {
        None => "{}".to_owned(),
        Some(value) if kind(value) == "an object" => value.get().to_owned(),
        // What OpenAI's clients have.
        Some(value) => serde_json::from_str(value.get()).map_err(|_| wrong_type(path, "an object", value))?,
    };
    function.raw("index");
    ignored.add("messages.tool_calls.function.", function);
    Ok(Call { id, name, arguments })
}

#[cfg(test)]
mod tests;
