//! What is to be embedded: a string or token ids, alone or in an array.

use impetus_proto::{
    Error,
    worker::{EmbedInput, Tokens, embed_input::Input},
};
use serde_json::value::RawValue;

use crate::dialect::{
    field::{Fields, elements, integer, kind, wrong_type},
    openai::prompt::MAX_TOKENS,
};

const EXPECTED: &str = "a string, an array of strings, an array of token ids, or an array of such arrays";

/// The most inputs of one request, as in OpenAI's API.
const MAX_INPUTS: usize = 2048;

/// Takes `input`.
pub(super) fn inputs(fields: &mut Fields<'_>) -> Result<Vec<EmbedInput>, Error> {
    let Some(value) = fields.raw("input") else {
        return Err(Error::invalid("input", format!("input is missing; it must be {EXPECTED}")));
    };
    if kind(value) == "a string" {
        return Ok(vec![text(value, "input")?]);
    }
    let items = elements(value, "input", EXPECTED, MAX_TOKENS)?;
    let Some(first) = items.first().map(|item| kind(item)) else {
        return Err(Error::invalid("input", format!("input is empty; it must be {EXPECTED}")));
    };
    if first == "a number" {
        return Ok(vec![tokens(&items, "input")?]);
    }
    if items.len() > MAX_INPUTS {
        let message = format!("input has {} elements; at most {MAX_INPUTS} are possible", items.len());
        return Err(Error::invalid("input", message));
    }
    items.iter().enumerate().map(|(idx, item)| element(item, &format!("input[{idx}]"), first)).collect()
}

/// An element of an array whose first one is `first`; they are all of one kind.
fn element(item: &RawValue, path: &str, first: &str) -> Result<EmbedInput, Error> {
    match kind(item) {
        "a string" if first == "a string" => text(item, path),
        "an array" if first == "an array" => {
            tokens(&elements(item, path, "an array of token ids", MAX_TOKENS)?, path)
        }
        other if other != first => {
            let message = format!("{path} must be {first}, as the first element is, not {other}");
            Err(Error::invalid(path, message))
        }
        _ => Err(wrong_type(path, "a string, a token id or an array of token ids", item)),
    }
}

fn text(value: &RawValue, path: &str) -> Result<EmbedInput, Error> {
    let text: String =
        serde_json::from_str(value.get()).map_err(|_| wrong_type(path, "a string of Unicode text", value))?;
    if text.is_empty() {
        return Err(Error::invalid(path, format!("{path} is an empty string: there is nothing to embed")));
    }
    Ok(EmbedInput { input: Some(Input::Text(text)) })
}

fn tokens(items: &[&RawValue], path: &str) -> Result<EmbedInput, Error> {
    if items.is_empty() {
        return Err(Error::invalid(path, format!("{path} is an empty array: there is nothing to embed")));
    }
    let range = 0..=i64::from(i32::MAX);
    let token = |(idx, item): (usize, &&RawValue)| {
        // The name is made for the error alone: there may be millions of tokens.
        let id = integer(item, path, range.clone());
        id.or_else(|_| integer(item, &format!("{path}[{idx}]"), range.clone())).map(|id| id as u32)
    };
    let ids = items.iter().enumerate().map(token).collect::<Result<_, _>>()?;
    Ok(EmbedInput { input: Some(Input::Tokens(Tokens { ids })) })
}
