//! What one rendering may use. The template engine counts instructions; bytes, time and depth are counted here, by
//! the functions that replace its own and by the checks that [`super::rewrite`] adds.

use std::cell::Cell;
use std::fmt::{self, Write};
use std::time::{Duration, Instant};

use minijinja::value::{DynObject, ObjectRepr, ValueKind};
use minijinja::{Error, ErrorKind, Value};

use super::error::{Limit, Passed};

/// What one rendering may use at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Bytes of the output, and of a string that an expression has as its value.
    pub(super) text_bytes: usize,
    /// Elements of a list that an expression has as its value.
    pub(super) items: usize,
    /// Bytes of all values that are made, whether or not they are kept.
    pub(super) made_bytes: usize,
    /// Bytes written, those captured in variables and macros included.
    pub(super) written_bytes: usize,
    /// Wall-clock time.
    pub(super) time: Duration,
}

/// Lists in lists in lists. JSON is not read any deeper.
const MAX_DEPTH: usize = 150;

/// What an element of a list or of a map costs, in bytes.
const ITEM_BYTES: usize = 48;

/// What a rendering has used.
#[derive(Debug, Clone, Copy)]
struct Used {
    limits: Limits,
    made_bytes: usize,
    written_bytes: usize,
    deadline: Option<Instant>,
}

thread_local! {
    /// Each rendering has a thread to itself.
    static USED: Cell<Used> = const {
        Cell::new(Used { limits: Limits::DEFAULT, made_bytes: 0, written_bytes: 0, deadline: None })
    };
}

impl Limits {
    /// A million tokens are 4 MiB of text; a rendering that small makes a few times that.
    pub(super) const DEFAULT: Self = Self {
        text_bytes: 8 << 20,
        items: 100_000,
        made_bytes: 512 << 20,
        written_bytes: 64 << 20,
        time: Duration::from_secs(4),
    };
}

/// Starts counting, on the thread that renders.
pub(super) fn start(limits: Limits) {
    let deadline = Some(Instant::now() + limits.time);
    USED.set(Used { limits, made_bytes: 0, written_bytes: 0, deadline });
}

/// The limits of this rendering.
pub(super) fn limits() -> Limits {
    USED.get().limits
}

/// The error that says which limit was passed.
pub(super) fn exceeded(limit: Limit) -> Error {
    Error::new(ErrorKind::InvalidOperation, format!("the template exceeds its limit of {limit}"))
        .with_source(Passed(limit))
}

/// Accounts for a value of `bytes` that is about to be made.
pub(super) fn charge(bytes: usize) -> Result<(), Error> {
    if USED.get().deadline.is_some_and(|deadline| Instant::now() > deadline) {
        return Err(exceeded(Limit::Time));
    }
    charge_untimed(bytes)
}

/// As [`charge`], without a look at the clock.
fn charge_untimed(bytes: usize) -> Result<(), Error> {
    let mut used = USED.get();
    used.made_bytes = used.made_bytes.saturating_add(bytes);
    USED.set(used);
    if used.made_bytes > used.limits.made_bytes { Err(exceeded(Limit::Memory)) } else { Ok(()) }
}

/// Accounts for a string of `bytes` that is about to be made.
pub(super) fn charge_text(bytes: usize) -> Result<(), Error> {
    if bytes > limits().text_bytes { Err(exceeded(Limit::Memory)) } else { charge(bytes) }
}

/// Accounts for a list of `count` elements that is about to be made.
pub(super) fn charge_items(count: usize) -> Result<(), Error> {
    if count > limits().items { Err(exceeded(Limit::Memory)) } else { charge(count * ITEM_BYTES) }
}

/// Accounts for `bytes` about to be written.
pub(super) fn charge_output(bytes: usize) -> Result<(), Error> {
    let mut used = USED.get();
    used.written_bytes = used.written_bytes.saturating_add(bytes);
    USED.set(used);
    if used.written_bytes > used.limits.written_bytes { Err(exceeded(Limit::Output)) } else { charge(bytes) }
}

/// Lets the value of an expression pass if it is small enough to be kept. Iterators become lists, so that their
/// elements are counted and no iterator hides a chain of others.
pub(super) fn bounded(value: Value) -> Result<Value, Error> {
    if let Some(text) = value.as_str() {
        charge_text(text.len())?;
        return Ok(value);
    }
    if value.kind() == ValueKind::Iterable && !value.is_kwargs() {
        let mut items = Vec::new();
        for item in value.try_iter()?.checked() {
            if items.len() == limits().items {
                return Err(exceeded(Limit::Memory));
            }
            items.push(item?);
        }
        charge_items(items.len())?;
        let list = Value::from(items);
        measure(&list, 0)?;
        return Ok(list);
    }
    measure(&value, 0)?;
    Ok(value)
}

/// As [`bounded`], for what is stored in a namespace: no namespace, or it could come to contain itself.
pub(super) fn stored(value: Value) -> Result<Value, Error> {
    if value.as_object().is_some_and(is_namespace) {
        return Err(Error::new(ErrorKind::InvalidOperation, "a namespace cannot be kept in a namespace"));
    }
    bounded(value)
}

/// The text of a value, as the template engine writes it.
pub(super) fn text(value: &Value) -> Result<String, Error> {
    let mut text = Capped::default();
    append(&mut text, value)?;
    Ok(text.into_inner())
}

/// Appends the text of a value.
pub(super) fn append(text: &mut Capped, value: &Value) -> Result<(), Error> {
    if let Some(part) = value.as_str() {
        return text.push(part);
    }
    measure(value, 0)?;
    write!(text, "{value}").map_err(|_| exceeded(Limit::Memory))
}

/// Checks depth and size of a value that may contain others.
fn measure(value: &Value, depth: usize) -> Result<(), Error> {
    let Some(object) = value.as_object() else { return charge(0) };
    if depth > MAX_DEPTH {
        return Err(exceeded(Limit::Depth));
    }
    if depth > 0 && is_namespace(object) {
        return Err(Error::new(ErrorKind::InvalidOperation, "a namespace cannot be an element"));
    }
    charge(ITEM_BYTES)?;
    match object.repr() {
        ObjectRepr::Map => {
            for (_, element) in object.try_iter_pairs().into_iter().flatten() {
                measure_element(&element, depth)?;
            }
        }
        ObjectRepr::Seq | ObjectRepr::Iterable => {
            for (count, element) in object.try_iter().into_iter().flatten().enumerate() {
                if count == limits().items {
                    return Err(exceeded(Limit::Memory));
                }
                measure_element(&element, depth)?;
            }
        }
        _ => {}
    }
    Ok(())
}

fn measure_element(element: &Value, depth: usize) -> Result<(), Error> {
    if element.as_object().is_some() { measure(element, depth + 1) } else { charge_untimed(ITEM_BYTES) }
}

fn is_namespace(object: &DynObject) -> bool {
    object.type_name().ends_with("::Namespace")
}

/// A string that refuses to become too long.
#[derive(Default)]
pub(super) struct Capped(String);

impl Capped {
    /// Appends `part`.
    pub(super) fn push(&mut self, part: &str) -> Result<(), Error> {
        self.write_str(part).map_err(|_| exceeded(Limit::Memory))
    }

    /// What was written. It is not accounted for yet.
    pub(super) fn into_inner(self) -> String {
        self.0
    }
}

impl Write for Capped {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        if self.0.len() + part.len() > limits().text_bytes {
            return Err(fmt::Error);
        }
        self.0.push_str(part);
        Ok(())
    }
}
