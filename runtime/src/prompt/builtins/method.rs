//! Methods of Python's strings, lists and dicts, as far as templates use them.

use minijinja::value::from_args;
use minijinja::{Error, State, Value};
use minijinja_contrib::pycompat;

use super::super::budget;
use super::text;

/// Calls a method that the template engine does not know.
pub(super) fn call(
    state: &mut State,
    value: &Value,
    method: &str,
    arguments: &[Value],
) -> Result<Value, Error> {
    if let Some(string) = value.as_str()
        && let Some(result) = bounded_method(string, method, arguments)?
    {
        return Ok(result);
    }
    pycompat::unknown_method_callback(state, value, method, arguments)
}

/// The methods whose result can be much larger than their arguments, and some that are missing.
fn bounded_method(string: &str, method: &str, arguments: &[Value]) -> Result<Option<Value>, Error> {
    let result = match method {
        "replace" => {
            let (old, new, count): (&str, &str, Option<i64>) = from_args(arguments)?;
            text::replaced(string, old, new, count)?
        }
        "join" => {
            let (values,): (&Value,) = from_args(arguments)?;
            text::joined(values, string, None)?
        }
        "format" => {
            text::check_format(string, arguments)?;
            return Ok(None);
        }
        "split" | "splitlines" => {
            let separator = arguments.first().and_then(|value| value.as_str());
            let parts = match separator {
                Some(separator) => string.matches(separator).count() + 1,
                None => string.split_whitespace().count().max(string.lines().count()),
            };
            budget::charge_items(parts)?;
            return Ok(None);
        }
        "rsplit" => {
            let (separator, limit): (&str, Option<i64>) = from_args(arguments)?;
            let limit =
                limit.and_then(|limit| usize::try_from(limit).ok()).map_or(usize::MAX, |limit| limit + 1);
            budget::charge_items(string.matches(separator).count() + 1)?;
            let mut parts: Vec<Value> = string.rsplitn(limit, separator).map(Value::from).collect();
            parts.reverse();
            Value::from(parts)
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(arguments)?;
            Value::from(string.strip_prefix(prefix).unwrap_or(string))
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(arguments)?;
            Value::from(string.strip_suffix(suffix).unwrap_or(string))
        }
        _ => return Ok(None),
    };
    Ok(Some(result))
}
