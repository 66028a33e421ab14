//! The tools of a chat and which of them are to be called, checked.

use std::collections::BTreeSet;

use impetus_proto::{
    Error,
    worker::{Chat, ToolMode},
};
use serde_json::{Value as Json, json};

use crate::output::{Rules, Tool};

/// The most tools of a request.
const MAX_TOOLS: usize = 1024;

/// The longest name of a function.
const MAX_NAME_BYTES: usize = 128;

/// The largest schema of a function's arguments, as JSON.
const MAX_SCHEMA_BYTES: usize = 256 << 10;

/// Values inside values of a schema.
const MAX_SCHEMA_DEPTH: usize = 64;

/// The rules that the tools of `chat` make for an answer; any text where there are none.
pub(super) fn rules(chat: &Chat) -> Result<Rules, Error> {
    let mut tools = tools(&chat.tools_json)?;
    let choice = chat.tool_choice.clone().unwrap_or_default();
    let known: BTreeSet<&str> = tools.iter().map(|tool| tool.name.as_str()).collect();
    if let Some(name) = choice.names.iter().find(|name| !known.contains(name.as_str())) {
        let message = format!("tool_choice names `{name}`, which is none of the tools");
        return Err(Error::invalid("tool_choice", message));
    }
    let required = choice.mode() == ToolMode::Required;
    if required && tools.is_empty() {
        return Err(Error::invalid("tool_choice", "tool_choice asks for a call, but there are no tools"));
    }
    if choice.mode() == ToolMode::None {
        tools.clear();
    }
    if !choice.names.is_empty() {
        tools.retain(|tool| choice.names.contains(&tool.name));
    }
    Ok(Rules { tools, required, single: choice.single, content: None })
}

fn tools(json: &str) -> Result<Vec<Tool>, Error> {
    if json.is_empty() {
        return Ok(Vec::new());
    }
    let tools: Vec<Json> = serde_json::from_str(json)
        .map_err(|error| Error::invalid("tools", format!("tools is no array of tools: {error}")))?;
    if tools.len() > MAX_TOOLS {
        let message = format!("tools has {} elements; at most {MAX_TOOLS} are supported", tools.len());
        return Err(Error::invalid("tools", message));
    }
    let mut names = BTreeSet::new();
    let mut checked = Vec::with_capacity(tools.len());
    for (idx, tool) in tools.into_iter().enumerate() {
        let tool = check(tool, idx)?;
        if !names.insert(tool.name.clone()) {
            let message = format!("there is a tool named `{}` already", tool.name);
            return Err(Error::invalid(format!("tools[{idx}].function.name"), message));
        }
        checked.push(tool);
    }
    Ok(checked)
}

fn check(mut tool: Json, idx: usize) -> Result<Tool, Error> {
    let param = |field: &str| format!("tools[{idx}].function{field}");
    let Some(Json::Object(function)) = tool.get_mut("function").map(Json::take) else {
        return Err(Error::invalid(format!("tools[{idx}]"), "a tool has to have a function"));
    };
    let text = |field: &str| function.get(field).and_then(Json::as_str).unwrap_or_default().to_owned();
    let name = text("name");
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME_BYTES || !name.bytes().all(is_plain) {
        let message = format!(
            "`{}` cannot be a function's name: use up to {MAX_NAME_BYTES} letters, digits, `_`, `-` and `.`",
            name.chars().take(MAX_NAME_BYTES).collect::<String>()
        );
        return Err(Error::invalid(param(".name"), message));
    }
    let parameters = match function.get("parameters") {
        None | Some(Json::Null) => json!({"type": "object", "properties": {}}),
        Some(parameters @ Json::Object(_)) => parameters.clone(),
        Some(_) => return Err(Error::invalid(param(".parameters"), "parameters has to be a JSON schema")),
    };
    let (bytes, depth) = (parameters.to_string().len(), depth(&parameters));
    if bytes > MAX_SCHEMA_BYTES || depth > MAX_SCHEMA_DEPTH {
        let message = format!(
            "this schema has {bytes} bytes and a depth of {depth}; at most {MAX_SCHEMA_BYTES} and {MAX_SCHEMA_DEPTH} \
             are supported"
        );
        return Err(Error::invalid(param(".parameters"), message));
    }
    let strict = function.get("strict").and_then(Json::as_bool).unwrap_or(false);
    Ok(Tool { description: text("description"), name, parameters, strict, loose: false, place: idx })
}

/// The reader of JSON has bounded it, so this does not recurse far.
fn depth(value: &Json) -> usize {
    let inner = match value {
        Json::Array(values) => values.iter().map(depth).max(),
        Json::Object(values) => values.values().map(depth).max(),
        _ => return 0,
    };
    1 + inner.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use impetus_proto::worker::ToolChoice;

    use super::*;

    fn chat(tools: &Json, mode: ToolMode, names: &[&str]) -> Chat {
        let names = names.iter().map(ToString::to_string).collect();
        let choice = ToolChoice { mode: mode.into(), names, single: false };
        Chat { tools_json: tools.to_string(), tool_choice: Some(choice), ..Chat::default() }
    }

    fn two() -> Json {
        json!([
            {"type": "function", "function": {"name": "a", "parameters": {"type": "object"}, "strict": true}},
            {"type": "function", "function": {"name": "b.c-d"}},
        ])
    }

    #[test]
    fn choices_narrow_the_tools() {
        let check = |mode, names: &[&str], expected: &[&str], required: bool| {
            let rules = rules(&chat(&two(), mode, names)).unwrap();
            let tools: Vec<&str> = rules.tools.iter().map(|tool| tool.name.as_str()).collect();
            assert_eq!((tools.as_slice(), rules.required), (expected, required), "{mode:?} {names:?}");
        };
        check(ToolMode::Auto, &[], &["a", "b.c-d"], false);
        check(ToolMode::None, &[], &[], false);
        check(ToolMode::Required, &[], &["a", "b.c-d"], true);
        check(ToolMode::Required, &["a"], &["a"], true);
        check(ToolMode::Auto, &["b.c-d"], &["b.c-d"], false);
        assert!(rules(&Chat::default()).unwrap().tools.is_empty());
    }

    #[test]
    fn tools_that_cannot_be_are_refused_by_their_place() {
        let check = |tools: Json, names: &[&str], param: &str| {
            let error = rules(&chat(&tools, ToolMode::Required, names)).unwrap_err();
            assert_eq!(error.param, param, "{tools}: {error}");
        };
        let function = |function: Json| json!([two()[0], {"type": "function", "function": function}]);
        let mut deep = json!({});
        for _ in 0..=MAX_SCHEMA_DEPTH / 2 {
            deep = json!({"properties": {"x": deep}});
        }
        check(json!([]), &[], "tool_choice");
        check(two(), &["c"], "tool_choice");
        check(json!({}), &[], "tools");
        check(json!([{}]), &[], "tools[0]");
        check(function(json!({"name": "a b"})), &[], "tools[1].function.name");
        check(function(json!({"name": "x".repeat(MAX_NAME_BYTES + 1)})), &[], "tools[1].function.name");
        check(function(json!({"name": "a"})), &[], "tools[1].function.name");
        check(function(json!({"name": "c", "parameters": 3})), &[], "tools[1].function.parameters");
        check(function(json!({"name": "c", "parameters": deep})), &[], "tools[1].function.parameters");
    }
}
