//! `text`: what the text of a response has to be.

use impetus_proto::{Code, Error, worker::Structure};
use serde_json::value::RawValue;

use super::Asked;
use crate::dialect::{field::Fields, ignored::Ignored, openai::structure};

/// The verbosity of every answer, as of chat completions.
const MEDIUM: &str = "medium";

/// Takes `text`.
pub(super) fn take(fields: &mut Fields<'_>, asked: &mut Asked, ignored: &mut Ignored) -> Result<(), Error> {
    let Some(mut text) = fields.object("text")? else { return Ok(()) };
    if let Some(format) = text.raw("format") {
        let read = structure::format_of(Fields::of(format, "text.format".to_owned())?, ignored)?;
        asked.text.format.structure = read.map(|(_, kind)| Structure { structure: Some(kind) });
        asked.text.format.given = Some(RawValue::to_owned(format));
    }
    let verbosity = text.word("verbosity", &["low", "medium", "high"])?;
    if verbosity.is_some_and(|verbosity| verbosity != MEDIUM) {
        let message = format!(
            "`text.verbosity` is not supported but for {MEDIUM:?}: say in the instructions how long answers are to \
             be, or set what the model's template knows of it in chat_template_kwargs"
        );
        return Err(Error::new(Code::UnsupportedParameter, message).with_param("text.verbosity"));
    }
    ignored.add("text.", &text);
    Ok(())
}
