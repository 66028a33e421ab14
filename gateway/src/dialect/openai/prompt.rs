//! The prompt of a completion: a string or token ids, alone or in an array.

use impetus_proto::{
    Error,
    worker::{Tokens, generate_request::Input},
};
use serde_json::value::RawValue;

use super::{
    field::{self, Fields, elements, kind, wrong_type},
    parameter::unsupported,
};

const EXPECTED: &str = "a string, an array with one string, or an array of token ids";

/// The most tokens of a prompt; more than any model's context.
pub(super) const MAX_TOKENS: usize = 4 << 20;

/// Takes `prompt`.
pub(super) fn prompt(fields: &mut Fields<'_>) -> Result<Input, Error> {
    let Some(value) = fields.raw("prompt") else {
        return Err(Error::invalid("prompt", format!("prompt is missing; it must be {EXPECTED}")));
    };
    if kind(value) == "a string" {
        return text(value);
    }
    let items = elements(value, "prompt", EXPECTED, MAX_TOKENS)?;
    match (items.first().map(|item| kind(item)), items.len()) {
        (None, _) => Err(Error::invalid("prompt", format!("prompt is empty; it must be {EXPECTED}"))),
        (Some("a number"), _) => tokens(&items),
        (Some("a string"), 1) => text(items[0]),
        (Some("an array"), 1) => {
            let inner = elements(items[0], "prompt[0]", "an array of token ids", MAX_TOKENS)?;
            if inner.is_empty() {
                return Err(Error::invalid(
                    "prompt",
                    "prompt[0] is empty; it must have at least one token id",
                ));
            }
            tokens(&inner)
        }
        (Some("a string" | "an array"), several) => {
            let message =
                format!("{several} prompts in one request are not supported by this server; send one");
            Err(unsupported("prompt", message))
        }
        _ => Err(Error::invalid("prompt", format!("prompt must be {EXPECTED}"))),
    }
}

fn text(value: &RawValue) -> Result<Input, Error> {
    serde_json::from_str(value.get()).map(Input::Text).map_err(|_| wrong_type("prompt", EXPECTED, value))
}

fn tokens(items: &[&RawValue]) -> Result<Input, Error> {
    let ids = items
        .iter()
        .map(|item| field::integer(item, "prompt", 0..=i64::from(i32::MAX)).map(|id| id as u32))
        .collect::<Result<_, _>>()?;
    Ok(Input::Tokens(Tokens { ids }))
}
