//! What an output has to be: JSON, JSON of a schema, or a text of a grammar.

use impetus_proto::{
    Error,
    worker::{Choices, Structure, structure::Structure as Kind},
};
use serde_json::value::RawValue;

use super::parameter::unsupported;
use crate::dialect::{
    field::{Fields, kind, wrong_type},
    ignored::Ignored,
};

/// The most texts of a choice.
const MAX_CHOICES: usize = 4096;

/// A constraint, and the field that asked for it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) structure: Structure,
    /// By which an error is to name it.
    pub(super) param: String,
}

/// Takes OpenAI's `response_format`; llama.cpp's `grammar` and `json_schema`; vLLM's `structured_outputs`, the
/// `guided_*` that it replaced, and `regex` and `choice` without that prefix. One request has one of them at most.
pub(super) fn structure(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<Option<Asked>, Error> {
    let mut asked: Vec<(String, Kind)> = Vec::new();
    if let Some(format) = fields.object("response_format")? {
        asked.extend(format_of(format, ignored)?);
    }
    if let Some(mut outputs) = fields.object("structured_outputs")? {
        of_each(&mut outputs, ["json", "regex", "choice", "grammar"], &mut asked)?;
        if outputs.flag("json_object")? == Some(true) {
            asked.push((outputs.path_of("json_object"), Kind::JsonObject(true)));
        }
        for name in ["structural_tag", "whitespace_pattern"] {
            if outputs.raw(name).is_some() {
                let path = outputs.path_of(name);
                return Err(unsupported(path.as_str(), format!("{path} is not supported by this server")));
            }
        }
        ignored.add("structured_outputs.", &outputs);
    }
    of_each(fields, ["guided_json", "guided_regex", "guided_choice", "guided_grammar"], &mut asked)?;
    of_each(fields, ["json_schema", "regex", "choice", "grammar"], &mut asked)?;
    if let [(first, _), (second, _), ..] = &asked[..] {
        let message = format!("{second} and {first} exclude each other: an output has one structure");
        return Err(Error::invalid(second.as_str(), message));
    }
    Ok(asked.pop().map(|(param, kind)| Asked { structure: Structure { structure: Some(kind) }, param }))
}

/// Reads a `response_format`, or the `text.format` of a response: with the schema in `json_schema`, or right there.
pub(super) fn format_of(
    mut format: Fields<'_>,
    ignored: &mut Ignored,
) -> Result<Option<(String, Kind)>, Error> {
    let path = format.path_of("type");
    let kind = match format.text("type")?.as_deref() {
        Some("text") => None,
        // The schema is an addition of llama.cpp's.
        Some("json_object") => Some(match format.raw("schema") {
            Some(value) => (format.path_of("schema"), schema(value, &format.path_of("schema"))?),
            None => (path, Kind::JsonObject(true)),
        }),
        Some("json_schema") => {
            let nested = format.object("json_schema")?;
            Some(match nested {
                Some(mut nested) => named_schema(&mut nested, ignored)?,
                None => return named_schema(&mut format, ignored).map(Some),
            })
        }
        other => {
            let given: String = other.unwrap_or("nothing").chars().take(32).collect();
            let message = format!("{path} must be text, json_object or json_schema, not {given}");
            return Err(Error::invalid(path, message));
        }
    };
    ignored.add("response_format.", &format);
    Ok(kind)
}

/// A schema with its name and description, which have nobody to tell anything here. Any schema is kept to, strict or
/// not.
fn named_schema(fields: &mut Fields<'_>, ignored: &mut Ignored) -> Result<(String, Kind), Error> {
    fields.text("name")?;
    fields.text("description")?;
    fields.flag("strict")?;
    let path = fields.path_of("schema");
    let kind = match fields.raw("schema") {
        Some(value) => schema(value, &path)?,
        None => Kind::JsonObject(true),
    };
    ignored.add("response_format.", fields);
    Ok((path, kind))
}

/// Takes the fields that are called so: a schema, a regular expression, texts and a grammar.
fn of_each(
    fields: &mut Fields<'_>,
    [json, regex, choice, grammar]: [&str; 4],
    asked: &mut Vec<(String, Kind)>,
) -> Result<(), Error> {
    if let Some(value) = fields.raw(json) {
        asked.push((fields.path_of(json), schema(value, &fields.path_of(json))?));
    }
    if let Some(regex_text) = fields.text(regex)? {
        asked.push((fields.path_of(regex), Kind::Regex(regex_text)));
    }
    let path = fields.path_of(choice);
    if let Some(texts) = fields.take::<Vec<String>>(choice, "an array of strings")? {
        if !(1..=MAX_CHOICES).contains(&texts.len()) {
            return Err(Error::invalid(
                path.as_str(),
                format!("{path} must have 1 to {MAX_CHOICES} strings"),
            ));
        }
        asked.push((path, Kind::Choices(Choices { texts })));
    }
    let path = fields.path_of(grammar);
    if let Some(value) = fields.raw(grammar) {
        let kind = self::grammar(value, &path)?;
        asked.extend(kind.map(|kind| (path, kind)));
    }
    Ok(())
}

/// A schema as an object, or as the text of one.
fn schema(value: &RawValue, path: &str) -> Result<Kind, Error> {
    let text = match kind(value) {
        "an object" => Some(value.get().to_owned()),
        "a string" => serde_json::from_str(value.get()).ok(),
        _ => None,
    };
    let is_object =
        |text: &String| serde_json::from_str::<&RawValue>(text).is_ok_and(|value| kind(value) == "an object");
    match text.filter(is_object) {
        Some(text) => Ok(Kind::JsonSchema(text)),
        None => Err(wrong_type(path, "a JSON schema, which is an object", value)),
    }
}

/// A grammar as text, in GBNF where it has that notation's sign and in Lark else; or an object that says which it is.
fn grammar(value: &RawValue, path: &str) -> Result<Option<Kind>, Error> {
    if kind(value) == "an object" {
        return of_syntax(Fields::of(value, path.to_owned())?).map(Some);
    }
    let text: String =
        serde_json::from_str(value.get()).map_err(|_| wrong_type(path, "a string or an object", value))?;
    Ok(match text.trim() {
        "" => None,
        trimmed if trimmed.contains("::=") => Some(Kind::Gbnf(text)),
        _ => Some(Kind::Lark(text)),
    })
}

/// `{"syntax": …, "definition": …}` as OpenAI's custom tools have it, or `{"type": …, "value": …}` as
/// text-generation-inference does.
fn of_syntax(mut fields: Fields<'_>) -> Result<Kind, Error> {
    let by_type = fields.word("type", &["lark", "regex", "gbnf", "json", "json_schema"])?;
    let syntax = by_type.or(fields.word("syntax", &["lark", "regex", "gbnf"])?);
    let name = if by_type.is_some() { "value" } else { "definition" };
    let path = fields.path_of(name);
    let Some(value) = fields.raw(name) else {
        return Err(Error::invalid(path.as_str(), format!("{path} is missing; it must be the grammar")));
    };
    let text = || serde_json::from_str(value.get()).map_err(|_| wrong_type(path.as_str(), "a string", value));
    match syntax {
        Some("regex") => Ok(Kind::Regex(text()?)),
        Some("gbnf") => Ok(Kind::Gbnf(text()?)),
        Some("lark") => Ok(Kind::Lark(text()?)),
        Some(_) => schema(value, &path),
        None => {
            let path = fields.path_of("syntax");
            let message = format!("{path} is missing; it must be lark, regex or gbnf");
            Err(Error::invalid(path, message))
        }
    }
}

#[cfg(test)]
mod tests;
