//! The tools of a response. A worker knows functions by one name each: functions of a namespace are flattened to such
//! names, custom tools become functions of one text, and what the model calls is written under the client's names again.

use std::collections::HashMap;

use impetus_proto::Error;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::dialect::{
    field::{Fields, elements, kind, wrong_type},
    ignored::Ignored,
    openai::tool,
};

mod custom;

pub(super) use custom::{custom_arguments, custom_input};

use custom::INPUT;

/// The most tools of a request, those in namespaces included.
const MAX_TOOLS: usize = 1024;

/// Between the name of a namespace and that of a function in it.
const SEPARATOR: &str = "__";

/// The parameters of a function that declares none.
const NO_PARAMETERS: &str = r#"{"type":"object","properties":{}}"#;

/// The functions that a model may call.
#[derive(Debug, Default)]
pub(super) struct Tools {
    /// The text of a JSON array as chat completions have it, or empty.
    pub(super) json: String,
    /// Where each of them stands in the request, in the same order.
    pub(super) paths: Vec<String>,
    /// By the name that the worker knows.
    names: HashMap<String, Name>,
}

/// What a client calls a tool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) namespace: Option<String>,
    pub(super) name: String,
    /// It takes a text instead of JSON.
    pub(super) is_custom: bool,
}

/// A function as a worker takes it.
#[derive(Serialize)]
struct Tool {
    #[serde(rename = "type")]
    kind: &'static str,
    function: Function,
}

#[derive(Serialize)]
struct Function {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    parameters: Box<RawValue>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    strict: bool,
}

/// Reads tools one after the other.
#[derive(Default)]
struct Reader {
    tools: Vec<Tool>,
    paths: Vec<String>,
    names: HashMap<String, Name>,
}

#[derive(Serialize)]
struct TextParameters<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    properties: HashMap<&'static str, Text<'a>>,
    required: [&'static str; 1],
    #[serde(rename = "additionalProperties")]
    additional_properties: bool,
}

#[derive(Serialize)]
struct Text<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<&'a str>,
}

impl Tools {
    /// Reads `tools`. Those that only OpenAI can run are named in `ignored`.
    pub(super) fn read(value: Option<&RawValue>, ignored: &mut Ignored) -> Result<Self, Error> {
        let Some(value) = value else { return Ok(Self::default()) };
        let mut reader = Reader::default();
        for (i, tool) in elements(value, "tools", "an array of tools", MAX_TOOLS)?.into_iter().enumerate() {
            reader.tool(Fields::of(tool, format!("tools[{i}]"))?, None, ignored)?;
        }
        let Reader { tools, paths, names } = reader;
        if tools.is_empty() {
            return Ok(Self::default());
        }
        let json = serde_json::to_string(&tools).map_err(|error| Error::internal(error.to_string()))?;
        Ok(Self { json, paths, names })
    }

    /// Whether there is none to call.
    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// What the client calls the tool that the worker calls `flat`; the same where nobody has declared it.
    pub(super) fn name_of(&self, flat: &str) -> Name {
        self.names.get(flat).cloned().unwrap_or_else(|| Name { name: flat.to_owned(), ..Name::default() })
    }

    /// Whether the worker knows a tool by this name.
    pub(super) fn has(&self, flat: &str) -> bool {
        self.names.contains_key(flat)
    }
}

impl Reader {
    fn tool(
        &mut self,
        mut fields: Fields<'_>,
        namespace: Option<&str>,
        ignored: &mut Ignored,
    ) -> Result<(), Error> {
        match fields.text("type")?.as_deref() {
            Some("function") => self.function(fields, namespace, ignored),
            Some("custom") => self.custom(fields, namespace, ignored),
            Some("namespace") if namespace.is_none() => self.namespace(fields, ignored),
            Some(other) => {
                ignored.name("tools.", other);
                Ok(())
            }
            None => {
                let path = fields.path_of("type");
                Err(Error::invalid(path.as_str(), format!("{path} is missing; it must be \"function\"")))
            }
        }
    }

