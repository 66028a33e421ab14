//! Filters of lists. The template engine's own do the work, once their input is known to be small enough.

use minijinja::value::{Rest, ValueOrKwargs};
use minijinja::{Environment, Error, State, Value, filters};

use super::super::budget;
use super::super::rewrite::RESERVED_PREFIX;
use super::cannot;

/// Replaces each filter by one that checks its arguments first; the original remains under a name that templates
/// cannot use.
macro_rules! checked {
    ($environment:ident, $check:ident, $($name:literal => $filter:path),+ $(,)?) => {$(
        $environment.add_filter(concat!("_impetus_", $name), $filter);
        $environment.add_filter($name, |state: &mut State, arguments: Rest<ValueOrKwargs>| {
            let arguments = arguments.into_values();
            $check(&arguments)?;
            state.apply_filter(concat!("_impetus_", $name), &arguments)
        });
    )+};
}

pub(super) fn install(environment: &mut Environment<'static>) {
    checked!(environment, check_items,
        "list" => filters::list,
        "sort" => filters::sort,
        "unique" => filters::unique,
        "select" => filters::select,
        "reject" => filters::reject,
        "selectattr" => filters::selectattr,
        "rejectattr" => filters::rejectattr,
        "groupby" => filters::groupby,
        "dictsort" => filters::dictsort,
        "min" => filters::min,
        "max" => filters::max,
        "split" => filters::split,
        "lines" => filters::lines,
    );
    checked!(environment, check_map, "map" => filters::map);
    checked!(environment, check_parts, "batch" => filters::batch, "slice" => filters::slice);
    checked!(environment, check_sum, "sum" => filters::sum);
    // Not Jinja's, and each makes a value that hides how deep it is.
    environment.remove_filter("chain");
    environment.remove_filter("zip");
}

/// Python's `range`.
pub(super) fn range(first: i64, second: Option<i64>, step: Option<i64>) -> Result<Value, Error> {
    let (start, stop) = second.map_or((0, first), |stop| (first, stop));
    let step = step.unwrap_or(1);
    let span = match step.signum() {
        1 => i128::from(stop) - i128::from(start),
        -1 => i128::from(start) - i128::from(stop),
        _ => return Err(cannot("range needs a step other than zero")),
    };
    let size = i128::from(step).abs();
    let count = usize::try_from((span + size - 1).max(0) / size).unwrap_or(usize::MAX);
    budget::charge_items(count)?;
    Ok((0..count as i64).map(|index| Value::from(start + index * step)).collect())
}

/// Counts the elements of the first argument, characters in case of a string.
fn check_items(arguments: &[Value]) -> Result<(), Error> {
    let Some(value) = arguments.first() else { return Ok(()) };
    if let Some(text) = value.as_str() {
        return budget::charge_items(text.len());
    }
    match value.len() {
        Some(count) => budget::charge_items(count),
        None => match value.try_iter() {
            Ok(items) => budget::charge_items(items.take(budget::limits().items + 1).count()),
            Err(_) => budget::charge(0),
        },
    }
}

fn check_map(arguments: &[Value]) -> Result<(), Error> {
    if arguments.iter().any(|value| value.as_str().is_some_and(|name| name.starts_with(RESERVED_PREFIX))) {
        return Err(cannot("there is no such filter"));
    }
    check_items(arguments)
}

fn check_parts(arguments: &[Value]) -> Result<(), Error> {
    for value in &arguments[1..] {
        if value.as_i64().is_some() {
            // A list is made for each part even if it stays empty.
            budget::charge_items(value.as_usize().unwrap_or(usize::MAX))?;
        }
    }
    check_items(arguments)
}

/// Adding strings takes time and memory in the square of their number; that is what `join` is for.
fn check_sum(arguments: &[Value]) -> Result<(), Error> {
    let named = arguments.last().filter(|last| last.is_kwargs());
    let start = named.and_then(|named| named.get_attr("start").ok());
    let is_text = |value: &Value| value.as_str().is_some();
    if start.as_ref().is_some_and(is_text) || arguments.get(2).is_some_and(is_text) {
        return Err(cannot("sum adds numbers; use join for strings"));
    }
    check_items(arguments)
}
