//! Values within schemas: numbers and texts that can be written as they are.

use serde_json::Value as Json;

use crate::sampling::grammar::GrammarError;
use crate::sampling::grammar::schema::place::Place;

/// The magnitude below which every integer is a double.
pub(super) const MAX_NUMBER: f64 = 9_007_199_254_740_992.0;

/// Constants within constants.
const MAX_CONSTANT_DEPTH: usize = 32;

/// Refuses constants that a double or a string of ours cannot hold.
pub(super) fn check_constant(
    value: &Json,
    keyword: &str,
    place: &Place,
    depth: usize,
) -> Result<(), GrammarError> {
    if depth > MAX_CONSTANT_DEPTH {
        return Err(place.refused(keyword, "has values too deep within each other"));
    }
    match value {
        Json::Null | Json::Bool(_) => Ok(()),
        Json::Number(_) => check_number(value, keyword, place).map(drop),
        Json::String(text) => check_text(text, keyword, place),
        Json::Array(items) => {
            items.iter().try_for_each(|item| check_constant(item, keyword, place, depth + 1))
        }
        Json::Object(object) => object.iter().try_for_each(|(key, value)| {
            check_text(key, keyword, place)?;
            check_constant(value, keyword, place, depth + 1)
        }),
    }
}

/// A number that can be compared exactly.
pub(super) fn check_number(value: &Json, keyword: &str, place: &Place) -> Result<f64, GrammarError> {
    let number = value.as_f64().ok_or_else(|| place.refused(keyword, "is not a number"))?;
    let is_small = number != 0.0 && number.abs() < 1e-9;
    if number.abs() >= MAX_NUMBER || is_small {
        return Err(place.refused(
            keyword,
            "has a number that cannot be enforced exactly: magnitudes from 1e-9 to 2^53 can",
        ));
    }
    Ok(number)
}

/// A length or a count.
pub(super) fn check_count(
    value: &Json,
    keyword: &str,
    limit: u64,
    place: &Place,
) -> Result<u64, GrammarError> {
    // A draft may write 2.0.
    let whole = value.as_f64().filter(|count| count.fract() == 0.0 && *count >= 0.0 && *count <= MAX_NUMBER);
    let count = value.as_u64().or(whole.map(|count| count as u64));
    let count = count.ok_or_else(|| place.refused(keyword, "is not a number of things"))?;
    if count > limit {
        return Err(place.refused(keyword, format!("is {count}; at most {limit} can be enforced")));
    }
    Ok(count)
}

/// Refuses control characters that would need `\u` to be written.
pub(super) fn check_text(text: &str, keyword: &str, place: &Place) -> Result<(), GrammarError> {
    let writable = |char: char| {
        !char.is_control() || matches!(char, '\u{8}' | '\u{c}' | '\n' | '\r' | '\t' | '\u{80}'..)
    };
    if text.chars().all(writable) {
        return Ok(());
    }
    Err(place.refused(keyword, "has a control character, which cannot be written"))
}