    fn namespace(&mut self, mut fields: Fields<'_>, ignored: &mut Ignored) -> Result<(), Error> {
        let name = tool::name(&mut fields)?;
        // A worker is shown the functions alone, whose names begin with that of the namespace.
        fields.text("description")?;
        let path = fields.path_of("tools");
        let tools = fields.array("tools", "an array of tools", MAX_TOOLS)?.unwrap_or_default();
        for (i, tool) in tools.into_iter().enumerate() {
            self.tool(Fields::of(tool, format!("{path}[{i}]"))?, Some(&name), ignored)?;
        }
        ignored.add("tools.", &fields);
        Ok(())
    }

    fn function(
        &mut self,
        mut fields: Fields<'_>,
        namespace: Option<&str>,
        ignored: &mut Ignored,
    ) -> Result<(), Error> {
        let path = fields.path_of("name");
        let name = Name {
            name: tool::name(&mut fields)?,
            namespace: namespace.map(str::to_owned),
            is_custom: false,
        };
        let parameters = match fields.raw("parameters") {
            Some(schema) if kind(schema) == "an object" => schema.to_owned(),
            Some(other) => return Err(wrong_type(fields.path_of("parameters"), "an object", other)),
            None => to_raw(&serde_json::from_str::<&RawValue>(NO_PARAMETERS).ok())?,
        };
        let description = fields.text("description")?;
        let strict = fields.flag("strict")?.unwrap_or(false);
        ignored.add("tools.", &fields);
        self.add(name, &path, Function { name: String::new(), description, parameters, strict })
    }

    /// A tool that takes a text, which is the one argument of a function here. Of the grammars that the API defines for
    /// such a text a regular expression can be kept to; a Lark grammar is named in `ignored`.
    fn custom(
        &mut self,
        mut fields: Fields<'_>,
        namespace: Option<&str>,
        ignored: &mut Ignored,
    ) -> Result<(), Error> {
        let path = fields.path_of("name");
        let name =
            Name { name: tool::name(&mut fields)?, namespace: namespace.map(str::to_owned), is_custom: true };
        let description = fields.text("description")?;
        let mut pattern = None;
        if let Some(mut format) = fields.object("format")?
            && format.word("type", &["text", "grammar"])? == Some("grammar")
        {
            let definition = format.text("definition")?;
            match format.word("syntax", &["lark", "regex"])? {
                Some("regex") => pattern = definition.map(|regex| format!("^(?:{regex})$")),
                _ => ignored.name("tools.custom.", "format"),
            }
        }
        ignored.add("tools.", &fields);
        let parameters = to_raw(&TextParameters {
            kind: "object",
            properties: HashMap::from([(INPUT, Text { kind: "string", pattern: pattern.as_deref() })]),
            required: [INPUT],
            additional_properties: false,
        })?;
        self.add(name, &path, Function { name: String::new(), description, parameters, strict: true })
    }

    fn add(&mut self, name: Name, path: &str, function: Function) -> Result<(), Error> {
        let flat = flat_name(name.namespace.as_deref(), &name.name);
        if self.names.len() == MAX_TOOLS {
            return Err(Error::invalid("tools", format!("tools must hold at most {MAX_TOOLS} functions")));
        }
        if self.names.insert(flat.clone(), name).is_some() {
            let message = format!("{path} is that of another tool; names must differ");
            return Err(Error::invalid(path, message));
        }
        self.paths.push(path.strip_suffix(".name").unwrap_or(path).to_owned());
        self.tools.push(Tool { kind: "function", function: Function { name: flat, ..function } });
        Ok(())
    }
}

/// The name by which a worker knows a function.
pub(super) fn flat_name(namespace: Option<&str>, name: &str) -> String {
    namespace.map_or_else(|| name.to_owned(), |namespace| format!("{namespace}{SEPARATOR}{name}"))
}

fn to_raw(value: &impl Serialize) -> Result<Box<RawValue>, Error> {
    to_raw_value(value).map_err(|error| Error::internal(error.to_string()))
}

#[cfg(test)]
mod tests;
