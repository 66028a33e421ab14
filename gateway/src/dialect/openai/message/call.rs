//! The calls that an assistant has made, checked as far as templates rely on them and written down in one form.

use impetus_proto::Error;
use serde_json::value::RawValue;

use super::MAX_PARTS;
use crate::dialect::{
    call::Call,
    field::{Fields, kind, wrong_type},
    ignored::Ignored,
};

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
