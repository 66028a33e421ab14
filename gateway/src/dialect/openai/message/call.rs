//! The calls that an assistant has made, checked as far as templates rely on them and written down in one form.

use impetus_proto::Error;
use serde::Serialize;
use serde_json::value::RawValue;

use super::MAX_PARTS;
use crate::dialect::{
    field::{Fields, kind, wrong_type},
    ignored::Ignored,
};

/// A call in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dialect::openai) struct Call {
    pub(in crate::dialect::openai) id: String,
    pub(in crate::dialect::openai) name: String,
    /// A JSON object, as text.
    pub(in crate::dialect::openai) arguments: String,
}

#[derive(Serialize)]
struct Written<'a> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

/// Calls as a worker takes them: the text of a JSON array as OpenAI defines it; empty when there are none.
pub(in crate::dialect::openai) fn calls_json(calls: &[Call]) -> Result<String, Error> {
    if calls.is_empty() {
        return Ok(String::new());
    }
    let written: Vec<_> = calls
        .iter()
        .map(|Call { id, name, arguments }| Written {
            id,
            kind: "function",
            function: Function { name, arguments },
        })
        .collect();
    serde_json::to_string(&written).map_err(|error| Error::internal(error.to_string()))
}

/// Takes `tool_calls`.
pub(super) fn calls(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Vec<Call>, Error> {
    let path = fields.path_of("tool_calls");
    let values = fields.array("tool_calls", "an array of tool calls", MAX_PARTS)?.unwrap_or_default();
    values
        .into_iter()
        .enumerate()
        .map(|(j, value)| {
            let mut call = Fields::of(value, format!("{path}[{j}]"))?;
            let id = call.text("id")?.unwrap_or_default();
            let is_custom = call.text("type")?.as_deref() == Some("custom");
            let (kind, argument) = if is_custom { ("custom", "input") } else { ("function", "arguments") };
            let path = call.path_of(kind);
            let mut function = call.object(kind)?.ok_or_else(|| {
                let message = format!("{path} is missing; it must be an object with name and {argument}");
                Error::invalid(path, message)
            })?;
            let (name, arguments) = named(&mut function, argument)?;
            call.raw("index");
            ignored.add("messages.tool_calls.", &call);
            Ok(Call { id, name, arguments })
        })
        .collect()
}

/// Takes the deprecated `function_call` of the message `i`, under an id of its own: templates want one.
pub(super) fn function_call(fields: &mut Fields<'_>, i: usize) -> Result<Option<Call>, Error> {
    let Some(mut function) = fields.object("function_call")? else { return Ok(None) };
    let (name, arguments) = named(&mut function, "arguments")?;
    // Nine letters and digits are what every template takes.
    Ok(Some(Call { id: format!("call{i:05}"), name, arguments }))
}

fn named(function: &mut Fields<'_>, argument: &str) -> Result<(String, String), Error> {
    let name = required(function.text("name")?, function, "name")?;
    let arguments = match function.raw(argument) {
        Some(value) => Some(self::arguments(value, function, argument)?),
        None => None,
    };
    Ok((name, required(arguments, function, argument)?))
}

/// Arguments are a string of JSON; the JSON itself is taken, too. A custom tool's input is any text, of which its one
/// argument is made.
fn arguments(value: &RawValue, function: &Fields<'_>, name: &str) -> Result<String, Error> {
    let text = match kind(value) {
        "an object" => Ok(value.get().to_owned()),
        _ => serde_json::from_str::<String>(value.get())
            .map_err(|_| wrong_type(function.path_of(name), "a string", value)),
    }?;
    Ok(if name == "input" { serde_json::json!({ "input": text }).to_string() } else { text })
}

fn required(text: Option<String>, function: &Fields<'_>, name: &str) -> Result<String, Error> {
    text.ok_or_else(|| {
        let path = function.path_of(name);
        let message = format!("{path} is missing; it must be a string");
        Error::invalid(path, message)
    })
}
