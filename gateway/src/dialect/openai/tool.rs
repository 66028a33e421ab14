//! The tools that a model may call, and which of them it has to.

use std::collections::BTreeSet;

use impetus_proto::{
    Error,
    worker::{ToolChoice, ToolMode},
};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::dialect::{
    field::{Fields, elements, kind, wrong_type},
    ignored::Ignored,
};

mod choice;

/// The most tools of a request.
const MAX_TOOLS: usize = 1024;

/// The longest name of a function, in bytes.
const MAX_NAME_BYTES: usize = 128;

/// The parameters of a function that declares none.
const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

/// What a request says of tools.
#[derive(Debug, Clone, Default, PartialEq)]
pub(in crate::dialect) struct Tools {
    /// A JSON array as OpenAI defines `tools`, of functions only; empty when there are none.
    pub(in crate::dialect) json: String,
    /// Absent when there are no tools.
    pub(in crate::dialect) choice: Option<ToolChoice>,
    /// They came as `functions`, which are answered with `function_call`.
    pub(in crate::dialect) are_functions: bool,
    /// Where each of them stands in the request.
    pub(in crate::dialect) paths: Vec<String>,
}

/// A function as a worker takes it.
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

/// Takes `tools`, `tool_choice` and `parallel_tool_calls`, or the `functions` and `function_call` that they replaced.
/// A function may stand in a tool as `function`, as chat completions have it, or be the tool itself, as responses have
/// it. Tools that no function is, which only OpenAI can run, are named in `ignored`.
pub(in crate::dialect) fn tools(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Tools, Error> {
    let (tools, are_functions) = match (fields.raw("tools"), fields.raw("functions")) {
        (Some(_), Some(_)) => {
            let message = "functions and tools exclude each other; send tools alone";
            return Err(Error::invalid("functions", message));
        }
        (Some(tools), None) => (of_tools(tools, ignored)?, false),
        (None, Some(functions)) => (of_functions(functions, ignored)?, true),
        (None, None) => (Vec::new(), false),
    };
    let names: BTreeSet<&str> = tools.iter().map(|tool| tool.function.name.as_str()).collect();
    let name = if are_functions { "functions" } else { "tools" };
    if names.len() < tools.len() {
        return Err(Error::invalid(name, format!("{name} has two functions of one name; names must differ")));
    }
    let choice = match fields.raw("tool_choice") {
        Some(choice) => choice::of_tool_choice(choice, &names, ignored)?,
        None => ToolChoice::default(),
    };
    let call = fields.raw("function_call").map(|call| choice::of_function_call(call, &names)).transpose()?;
    let single = fields.flag("parallel_tool_calls")? == Some(false) || are_functions;
    let choice = ToolChoice { single, ..call.unwrap_or(choice) };
    if names.is_empty() {
        return without_tools(&choice);
    }
    let json = serde_json::to_string(&tools).map_err(|error| Error::internal(error.to_string()))?;
    let paths = tools.into_iter().map(|tool| tool.path).collect();
    Ok(Tools { json, choice: Some(choice), are_functions, paths })
}

fn without_tools(choice: &ToolChoice) -> Result<Tools, Error> {
    if choice.mode() == ToolMode::Required {
        let message = "tool_choice asks for a call, but tools has no function that could be called";
        return Err(Error::invalid("tool_choice", message));
    }
    Ok(Tools::default())
}

fn of_tools<'a>(value: &'a RawValue, ignored: &mut Ignored) -> Result<Vec<Tool<'a>>, Error> {
    let mut tools = Vec::new();
    for (i, tool) in elements(value, "tools", "an array of tools", MAX_TOOLS)?.into_iter().enumerate() {
        let mut fields = Fields::of(tool, format!("tools[{i}]"))?;
        match fields.text("type")?.as_deref() {
            Some("function") => {}
            Some(other) => {
                ignored.name("tools.", other);
                continue;
            }
            None => {
                let path = fields.path_of("type");
                let message = format!("{path} is missing; it must be \"function\"");
                return Err(Error::invalid(path, message));
            }
        }
        let nested = fields.object("function")?;
        let mut path = format!("tools[{i}]");
        let function = match nested {
            Some(mut function) => {
                path.push_str(".function");
                ignored.add("tools.", &fields);
                of_function(&mut function, "tools.function.", ignored)?
            }
            None => of_function(&mut fields, "tools.", ignored)?,
        };
        tools.push(Tool { kind: "function", function, path });
    }
    Ok(tools)
}

fn of_functions<'a>(value: &'a RawValue, ignored: &mut Ignored) -> Result<Vec<Tool<'a>>, Error> {
    elements(value, "functions", "an array of functions", MAX_TOOLS)?
        .into_iter()
        .enumerate()
        .map(|(i, function)| {
            let path = format!("functions[{i}]");
            let mut fields = Fields::of(function, path.clone())?;
            Ok(Tool { kind: "function", function: of_function(&mut fields, "functions.", ignored)?, path })
        })
        .collect()
}

fn of_function<'a>(
    fields: &mut Fields<'a>,
    prefix: &str,
    ignored: &mut Ignored,
) -> Result<Function<'a>, Error> {
    let parameters = match fields.raw("parameters") {
        Some(schema) if kind(schema) == "an object" => schema,
        Some(other) => return Err(wrong_type(fields.path_of("parameters"), "an object", other)),
        None => serde_json::from_str(NO_PARAMETERS).map_err(|error| Error::internal(error.to_string()))?,
    };
    let function = Function {
        name: name(fields)?,
        description: fields.text("description")?,
        parameters,
        strict: fields.flag("strict")?.unwrap_or(false),
    };
    ignored.add(prefix, fields);
    Ok(function)
}

/// Takes the `name` of a function.
pub(super) fn name(fields: &mut Fields<'_>) -> Result<String, Error> {
    let path = fields.path_of("name");
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    match fields.text("name")? {
        Some(name) if (1..=MAX_NAME_BYTES).contains(&name.len()) && name.chars().all(is_of_name) => Ok(name),
        _ => {
            let message = format!(
                "{path} must be the name of a function: 1 to {MAX_NAME_BYTES} of a-z, A-Z, 0-9, _, - and ."
            );
            Err(Error::invalid(path, message))
        }
    }
}

#[cfg(test)]
mod tests;
