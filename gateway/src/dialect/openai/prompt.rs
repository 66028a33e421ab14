//! The prompts of a completion: strings or arrays of token ids, one or several.

use impetus_proto::{
    Error,
    worker::{Tokens, generate_request::Input},
};
use serde_json::value::RawValue;

use crate::dialect::field::{self, Fields, elements, kind, wrong_type};

const EXPECTED: &str = "a string, an array of strings, an array of token ids, or an array of such arrays";

/// The most tokens of a prompt; more than any model's context.
pub(super) const MAX_TOKENS: usize = 4 << 20;

/// The most prompts of a request.
pub(super) const MAX_PROMPTS: usize = 256;

/// Takes `prompt`.
pub(super) fn prompts(fields: &mut Fields<'_>) -> Result<Vec<Input>, Error> {
    let Some(value) = fields.raw("prompt") else {
        return Err(Error::invalid("prompt", format!("prompt is missing; it must be {EXPECTED}")));
    };
    if kind(value) == "a string" {
        return Ok(vec![text(value, "prompt")?]);
    }
    let items = elements(value, "prompt", EXPECTED, MAX_TOKENS)?;
    let of_each = |one: fn(&RawValue, &str) -> Result<Input, Error>| {
        if items.len() > MAX_PROMPTS {
            let message = format!("prompt must have at most {MAX_PROMPTS} prompts, not {}", items.len());
            return Err(Error::invalid("prompt", message));
        }
        items.iter().enumerate().map(|(i, item)| one(item, &format!("prompt[{i}]"))).collect()
    };
    match items.first().map(|item| kind(item)) {
        None => Err(Error::invalid("prompt", format!("prompt is empty; it must be {EXPECTED}"))),
        Some("a number") => Ok(vec![tokens(&items, "prompt")?]),
        Some("a string") => of_each(text),
        Some("an array") => of_each(|item, path| {
            let inner = elements(item, path, "an array of token ids", MAX_TOKENS)?;
            if inner.is_empty() {
                let message = format!("{path} is empty; it must have at least one token id");
                return Err(Error::invalid(path, message));
            }
            tokens(&inner, path)
        }),
        _ => Err(Error::invalid("prompt", format!("prompt must be {EXPECTED}"))),
    }
}

fn text(value: &RawValue, path: &str) -> Result<Input, Error> {
    serde_json::from_str(value.get()).map(Input::Text).map_err(|_| wrong_type(path, "a string", value))
}

fn tokens(items: &[&RawValue], path: &str) -> Result<Input, Error> {
    let ids = items
        .iter()
        .map(|item| field::integer(item, path, 0..=i64::from(i32::MAX)).map(|id| id as u32))
        .collect::<Result<_, _>>()?;
    Ok(Input::Tokens(Tokens { ids }))
}
