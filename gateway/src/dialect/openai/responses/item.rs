//! An item of a response's input: what it says to the model, and how it is kept.

use impetus_proto::Error;
use serde_json::{Map, Value, json, value::RawValue};

use super::{
    id,
    tool::{custom_arguments, flat_name},
};
use crate::dialect::{
    call::Call,
    field::{Fields, elements, kind, wrong_type},
    ignored::Ignored,
    openai::message::{content, flattened},
    thought,
};

/// The longest id of a client's own that is kept, in bytes.
const MAX_ID_BYTES: usize = 128;

/// The most parts of a thought.
const MAX_PARTS: usize = 4096;

/// What only OpenAI's own tools leave in a conversation: there is nothing in it that a model here could read.
const HOSTED: &[&str] = &[
    "web_search_call",
    "file_search_call",
    "code_interpreter_call",
    "image_generation_call",
    "computer_call",
    "computer_call_output",
    "local_shell_call",
    "local_shell_call_output",
    "shell_call",
    "shell_call_output",
    "apply_patch_call",
    "apply_patch_call_output",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "tool_search_call",
    "tool_search_output",
    "additional_tools",
];

/// An item, understood.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Item {
    pub(super) said: Said,
    pub(super) kept: Kept,
}

/// What an item says to the model.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Said {
    Message {
        role: &'static str,
        text: String,
        reasoning: String,
    },
    /// What the assistant thought before what follows.
    Thought(String),
    Call(Call),
    /// A tool's answer to a call.
    Answer {
        call_id: String,
        text: String,
    },
    /// An item that is kept already.
    Reference(String),
    Nothing,
}

/// An item as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) id: String,
    /// The API's JSON of it.
    pub(super) json: String,
}

impl Item {
    /// The message of a user that an input of text alone is.
    pub(super) fn of_text(text: String) -> Self {
        let id = id::new(id::MESSAGE);
        let json = json!({
            "id": id, "type": "message", "status": "completed", "role": "user",
            "content": [{"type": "input_text", "text": text}],
        });
        let said = Said::Message { role: "user", text, reasoning: String::new() };
        Self { said, kept: Kept { id, json: json.to_string() } }
    }

    /// Reads the item at `path`.
    pub(super) fn read(value: &RawValue, path: String, ignored: &mut Ignored) -> Result<Self, Error> {
        let mut fields = Fields::of(value, path)?;
        let kind = fields.text("type")?;
        // A reference may come as an id alone, a message without its type.
        let kind = kind.as_deref().unwrap_or("message");
        let said = said(&mut fields, kind, ignored)?;
        let own_id = fields.text("id")?;
        fields.raw("status");
        if said != Said::Nothing {
            ignored.add("input.", &fields);
        }
        let id = match (&said, own_id) {
            (Said::Reference(id), _) => id.clone(),
            (_, Some(id)) if (1..=MAX_ID_BYTES).contains(&id.len()) => id,
            _ => id::new(id::prefix_of(kind)),
        };
        let json = kept(value, kind, &id).map_err(|error| {
            let path = fields.path_of("type");
            Error::invalid(path, format!("an item of the input cannot be read: {error}"))
        })?;
        Ok(Self { said, kept: Kept { id, json } })
    }
}

fn said(fields: &mut Fields<'_>, kind: &str, ignored: &mut Ignored) -> Result<Said, Error> {
    match kind {
        "message" => message(fields, ignored),
        "function_call" => call(fields, "arguments"),
        "custom_tool_call" => call(fields, "input"),
        "function_call_output" | "custom_tool_call_output" => answer(fields, ignored),
        "reasoning" => reasoning(fields),
        "item_reference" => {
            let path = fields.path_of("id");
            let missing =
                || Error::invalid(path.as_str(), format!("{path} is missing; it must be an item's id"));
            Ok(Said::Reference(fields.text("id")?.ok_or_else(missing)?))
        }
        hosted if HOSTED.contains(&hosted) => {
            ignored.name("input.", hosted);
            Ok(Said::Nothing)
        }
        other => {
            let path = fields.path_of("type");
            let other: String = other.chars().take(64).collect();
            let message = format!(
                "{path} is {other:?}; it must be message, function_call, function_call_output, custom_tool_call, \
                 custom_tool_call_output, reasoning or item_reference"
            );
            Err(Error::invalid(path, message))
        }
    }
}

