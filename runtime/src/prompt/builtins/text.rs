//! Filters of strings.

use minijinja::value::{Kwargs, Rest, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value, filters};

use super::super::budget::{self, Capped};
use super::super::error::Limit;
use super::{argument, cannot};

/// The widest padding that a format may ask for, in digits of its width.
const MAX_WIDTH_DIGITS: usize = 3;
const MAX_WIDTH: usize = 1000;

/// What a character may grow to when it is escaped or changes its case, in bytes per byte.
const GROWTH: usize = 6;

/// How many replacements are made between looks at the clock.
const MATCHES_PER_CHECK: usize = 4096;

pub(super) fn install(environment: &mut Environment<'static>) {
    environment.add_filter("replace", replace);
    environment.add_filter("join", join);
    environment.add_filter("indent", indent);
    environment.add_filter("string", |value: Value| string(&value));
    environment.add_filter("pprint", |value: Value| string(&value));
    environment.add_filter("format", format);
    environment.add_filter("escape", escape);
    environment.add_filter("e", escape);
    environment.add_filter("safe", |value: Value| string(&value));
}

/// `text` with `old` replaced by `new`, the first `count` times or always.
pub(super) fn replaced(text: &str, old: &str, new: &str, count: Option<i64>) -> Result<Value, Error> {
    let limit = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
    let mut output = Capped::default();
    let mut copied = 0;
    for (index, (at, _)) in text.match_indices(old).take(limit).enumerate() {
        if index.is_multiple_of(MATCHES_PER_CHECK) {
            budget::charge(0)?;
        }
        output.push(&text[copied..at])?;
        output.push(new)?;
        copied = at + old.len();
    }
    output.push(&text[copied..])?;
    let output = output.into_inner();
    budget::charge(output.len())?;
    Ok(Value::from(output))
}

/// The texts of `values` with `separator` between them.
pub(super) fn joined(values: &Value, separator: &str, attribute: Option<&str>) -> Result<Value, Error> {
    let mut text = Capped::default();
    if values.is_undefined() {
        return Ok(Value::from(""));
    }
    for (index, value) in values.try_iter()?.checked().enumerate() {
        if index > 0 {
            text.push(separator)?;
        }
        let value = value?;
        match attribute {
            Some(attribute) => budget::append(&mut text, &value.get_attr(attribute)?)?,
            None => budget::append(&mut text, &value)?,
        }
    }
    let text = text.into_inner();
    budget::charge(text.len())?;
    Ok(Value::from(text))
}

/// Refuses a format, printf's or Python's, whose result could be out of proportion.
pub(super) fn check_format(format: &str, arguments: &[Value]) -> Result<(), Error> {
    let mut digits = 0;
    for byte in format.bytes() {
        digits = if byte.is_ascii_digit() { digits + 1 } else { 0 };
        if digits > MAX_WIDTH_DIGITS || byte == b'*' {
            return Err(cannot("the format asks for a width that is not supported"));
        }
    }
    let places = format.bytes().filter(|byte| matches!(byte, b'%' | b'{')).count();
    let mut longest = MAX_WIDTH;
    for argument in arguments {
        // A width may come as an argument where the format nests fields.
        if argument.as_usize().is_some_and(|number| number > MAX_WIDTH) && format.contains(":{") {
            return Err(cannot("the format asks for a width that is not supported"));
        }
        longest = longest.max(budget::text(argument)?.len());
    }
    budget::charge_text(format.len().saturating_add(places.saturating_mul(longest)))
}

fn replace(value: Value, old: &str, new: &str, count: Option<i64>) -> Result<Value, Error> {
    replaced(&budget::text(&value)?, old, new, count)
}

fn join(values: Value, separator: Option<Value>, named: Kwargs) -> Result<Value, Error> {
    let separator =
        argument(separator, &named, "d")?.map_or(Ok(String::new()), |value| budget::text(&value))?;
    let attribute = named.get::<Option<&str>>("attribute")?;
    named.assert_all_used()?;
    joined(&values, &separator, attribute)
}

/// Jinja's `indent`: every line but the first and the blank ones, unless asked for.
fn indent(
    value: Value,
    width: Option<Value>,
    first: Option<bool>,
    blank: Option<bool>,
    named: Kwargs,
) -> Result<Value, Error> {
    let text = budget::text(&value)?;
    let width = argument(width, &named, "width")?;
    let first = argument(first, &named, "first")?.unwrap_or(false);
    let blank = argument(blank, &named, "blank")?.unwrap_or(false);
    named.assert_all_used()?;
    let margin = match width {
        None => " ".repeat(4),
        Some(width) => match (width.as_usize(), width.as_str()) {
            (Some(width), _) if width <= MAX_WIDTH => " ".repeat(width),
            (None, Some(margin)) => margin.to_owned(),
            _ => return Err(cannot("indent needs a width of at most 1000, or a string")),
        },
    };
    let lines = text.bytes().filter(|&byte| byte == b'\n').count() + 1;
    budget::charge_text(text.len().saturating_add(lines.saturating_mul(margin.len())))?;
    let mut indented = String::with_capacity(text.len());
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            indented.push('\n');
        }
        let wanted = if index == 0 { first } else { blank || !line.trim().is_empty() };
        if wanted {
            indented.push_str(&margin);
        }
        indented.push_str(line);
    }
    Ok(Value::from(indented))
}

/// A value as a string. Nothing is escaped, so a safe string is just a string.
fn string(value: &Value) -> Result<Value, Error> {
    if value.as_str().is_some() {
        return Ok(value.clone());
    }
    let text = budget::text(value)?;
    budget::charge(text.len())?;
    Ok(Value::from(text))
}

fn format(state: &mut State, format: Value, arguments: Rest<ValueOrKwargs>) -> Result<Value, Error> {
    let text = format.as_str().ok_or_else(|| cannot("format needs a string"))?;
    let values = arguments.into_values();
    check_format(text, &values)?;
    let mut all = vec![format];
    all.extend(values);
    let arguments = minijinja::value::from_args::<(&Value, Rest<ValueOrKwargs>)>(&all)?;
    filters::format(state, arguments.0, arguments.1)
}

fn escape(state: &mut State, value: Value) -> Result<Value, Error> {
    let text = budget::text(&value)?;
    if text.len() > budget::limits().text_bytes / GROWTH {
        return Err(budget::exceeded(Limit::Memory));
    }
    budget::charge(text.len() * GROWTH)?;
    filters::escape(state, &Value::from(text))
}
