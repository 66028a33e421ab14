//! The messages of a chat, with every form of content flattened to text: a template sees the same conversation
//! however a client wrote it down, so that a worker finds its prefix again.

use impetus_proto::{Error, worker::Message};
use serde_json::value::RawValue;

use super::{
    field::{Fields, elements, kind, wrong_type},
    ignored::Ignored,
    parameter::unsupported,
};

/// The most messages of a chat.
const MAX_MESSAGES: usize = 16_384;

/// The most parts or tool calls of a message.
const MAX_PARTS: usize = 4096;

/// Between two text parts of one message.
const PART_SEPARATOR: &str = "\n";

/// Takes `messages`.
pub(super) fn messages(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Vec<Message>, Error> {
    let Some(value) = fields.raw("messages") else {
        return Err(Error::invalid(
            "messages",
            "messages is missing; it must be an array of at least one message",
        ));
    };
    let values = elements(value, "messages", "an array of messages", MAX_MESSAGES)?;
    if values.is_empty() {
        return Err(Error::invalid("messages", "messages is empty; it must have at least one message"));
    }
    values
        .into_iter()
        .enumerate()
        .map(|(i, value)| message(value, format!("messages[{i}]"), ignored))
        .collect()
}

fn message(value: &RawValue, path: String, ignored: &mut Ignored) -> Result<Message, Error> {
    let mut fields = Fields::of(value, path)?;
    let role = role(&mut fields)?;
    let content = content(&mut fields, ignored)?;
    for name in ["audio", "function_call"] {
        if fields.raw(name).is_some() {
            let path = fields.path_of(name);
            return Err(unsupported(path, format!("{name} in a message is not supported by this server")));
        }
    }
    // What a model refused with is what it said.
    let refusal = fields.text("refusal")?;
    let message = Message {
        role,
        content: content.or(refusal).unwrap_or_default(),
        name: fields.text("name")?.unwrap_or_default(),
        tool_call_id: fields.text("tool_call_id")?.unwrap_or_default(),
        tool_calls_json: tool_calls(&mut fields)?,
        ..Message::default()
    };
    ignored.add("messages.", &fields);
    Ok(message)
}

fn role(fields: &mut Fields<'_>) -> Result<String, Error> {
    let path = fields.path_of("role");
    match fields.text("role")?.as_deref() {
        Some("developer") => Ok("system".to_owned()),
        Some(role @ ("system" | "user" | "assistant" | "tool")) => Ok(role.to_owned()),
        Some("function") => {
            Err(unsupported(path, "the role function is not supported by this server; use the role tool"))
        }
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

fn content(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Option<String>, Error> {
    let path = fields.path_of("content");
    let Some(value) = fields.raw("content") else { return Ok(None) };
    let expected = "a string or an array of parts";
    match kind(value) {
        "a string" => serde_json::from_str(value.get())
            .map(Some)
            .map_err(|_| wrong_type(path, "a string of Unicode text", value)),
        "an array" => {
            let texts = elements(value, &path, expected, MAX_PARTS)?
                .into_iter()
                .enumerate()
                .map(|(j, part)| text_of(part, format!("{path}[{j}]"), ignored))
                .collect::<Result<Vec<_>, _>>()?;
            Ok(Some(texts.join(PART_SEPARATOR)))
        }
        _ => Err(wrong_type(path, expected, value)),
    }
}

fn text_of(part: &RawValue, path: String, ignored: &mut Ignored) -> Result<String, Error> {
    let mut fields = Fields::of(part, path)?;
    let type_path = fields.path_of("type");
    let kind = fields.text("type")?;
    let field = match kind.as_deref() {
        Some("text") => "text",
        Some("refusal") => "refusal",
        Some(media @ ("image_url" | "input_audio" | "file" | "video_url" | "audio_url")) => {
            let message =
                format!("{type_path} {media:?} is not supported by this server; it reads text only");
            return Err(unsupported(type_path, message));
        }
        _ => {
            let message = format!("{type_path} must be \"text\" or \"refusal\"");
            return Err(Error::invalid(type_path, message));
        }
    };
    let text = fields.text(field)?.ok_or_else(|| {
        let path = fields.path_of(field);
        let message = format!("{path} is missing; it must be a string");
        Error::invalid(path, message)
    })?;
    ignored.add("messages.content.", &fields);
    Ok(text)
}

/// The calls of an assistant's message, checked as far as templates rely on them and passed on as they are.
fn tool_calls(fields: &mut Fields<'_>) -> Result<String, Error> {
    let path = fields.path_of("tool_calls");
    let Some(value) = fields.raw("tool_calls") else { return Ok(String::new()) };
    let calls = elements(value, &path, "an array of tool calls", MAX_PARTS)?;
    if calls.is_empty() {
        return Ok(String::new());
    }
    for (j, call) in calls.into_iter().enumerate() {
        let mut call = Fields::of(call, format!("{path}[{j}]"))?;
        let function_path = call.path_of("function");
        let function = call.raw("function").ok_or_else(|| {
            let message = format!("{function_path} is missing; it must be an object with name and arguments");
            Error::invalid(function_path.as_str(), message)
        })?;
        let mut function = Fields::of(function, function_path)?;
        for name in ["name", "arguments"] {
            if function.text(name)?.is_none() {
                let path = function.path_of(name);
                let message = format!("{path} is missing; it must be a string");
                return Err(Error::invalid(path, message));
            }
        }
    }
    Ok(value.get().to_owned())
}