fn message(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Said, Error> {
    let path = fields.path_of("role");
    let role = match fields.word("role", &["system", "developer", "user", "assistant"])? {
        Some("developer") => "system",
        Some(role) => role,
        None => {
            let message = format!("{path} is missing; it must be system, developer, user or assistant");
            return Err(Error::invalid(path, message));
        }
    };
    // What some clients note for themselves.
    fields.text("phase")?;
    let content = content(fields, ignored)?;
    Ok(Said::Message { role, text: content.text.unwrap_or_default(), reasoning: content.reasoning })
}

/// A call whose arguments are in the field `field`: JSON, or a custom tool's text.
fn call(fields: &mut Fields<'_>, field: &str) -> Result<Said, Error> {
    let namespace = fields.text("namespace")?;
    let name = required(fields, "name")?;
    let id = required(fields, "call_id")?;
    let text = required(fields, field)?;
    let arguments = if field == "input" { custom_arguments(&text) } else { text };
    Ok(Said::Call(Call { id, name: flat_name(namespace.as_deref(), &name), arguments }))
}

fn answer(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Said, Error> {
    let call_id = required(fields, "call_id")?;
    // Who answers is known by the call.
    for name in ["name", "namespace"] {
        fields.text(name)?;
    }
    let path = fields.path_of("output");
    let Some(output) = fields.raw("output") else {
        return Err(Error::invalid(
            path.as_str(),
            format!("{path} is missing; it must be a string or parts"),
        ));
    };
    let text = flattened(output, path, ignored)?.text.unwrap_or_default();
    Ok(Said::Answer { call_id, text })
}

/// A thought, from wherever the client has it: as it was, as it was sealed, or as its summary.
fn reasoning(fields: &mut Fields<'_>) -> Result<Said, Error> {
    let content = texts(fields, "content")?;
    let summary = texts(fields, "summary")?;
    let sealed = fields.text("encrypted_content")?.and_then(|sealed| thought::open(&sealed));
    let thought = [content, sealed.unwrap_or_default(), summary].into_iter().find(|text| !text.is_empty());
    Ok(Said::Thought(thought.unwrap_or_default()))
}

/// The texts of the parts of a thought.
fn texts(fields: &mut Fields<'_>, name: &str) -> Result<String, Error> {
    let path = fields.path_of(name);
    let Some(value) = fields.raw(name) else { return Ok(String::new()) };
    let mut texts = Vec::new();
    for (i, part) in elements(value, &path, "an array of parts", MAX_PARTS)?.into_iter().enumerate() {
        let mut part = Fields::of(part, format!("{path}[{i}]"))?;
        texts.extend(part.text("text")?);
    }
    Ok(texts.join("\n"))
}

fn required(fields: &mut Fields<'_>, name: &str) -> Result<String, Error> {
    let path = fields.path_of(name);
    let Some(value) = fields.raw(name) else {
        return Err(Error::invalid(path.as_str(), format!("{path} is missing; it must be a string")));
    };
    serde_json::from_str(value.get()).map_err(|_| wrong_type(path, "a string", value))
}

/// The item as the API lists it: with its type, an id and a status, its content in parts.
fn kept(value: &RawValue, item: &str, id: &str) -> Result<String, serde_json::Error> {
    let given: Map<String, Value> = serde_json::from_str(value.get())?;
    let mut kept = Map::with_capacity(given.len() + 2);
    kept.insert("id".into(), id.into());
    kept.insert("type".into(), item.into());
    if item != "reasoning" && kind(value) == "an object" {
        kept.insert("status".into(), "completed".into());
    }
    let is_answer = given.get("role").is_some_and(|role| role == "assistant");
    for (name, value) in given {
        match (name.as_str(), value) {
            ("id" | "type", _) => {}
            ("content", Value::String(text)) => {
                let part = if is_answer {
                    json!({"type": "output_text", "text": text, "annotations": []})
                } else {
                    json!({"type": "input_text", "text": text})
                };
                kept.insert(name, json!([part]));
            }
            (_, value) => {
                kept.insert(name, value);
            }
        }
    }
    serde_json::to_string(&kept)
}

#[cfg(test)]
mod tests;
