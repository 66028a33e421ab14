//! `tool_choice`: which of the tools may or has to be called.

use impetus_proto::{
    Error,
    worker::{ToolChoice, ToolMode},
};
use serde_json::value::RawValue;

use super::tool::{Tools, flat_name};
use crate::dialect::{
    field::{Fields, kind, wrong_type},
    ignored::Ignored,
    openai::parameter::unsupported,
};

/// The most tools that are allowed by name.
const MAX_NAMES: usize = 1024;

const NAME: &str = "tool_choice";

const EXPECTED: &str = "\"none\", \"auto\", \"required\" or an object that names functions";

/// Reads `tool_choice` under what the request's `tools` are; absent when there are none.
pub(super) fn read(
    value: Option<&RawValue>,
    tools: &Tools,
    single: bool,
    ignored: &mut Ignored,
) -> Result<Option<ToolChoice>, Error> {
    let choice = match value {
        None => of_mode(ToolMode::Auto),
        Some(value) => match kind(value) {
            "a string" => of_word(value)?,
            "an object" => of_object(Fields::of(value, NAME.to_owned())?, tools, ignored)?,
            _ => return Err(wrong_type(NAME, EXPECTED, value)),
        },
    };
    if !tools.is_empty() {
        return Ok(Some(ToolChoice { single, ..choice }));
    }
    if choice.mode() == ToolMode::Required {
        let message = "tool_choice asks for a call, but tools has no function that could be called";
        return Err(Error::invalid(NAME, message));
    }
    Ok(None)
}

fn of_word(value: &RawValue) -> Result<ToolChoice, Error> {
    match value.get() {
        r#""none""# => Ok(of_mode(ToolMode::None)),
        r#""auto""# => Ok(of_mode(ToolMode::Auto)),
        r#""required""# => Ok(of_mode(ToolMode::Required)),
        other => {
            let given: String = other.chars().take(32).collect();
            Err(Error::invalid(NAME, format!("{NAME} must be {EXPECTED}, not {given}")))
        }
    }
}

fn of_object(mut fields: Fields<'_>, tools: &Tools, ignored: &mut Ignored) -> Result<ToolChoice, Error> {
    let path = fields.path_of("type");
    match fields.text("type")?.as_deref() {
        Some("function" | "custom") => Ok(only(ToolMode::Required, vec![known(&mut fields, tools)?])),
        Some("allowed_tools") => allowed(fields, tools, ignored),
        Some(other) => {
            let other: String = other.chars().take(32).collect();
            let message =
                format!("{path} {other:?} is not supported by this server, which calls functions only");
            Err(unsupported(path, message))
        }
        None => Err(Error::invalid(path.as_str(), format!("{path} is missing; it must be \"function\""))),
    }
}

fn allowed(mut fields: Fields<'_>, tools: &Tools, ignored: &mut Ignored) -> Result<ToolChoice, Error> {
    let mode = match fields.word("mode", &["auto", "required"])? {
        Some("required") => ToolMode::Required,
        _ => ToolMode::Auto,
    };
    let path = fields.path_of("tools");
    let mut names = Vec::new();
    let listed = fields.array("tools", "an array of tools", MAX_NAMES)?.unwrap_or_default();
    for (i, tool) in listed.into_iter().enumerate() {
        let mut tool = Fields::of(tool, format!("{path}[{i}]"))?;
        match tool.text("type")?.as_deref() {
            Some("function" | "custom") => names.push(known(&mut tool, tools)?),
            other => ignored.name("tool_choice.", other.unwrap_or("type")),
        }
    }
    ignored.add("tool_choice.", &fields);
    match (names.is_empty(), mode) {
        (false, mode) => Ok(only(mode, names)),
        // No names would mean all of them.
        (true, ToolMode::Auto) => Ok(of_mode(ToolMode::None)),
        (true, _) => {
            let message = format!("{path} must name at least one function where one has to be called");
            Err(Error::invalid(path, message))
        }
    }
}

/// The worker's name of a tool that the request has declared.
fn known(fields: &mut Fields<'_>, tools: &Tools) -> Result<String, Error> {
    let path = fields.path_of("name");
    let namespace = fields.text("namespace")?;
    let name = fields.text("name")?.unwrap_or_default();
    let flat = flat_name(namespace.as_deref(), &name);
    if tools.has(&flat) {
        return Ok(flat);
    }
    let given: String = name.chars().take(64).collect();
    Err(Error::invalid(path.as_str(), format!("{path} is {given:?}, which none of the request's tools is")))
}

fn of_mode(mode: ToolMode) -> ToolChoice {
    only(mode, Vec::new())
}

fn only(mode: ToolMode, names: Vec<String>) -> ToolChoice {
    ToolChoice { mode: mode.into(), names, single: false }
}
