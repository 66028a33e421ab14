//! `text`: what the text of a response has to be, and how verbose.

use impetus_proto::{
    Error,
    worker::{Chat, Structure},
};
use serde_json::{Map, Value, value::RawValue};

use super::Asked;
use crate::dialect::openai::{field::Fields, ignored::Ignored, structure};

/// The template variable for verbosity, which templates that know none leave aside.
const VERBOSITY: &str = "verbosity";

/// Takes `text`.
pub(super) fn take(
    fields: &mut Fields<'_>,
    chat: &mut Chat,
    asked: &mut Asked,
    ignored: &mut Ignored,
) -> Result<(), Error> {
    let Some(mut text) = fields.object("text")? else { return Ok(()) };
    if let Some(format) = text.raw("format") {
        let read = structure::format_of(Fields::of(format, "text.format".to_owned())?, ignored)?;
        asked.text.format.structure = read.map(|(_, kind)| Structure { structure: Some(kind) });
        asked.text.format.given = Some(RawValue::to_owned(format));
    }
    if let Some(verbosity) = text.word(VERBOSITY, &["low", "medium", "high"])? {
        asked.text.verbosity = verbosity;
        // What is the default needs no saying, and would make the prompt another one.
        if verbosity != "medium" {
            say(chat, verbosity)?;
        }
    }
    ignored.add("text.", &text);
    Ok(())
}

/// Adds the verbosity to the variables of the template, unless the client has set it there.
fn say(chat: &mut Chat, verbosity: &str) -> Result<(), Error> {
    let arguments = &mut chat.template_arguments_json;
    let mut variables: Map<String, Value> = if arguments.is_empty() {
        Map::new()
    } else {
        serde_json::from_str(arguments).map_err(|error| {
            Error::invalid("chat_template_kwargs", format!("chat_template_kwargs cannot be read: {error}"))
        })?
    };
    variables.entry(VERBOSITY).or_insert_with(|| verbosity.into());
    *arguments = Value::Object(variables).to_string();
    Ok(())
}
