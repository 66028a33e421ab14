//! The tools that a model may call, and which of them it has to.

use std::collections::BTreeSet;

use impetus_proto::{
    Error,
    worker::{ToolChoice, ToolMode},
};
use serde::Serialize;
use serde_json::value::RawValue;

use super::setting::cache_control;
use crate::dialect::{
    field::{Fields, kind, wrong_type},
    ignored::Ignored,
    parameter::unsupported,
};

/// The most tools of a request.
const MAX_TOOLS: usize = 1024;

/// The longest name of a tool, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// What a request says of tools.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Tools {
    /// As a worker takes them: a JSON array as OpenAI defines `tools`; empty when there are none.
    pub(super) json: String,
    /// Absent when there are no tools.
    pub(super) choice: Option<ToolChoice>,
    /// Where each of them stands in the request.
    pub(super) paths: Vec<String>,
}

/// A tool as a worker takes it.
#[derive(Serialize)]
struct Tool<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function<'a>,
    #[serde(skip)]
    path: String,
}

#[derive(Serialize)]
struct Function<'a> {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    parameters: &'a RawValue,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
}

/// Takes `tools` and `tool_choice`. A tool whose loading is deferred is one once a search has `found` its name.
pub(super) fn take(
    fields: &mut Fields<'_>,
    found: &BTreeSet<String>,
    ignored: &mut Ignored,
) -> Result<Tools, Error> {
    let mut names = BTreeSet::new();
    let mut tools = Vec::new();
    let values = fields.array("tools", "an array of tools", MAX_TOOLS)?.unwrap_or_default();
    for (i, value) in values.into_iter().enumerate() {
        let (tool, is_deferred) = tool(value, format!("tools[{i}]"), ignored)?;
        if !names.insert(tool.function.name.clone()) {
            let message = format!("{}.name is another tool's as well; names must differ", tool.path);
            return Err(Error::invalid(format!("{}.name", tool.path), message));
        }
        if !is_deferred || found.contains(&tool.function.name) {
            tools.push(tool);
        }
    }
    names.retain(|name| tools.iter().any(|tool| tool.function.name == *name));
    let choice = choice(fields, &names, ignored)?;
    if tools.is_empty() {
        if choice.mode() == ToolMode::Required {
            let message = "tool_choice asks for a call, but there is no tool that could be called";
            return Err(Error::invalid("tool_choice", message));
        }
        return Ok(Tools::default());
    }
    let json = serde_json::to_string(&tools).map_err(|error| Error::internal(error.to_string()))?;
    let paths = tools.into_iter().map(|tool| tool.path).collect();
    Ok(Tools { json, choice: Some(choice), paths })
}

/// Reads a tool, and whether its loading is deferred.
fn tool<'a>(value: &'a RawValue, path: String, ignored: &mut Ignored) -> Result<(Tool<'a>, bool), Error> {
    let mut fields = Fields::of(value, path.clone())?;
    let type_path = fields.path_of("type");
    if let Some(kind) = fields.text("type")?.filter(|kind| kind != "custom") {
        let kind: String = kind.chars().take(64).collect();
        let message = format!(
            "{type_path} {kind:?} is not supported by this server, which has no tools of its own and knows only those \
             of the type \"custom\", with an input_schema"
        );
        return Err(unsupported(type_path, message));
    }
    let name = name(&mut fields)?;
    let schema_path = fields.path_of("input_schema");
    let parameters = match fields.raw("input_schema") {
        Some(schema) if kind(schema) == "an object" => schema,
        Some(other) => return Err(wrong_type(schema_path, "a JSON schema, which is an object", other)),
        None => {
            let message = format!("{schema_path} is missing; it must be the JSON schema of the tool's input");
            return Err(Error::invalid(schema_path, message));
        }
    };
    let function = Function {
        name,
        description: fields.text("description")?,
        parameters,
        strict: fields.flag("strict")?.unwrap_or(false),
    };
    let is_deferred = fields.flag("defer_loading")?.unwrap_or(false);
    // Pieces of an input are sent as soon as they are known, asked or not.
    fields.flag("eager_input_streaming")?;
    callers(&mut fields)?;
    cache_control(&mut fields)?;
    ignored.add("tools.", &fields);
    Ok((Tool { kind: "function", function, path }, is_deferred))
}

/// Takes `allowed_callers`: there is nobody to call a tool but the model.
fn callers(fields: &mut Fields<'_>) -> Result<(), Error> {
    let path = fields.path_of("allowed_callers");
    let callers = fields.take::<Vec<String>>("allowed_callers", "an array of strings")?;
    if callers.is_some_and(|callers| !callers.iter().any(|caller| caller == "direct")) {
        let message =
            format!("{path} is not supported by this server without \"direct\": the model itself calls");
        return Err(unsupported(path, message));
    }
    Ok(())
}

/// Takes the `name` of a tool.
fn name(fields: &mut Fields<'_>) -> Result<String, Error> {
    let path = fields.path_of("name");
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    match fields.text("name")? {
        Some(name) if (1..=MAX_NAME_BYTES).contains(&name.len()) && name.chars().all(is_of_name) => Ok(name),
        _ => {
            let message = format!(
                "{path} must be the name of a tool: 1 to {MAX_NAME_BYTES} of a-z, A-Z, 0-9, _, - and ."
            );
            Err(Error::invalid(path, message))
        }
    }
}

/// Takes `tool_choice`.
fn choice(
    fields: &mut Fields<'_>,
    names: &BTreeSet<String>,
    ignored: &mut Ignored,
) -> Result<ToolChoice, Error> {
    let Some(mut fields) = fields.object("tool_choice")? else { return Ok(ToolChoice::default()) };
    let path = fields.path_of("type");
    let single = fields.flag("disable_parallel_tool_use")?.unwrap_or(false);
    let (mode, names) = match fields.word("type", &["auto", "any", "tool", "none"])? {
        Some("auto") => (ToolMode::Auto, Vec::new()),
        Some("none") => (ToolMode::None, Vec::new()),
        Some("any") => (ToolMode::Required, Vec::new()),
        Some(_) => (ToolMode::Required, vec![known(&mut fields, names)?]),
        None => {
            let message = format!("{path} is missing; it must be auto, any, tool or none");
            return Err(Error::invalid(path, message));
        }
    };
    ignored.add("tool_choice.", &fields);
    Ok(ToolChoice { mode: mode.into(), names, single })
}

fn known(fields: &mut Fields<'_>, names: &BTreeSet<String>) -> Result<String, Error> {
    let path = fields.path_of("name");
    let name = name(fields)?;
    if names.contains(&name) {
        return Ok(name);
    }
    let message = format!("{path} is {name:?}, which is none of the tools that can be called");
    Err(Error::invalid(path, message))
}
