//! The blocks of which content is made. Those of text, thoughts and calls are read, all others refused by name.

use impetus_proto::Error;
use serde_json::value::RawValue;

use super::setting::cache_control;
use crate::dialect::{
    call::Call,
    field::{Fields, elements, kind, wrong_type},
    ignored::Ignored,
    parameter::unsupported,
    thought,
};

/// How ids of calls begin that clients see.
pub(super) const CALL_PREFIX: &str = "toolu_";

/// The most blocks of a message.
const MAX_BLOCKS: usize = 4096;

/// Between the texts of one result.
const SEPARATOR: &str = "\n";

/// Blocks that the API defines and this server has nothing for.
pub(super) const UNOFFERED: [&str; 17] = [
    "image",
    "document",
    "search_result",
    "server_tool_use",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_search_tool_result",
    "mcp_tool_use",
    "mcp_tool_result",
    "container_upload",
    "compaction",
    "web_search_result",
    "web_search_result_location",
    "video",
];

/// A block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    Text(String),
    /// What the model thought; `None` where it is sealed by another server.
    Thought(Option<String>),
    Call(Call),
    /// What came of a call.
    Result {
        id: String,
        text: String,
        is_error: bool,
        /// Names of tools.
        found: Vec<String>,
    },
}

/// Blocks, each with its place in the request.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Blocks(pub(super) Vec<(String, Block)>);

/// Takes a field that is a string or an array of blocks. A string is a block of text.
pub(super) fn take(
    fields: &mut Fields<'_>,
    name: &str,
    ignored: &mut Ignored,
) -> Result<Option<Blocks>, Error> {
    let path = fields.path_of(name);
    let Some(value) = fields.raw(name) else { return Ok(None) };
    let blocks = each(value, path.clone())?.into_iter().map(|(path, value)| match value {
        Part::Text(text) => Ok((path, Block::Text(text))),
        Part::Block(value) => Ok((path.clone(), block(value, path, ignored)?)),
    });
    blocks.collect::<Result<_, Error>>().map(|blocks| Some(Blocks(blocks)))
}

enum Part<'a> {
    Text(String),
    Block(&'a RawValue),
}

fn each(value: &RawValue, path: String) -> Result<Vec<(String, Part<'_>)>, Error> {
    let expected = "a string or an array of blocks";
    match kind(value) {
        "a string" => match serde_json::from_str(value.get()) {
            Ok(text) => Ok(vec![(path, Part::Text(text))]),
            Err(_) => Err(wrong_type(path, "a string of Unicode text", value)),
        },
        "an array" => {
            let blocks = elements(value, &path, expected, MAX_BLOCKS)?.into_iter().enumerate();
            Ok(blocks.map(|(j, block)| (format!("{path}[{j}]"), Part::Block(block))).collect())
        }
        _ => Err(wrong_type(path, expected, value)),
    }
}

fn block(value: &RawValue, path: String, ignored: &mut Ignored) -> Result<Block, Error> {
    let mut fields = Fields::of(value, path)?;
    let path = fields.path_of("type");
    let kind = fields.text("type")?;
    cache_control(&mut fields)?;
    let block = match kind.as_deref() {
        Some("text") => {
            // Of what an answer was made, replayed.
            fields.raw("citations");
            Block::Text(required(&mut fields, "text")?)
        }
        Some("thinking") => thinking(&mut fields)?,
        Some("redacted_thinking") => {
            required(&mut fields, "data")?;
            Block::Thought(None)
        }
        Some("tool_use") => call(&mut fields)?,
        Some("tool_result") => result(&mut fields, ignored)?,
        Some(other) if UNOFFERED.contains(&other) => return Err(unread(path, other)),
        _ => return Err(unknown(path, kind.as_deref())),
    };
    ignored.add("messages.content.", &fields);
    Ok(block)
}

fn unread(path: String, kind: &str) -> Error {
    let message = format!("{path} {kind:?} is not supported by this server; it reads text only");
    unsupported(path, message)
}

fn unknown(path: String, kind: Option<&str>) -> Error {
    let kind: String = kind.unwrap_or("nothing").chars().take(32).collect();
    let message =
        format!("{path} must be text, thinking, redacted_thinking, tool_use or tool_result, not {kind}");
    Error::invalid(path, message)
}

/// A thought as it was, or as it was sealed.
fn thinking(fields: &mut Fields<'_>) -> Result<Block, Error> {
    let text = required(fields, "thinking")?;
    let signature = fields.text("signature")?.unwrap_or_default();
    let thought = if text.is_empty() { thought::open(&signature) } else { Some(text) };
    Ok(Block::Thought(thought))
}

fn call(fields: &mut Fields<'_>) -> Result<Block, Error> {
    let (id, name) = (required(fields, "id")?, required(fields, "name")?);
    let path = fields.path_of("input");
    let arguments = match fields.raw("input") {
        Some(input) if kind(input) == "an object" => input.get().to_owned(),
        Some(other) => return Err(wrong_type(path, "an object", other)),
        None => {
            return Err(Error::invalid(path.as_str(), format!("{path} is missing; it must be an object")));
        }
    };
    // Who called: the model, since nobody else does here.
    fields.raw("caller");
    Ok(Block::Call(Call { id, name, arguments }))
}

fn result(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Block, Error> {
    let id = required(fields, "tool_use_id")?;
    let is_error = fields.flag("is_error")?.unwrap_or(false);
    let path = fields.path_of("content");
    let (mut texts, mut found) = (Vec::new(), Vec::new());
    let parts = match fields.raw("content") {
        Some(content) => each(content, path)?,
        None => Vec::new(),
    };
    for (path, part) in parts {
        let value = match part {
            Part::Text(text) => {
                texts.push(text);
                continue;
            }
            Part::Block(value) => value,
        };
        let mut fields = Fields::of(value, path)?;
        let path = fields.path_of("type");
        let kind = fields.text("type")?;
        cache_control(&mut fields)?;
        match kind.as_deref() {
            Some("text") => {
                fields.raw("citations");
                texts.push(required(&mut fields, "text")?);
            }
            Some("tool_reference") => {
                let name = required(&mut fields, "tool_name")?;
                texts.push(name.clone());
                found.push(name);
            }
            Some(other) if UNOFFERED.contains(&other) => return Err(unread(path, other)),
            _ => return Err(unknown(path, kind.as_deref())),
        }
        ignored.add("messages.content.content.", &fields);
    }
    Ok(Block::Result { id, text: texts.join(SEPARATOR), is_error, found })
}

fn required(fields: &mut Fields<'_>, name: &str) -> Result<String, Error> {
    fields.text(name)?.ok_or_else(|| {
        let path = fields.path_of(name);
        Error::invalid(path.as_str(), format!("{path} is missing; it must be a string"))
    })
}
