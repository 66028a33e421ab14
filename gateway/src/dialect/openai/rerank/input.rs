//! What is to be ranked: strings, or objects with a `text`.

use impetus_proto::Error;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::MAX_DOCUMENTS;
use crate::dialect::field::{Fields, elements, kind, wrong_type};

const EXPECTED: &str = "an array of strings or of objects with a text";

/// A document.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Document {
    pub(super) text: String,
    /// The object that it was given as.
    object: Option<String>,
}

impl Document {
    /// The document as an answer shows it: an object in any case.
    pub(super) fn into_object(self) -> Box<RawValue> {
        #[derive(Serialize)]
        struct Text<'a> {
            text: &'a str,
        }

        let given = self.object.and_then(|object| RawValue::from_string(object).ok());
        given.unwrap_or_else(|| to_raw_value(&Text { text: &self.text }).expect("a string serializes"))
    }
}

/// Takes `documents`, or `texts` of text-embeddings-inference; answers whether it was the latter.
pub(super) fn documents(fields: &mut Fields<'_>) -> Result<(Vec<Document>, bool), Error> {
    let (value, name) = match (fields.raw("documents"), fields.raw("texts")) {
        (Some(_), Some(_)) => {
            return Err(Error::invalid("texts", "texts and documents exclude each other; send documents"));
        }
        (Some(value), None) => (value, "documents"),
        (None, Some(value)) => (value, "texts"),
        (None, None) => {
            let message = format!("documents is missing; it must be {EXPECTED}");
            return Err(Error::invalid("documents", message));
        }
    };
    let items = elements(value, name, EXPECTED, MAX_DOCUMENTS)?;
    if items.is_empty() {
        return Err(Error::invalid(name, format!("{name} is empty; it must be {EXPECTED}")));
    }
    let items = items.iter().enumerate();
    let documents = items.map(|(idx, item)| document(item, format!("{name}[{idx}]")));
    Ok((documents.collect::<Result<_, _>>()?, name == "texts"))
}

fn document(value: &RawValue, path: String) -> Result<Document, Error> {
    if kind(value) == "a string" {
        let text = serde_json::from_str(value.get());
        let text = text.map_err(|_| wrong_type(path, "a string of Unicode text", value))?;
        return Ok(Document { text, object: None });
    }
    if kind(value) != "an object" {
        return Err(wrong_type(path, "a string or an object with a text", value));
    }
    let mut fields = Fields::of(value, path)?;
    let name = fields.path_of("text");
    let Some(text) = fields.text("text")? else {
        return Err(Error::invalid(name.as_str(), format!("{name} is missing; it must be a string")));
    };
    Ok(Document { text, object: Some(value.get().to_owned()) })
}

/// The error with the client's own name of the documents.
pub(super) fn renamed(mut error: Error, is_list: bool) -> Error {
    if is_list && let Some(place) = error.param.strip_prefix("documents") {
        error.param = format!("texts{place}");
    }
    error
}
