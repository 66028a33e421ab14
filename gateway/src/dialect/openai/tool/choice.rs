//! Which of the tools may or has to be called.

use std::collections::BTreeSet;

use impetus_proto::{
    Error,
    worker::{ToolChoice, ToolMode},
};
use serde_json::value::RawValue;

use super::{MAX_TOOLS, name};
use crate::dialect::{
    field::{Fields, kind, wrong_type},
    ignored::Ignored,
    openai::parameter::unsupported,
};

/// Reads `tool_choice`: `none`, `auto`, `required`, a function's name in an object, or a list of allowed ones.
pub(super) fn of_tool_choice(
    value: &RawValue,
    names: &BTreeSet<&str>,
    ignored: &mut Ignored,
) -> Result<ToolChoice, Error> {
    let expected = "\"none\", \"auto\", \"required\" or an object that names functions";
    match kind(value) {
        "a string" => match serde_json::from_str::<String>(value.get()).as_deref() {
            Ok("none") => Ok(mode(ToolMode::None)),
            Ok("auto") => Ok(mode(ToolMode::Auto)),
            // The second is what Mistral's clients say.
            Ok("required" | "any") => Ok(mode(ToolMode::Required)),
            _ => {
                let given: String = value.get().chars().take(32).collect();
                let message = format!("tool_choice must be {expected}, not {given}");
                Err(Error::invalid("tool_choice", message))
            }
        },
        "an object" => of_object(Fields::of(value, "tool_choice".to_owned())?, names, ignored),
        _ => Err(wrong_type("tool_choice", expected, value)),
    }
}

/// Reads `function_call`: `none`, `auto`, or a function's name in an object.
pub(super) fn of_function_call(value: &RawValue, names: &BTreeSet<&str>) -> Result<ToolChoice, Error> {
    match value.get() {
        r#""none""# => Ok(mode(ToolMode::None)),
        r#""auto""# => Ok(mode(ToolMode::Auto)),
        _ if kind(value) == "an object" => {
            let mut fields = Fields::of(value, "function_call".to_owned())?;
            Ok(only(ToolMode::Required, vec![known(&mut fields, names)?]))
        }
        _ => Err(wrong_type("function_call", "\"none\", \"auto\" or an object with the name to call", value)),
    }
}

fn of_object(
    mut fields: Fields<'_>,
    names: &BTreeSet<&str>,
    ignored: &mut Ignored,
) -> Result<ToolChoice, Error> {
    let path = fields.path_of("type");
    match fields.text("type")?.as_deref() {
        Some("function") | None => {
            let name = nested(fields, names)?;
            Ok(only(ToolMode::Required, vec![name]))
        }
        Some("allowed_tools") => {
            let allowed = fields.object("allowed_tools")?.unwrap_or(fields);
            allowed_tools(allowed, names, ignored)
        }
        Some(other) => {
            let other: String = other.chars().take(32).collect();
            let message =
                format!("{path} {other:?} is not supported by this server, which calls functions only");
            Err(unsupported(path, message))
        }
    }
}

fn allowed_tools(
    mut fields: Fields<'_>,
    names: &BTreeSet<&str>,
    ignored: &mut Ignored,
) -> Result<ToolChoice, Error> {
    let mode = match fields.word("mode", &["auto", "required"])? {
        Some("required") => ToolMode::Required,
        _ => ToolMode::Auto,
    };
    let path = fields.path_of("tools");
    let tools = fields.array("tools", "an array of tools", MAX_TOOLS)?.unwrap_or_default();
    let mut allowed = Vec::with_capacity(tools.len());
    for (i, tool) in tools.into_iter().enumerate() {
        let mut tool = Fields::of(tool, format!("{path}[{i}]"))?;
        match tool.text("type")?.as_deref() {
            Some("function") | None => allowed.push(nested(tool, names)?),
            Some(other) => ignored.name("tool_choice.", other),
        }
    }
    match (allowed.is_empty(), mode) {
        (false, _) => Ok(only(mode, allowed)),
        // No names would mean all of them.
        (true, ToolMode::Auto) => Ok(self::mode(ToolMode::None)),
        (true, _) => Err(Error::invalid(
            path.as_str(),
            format!("{path} must name at least one function where one has to be called"),
        )),
    }
}

/// The name of a function that stands in `function`, or right here.
fn nested(mut fields: Fields<'_>, names: &BTreeSet<&str>) -> Result<String, Error> {
    match fields.object("function")? {
        Some(mut function) => known(&mut function, names),
        None => known(&mut fields, names),
    }
}

fn known(fields: &mut Fields<'_>, names: &BTreeSet<&str>) -> Result<String, Error> {
    let path = fields.path_of("name");
    let name = name(fields)?;
    if names.contains(name.as_str()) {
        return Ok(name);
    }
    let message = format!("{path} is {name:?}, which is none of the request's functions");
    Err(Error::invalid(path, message))
}

fn mode(mode: ToolMode) -> ToolChoice {
    only(mode, Vec::new())
}

fn only(mode: ToolMode, names: Vec<String>) -> ToolChoice {
    ToolChoice { mode: mode.into(), names, single: false }
}
