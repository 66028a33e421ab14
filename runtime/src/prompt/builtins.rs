//! The functions, filters and methods that templates call: those that Hugging Face adds to Jinja, and bounded
//! versions of those of the template engine that could allocate without end.

mod json;
mod list;
mod method;
mod text;

use std::fmt::Write;

use chrono::{DateTime, Local};
use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Environment, Error, ErrorKind, Output, State, Value};

use super::budget::{self, Capped};
use super::error::{Limit, Raised};
use super::rewrite::{BOUNDED, MULTIPLY, RAW_TEXT, STORED};

/// The longest format that `strftime_now` takes, in bytes.
const MAX_TIME_FORMAT_BYTES: usize = 256;

/// Puts everything that a template may call into its environment.
pub(super) fn install(environment: &mut Environment<'static>) {
    environment.set_formatter(write_value);
    environment.set_unknown_method_callback(method::call);
    environment.add_function("raise_exception", raise_exception);
    environment.add_function("range", list::range);
    environment.add_function(MULTIPLY, multiply);
    environment.add_function(RAW_TEXT, raw_text);
    environment.add_filter(BOUNDED, budget::bounded);
    environment.add_filter(STORED, budget::stored);
    environment.add_filter("tojson", json::tojson);
    environment.add_filter("from_json", json::from_json);
    environment.add_test("iterable", is_iterable);
    environment.add_test("sequence", is_sequence);
    text::install(environment);
    list::install(environment);
    // Shows all variables of the template; nothing that a template should do.
    environment.remove_global("debug");
}

/// The function that tells a template the time.
pub(super) fn strftime_now(now: DateTime<Local>) -> Value {
    Value::from_function(move |format: &str| -> Result<String, Error> {
        if format.len() > MAX_TIME_FORMAT_BYTES {
            return Err(budget::exceeded(Limit::Memory));
        }
        let mut text = Capped::default();
        write!(text, "{}", now.format(format)).map_err(|_| {
            Error::new(ErrorKind::InvalidOperation, "strftime_now does not understand its format")
        })?;
        Ok(text.into_inner())
    })
}

fn raise_exception(message: Value) -> Result<Value, Error> {
    let message = budget::text(&message)?;
    Err(Error::new(ErrorKind::InvalidOperation, "raise_exception").with_source(Raised(message)))
}

/// Writes a value as Jinja does.
fn write_value(output: &mut Output, _: &mut State, value: &Value) -> Result<(), Error> {
    let owned;
    let text = match value.as_str() {
        Some(text) => text,
        None if value.is_undefined() => return Ok(()),
        None => {
            owned = budget::text(value)?;
            &owned
        }
    };
    budget::charge_output(text.len())?;
    output.write_str(text).map_err(Error::from)
}

/// Jinja's `iterable`: nothing is not, something undefined is.
fn is_iterable(value: Value) -> bool {
    let kind = value.kind();
    kind == ValueKind::Undefined || kind == ValueKind::Iterable || is_sequence(value)
}

/// Jinja's `sequence`: whatever has a length and elements.
fn is_sequence(value: Value) -> bool {
    matches!(value.kind(), ValueKind::String | ValueKind::Seq | ValueKind::Map)
}

/// Accounts for text of the template itself, where it may be written again and again.
fn raw_text(bytes: usize) -> Result<&'static str, Error> {
    budget::charge_output(bytes)?;
    Ok("")
}

/// The operator `*`.
fn multiply(left: Value, right: Value) -> Result<Value, Error> {
    let is_many =
        |value: &Value| matches!(value.kind(), ValueKind::String | ValueKind::Seq | ValueKind::Iterable);
    match (is_many(&left), is_many(&right)) {
        (true, _) => repeat(&left, &right),
        (_, true) => repeat(&right, &left),
        _ => product(&left, &right),
    }
}

fn repeat(value: &Value, times: &Value) -> Result<Value, Error> {
    let times =
        times.as_i64().ok_or_else(|| cannot("strings and lists can only be multiplied with integers"))?;
    // As in Python, a negative number of times is none.
    let times = usize::try_from(times).unwrap_or(0);
    if let Some(text) = value.as_str() {
        budget::charge_text(text.len().saturating_mul(times))?;
        return Ok(Value::from(text.repeat(times)));
    }
    let mut items = Vec::new();
    for item in value.try_iter()?.checked() {
        items.push(item?);
        if items.len() > budget::limits().items {
            return Err(budget::exceeded(Limit::Memory));
        }
    }
    budget::charge_items(items.len().saturating_mul(times))?;
    Ok(std::iter::repeat_n(items, times).flatten().collect())
}

fn product(left: &Value, right: &Value) -> Result<Value, Error> {
    let integer = |value: &Value| value.as_i64().filter(|_| value.is_integer());
    if let (Some(left), Some(right)) = (integer(left), integer(right)) {
        let product = left.checked_mul(right);
        return product.map(Value::from).ok_or_else(|| cannot("the product is too large"));
    }
    let as_float = |value: &Value| f64::try_from(value.clone()).map_err(|_| cannot("* needs numbers"));
    Ok(Value::from(as_float(left)? * as_float(right)?))
}

/// An argument given by position or else by name.
fn argument<'a, T>(position: Option<T>, named: &'a Kwargs, name: &'a str) -> Result<Option<T>, Error>
where
    T: minijinja::value::ArgType<'a, Output = T>,
{
    match position {
        Some(value) => Ok(Some(value)),
        None if named.has(name) => named.get(name).map(Some),
        None => Ok(None),
    }
}

fn cannot(reason: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason)
}
