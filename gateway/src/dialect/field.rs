//! The fields of a JSON object, read one by one so that an error names the field, what it was given and what it
//! takes. The values stay text until somebody takes them: a body costs no more memory than it is long.

use std::{fmt, ops::RangeInclusive};

use impetus_proto::Error;
use serde::{
    Deserialize, Deserializer,
    de::{self, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Value, json, value::RawValue};

pub(super) mod note;

use note::note;

/// The most fields of one object.
const MAX_FIELDS: usize = 256;

/// The deepest nesting of a body.
const MAX_DEPTH: usize = 128;

/// An object's fields that nobody has taken yet. `null` is the same as absent.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    /// Where the object stands, for error messages: empty, or like `messages[0]`.
    path: String,
    entries: Vec<(String, &'a RawValue)>,
}

impl<'a> Fields<'a> {
    /// The object that a request's body is.
    pub(super) fn of_body(body: &'a [u8]) -> Result<Self, Error> {
        if is_deeper_than(body, MAX_DEPTH) {
            return Err(Error::invalid("", format!("the body is nested deeper than {MAX_DEPTH} levels")));
        }
        let entries: Entries<'a> = serde_json::from_slice(body).map_err(|error| {
            Error::invalid("", format!("the body is not a JSON object of a request: {error}"))
        })?;
        Ok(Self { path: String::new(), entries: entries.0 })
    }

    /// The object that the value at `path` is.
    pub(super) fn of(value: &'a RawValue, path: String) -> Result<Self, Error> {
        match serde_json::from_str::<Entries<'a>>(value.get()) {
            Ok(entries) => Ok(Self { path, entries: entries.0 }),
            Err(_) if kind(value) == "an object" => {
                Err(Error::invalid(path, format!("the object has more than {MAX_FIELDS} fields")))
            }
            Err(_) => Err(wrong_type(path, "an object", value)),
        }
    }

    /// The full name of a field, as errors call it.
    pub(super) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Whether a field is there that nobody has taken yet.
    pub(super) fn has(&self, name: &str) -> bool {
        self.entries.iter().any(|(key, value)| key == name && value.get() != "null")
    }

    /// Takes a field as text. When a name occurs twice the last one counts, as in every JSON reader.
    pub(super) fn raw(&mut self, name: &str) -> Option<&'a RawValue> {
        self.note(name, || json!({}));
        let last = self.entries.iter().rposition(|(key, _)| key == name)?;
        let (_, value) = self.entries.remove(last);
        self.entries.retain(|(key, _)| key != name);
        (value.get() != "null").then_some(value)
    }

    /// Takes a field as a `T`; `expected` says in words what that is.
    pub(super) fn take<T: Deserialize<'a>>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, Error> {
        self.note(name, || described(expected));
        let Some(value) = self.raw(name) else { return Ok(None) };
        match serde_json::from_str(value.get()) {
            Ok(taken) => Ok(Some(taken)),
            Err(_) => Err(wrong_type(self.path_of(name), expected, value)),
        }
    }

    /// Takes a string.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Error> {
        self.take(name, "a string")
    }

    /// Takes `true` or `false`.
    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, Error> {
        self.take(name, "true or false")
    }

    /// Takes a number within `range`.
    pub(super) fn number(&mut self, name: &str, range: RangeInclusive<f64>) -> Result<Option<f32>, Error> {
        self.note(name, || json!({"type": "number", "minimum": range.start(), "maximum": range.end()}));
        let Some(value) = self.raw(name) else { return Ok(None) };
        number(value, &self.path_of(name), range).map(Some)
    }

    /// Takes an integer within `range`; `8.0` is one.
    pub(super) fn integer(&mut self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Error> {
        self.note(name, || whole_number(&range));
        let Some(value) = self.raw(name) else { return Ok(None) };
        integer(value, &self.path_of(name), range).map(Some)
    }

    /// Takes one of `words`.
    pub(super) fn word(
        &mut self,
        name: &str,
        words: &'static [&'static str],
    ) -> Result<Option<&'static str>, Error> {
        self.note(name, || json!({"type": "string", "enum": words}));
        let Some(value) = self.raw(name) else { return Ok(None) };
        let path = self.path_of(name);
        if kind(value) != "a string" {
            return Err(wrong_type(path, "a string", value));
        }
        let given: Option<String> = serde_json::from_str(value.get()).ok();
        if let Some(word) = words.iter().find(|word| given.as_deref() == Some(**word)) {
            return Ok(Some(word));
        }
        let given: String = value.get().chars().take(32).collect();
        let message = format!("{path} must be one of {}, not {given}", words.join(", "));
        Err(Error::invalid(path, message))
    }

    /// Takes an object.
    pub(super) fn object(&mut self, name: &str) -> Result<Option<Fields<'a>>, Error> {
        self.note(name, || json!({"type": "object"}));
        let Some(value) = self.raw(name) else { return Ok(None) };
        Fields::of(value, self.path_of(name)).map(Some)
    }

    /// Takes an array of at most `limit` elements; `expected` says in words what it holds.
    pub(super) fn array(
        &mut self,
        name: &str,
        expected: &str,
        limit: usize,
    ) -> Result<Option<Vec<&'a RawValue>>, Error> {
        self.note(name, || json!({"type": "array", "description": expected, "maxItems": limit}));
        let Some(value) = self.raw(name) else { return Ok(None) };
        elements(value, &self.path_of(name), expected, limit).map(Some)
    }

    /// Notes what a field may be, for whoever listens.
    pub(super) fn note(&self, name: &str, schema: impl FnOnce() -> Value) {
        note(|| (self.path_of(name), schema()));
    }

    /// The names of the fields that nobody took, with their path.
    pub(super) fn rest(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(name, _)| name.as_str())
    }
}

/// The schema of what is expected, by the words for it.
fn described(expected: &str) -> Value {
    match expected {
        "a string" => json!({"type": "string"}),
        "true or false" => json!({"type": "boolean"}),
        _ => json!({"description": expected}),
    }
}

/// The schema of an integer within `range`, of which the ends that bind nothing are left out.
fn whole_number(range: &RangeInclusive<i64>) -> Value {
    let mut schema = json!({"type": "integer"});
    if *range.start() > i64::MIN {
        schema["minimum"] = json!(range.start());
    }
    if *range.end() < i64::MAX {
        schema["maximum"] = json!(range.end());
    }
    schema
}

/// A number within `range`.
pub(super) fn number(value: &RawValue, path: &str, range: RangeInclusive<f64>) -> Result<f32, Error> {
    if kind(value) != "a number" {
        return Err(wrong_type(path, "a number", value));
    }
    // A number too large for f64 does not parse, and is out of any range.
    match serde_json::from_str::<f64>(value.get()) {
        Ok(number) if range.contains(&number) => Ok(number as f32),
        _ => Err(out_of_range(path, "a number", range.start(), range.end(), value)),
    }
}

/// An integer within `range`.
pub(super) fn integer(value: &RawValue, path: &str, range: RangeInclusive<i64>) -> Result<i64, Error> {
    if kind(value) != "a number" {
        return Err(wrong_type(path, "an integer", value));
    }
    let integer = serde_json::from_str::<i64>(value.get()).ok().or_else(|| {
        let number = serde_json::from_str::<f64>(value.get()).ok()?;
        // Beyond 2^53 an f64 no longer says which integer was meant.
        (number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0).then_some(number as i64)
    });
    match integer {
        Some(integer) if range.contains(&integer) => Ok(integer),
        _ => Err(out_of_range(path, "an integer", range.start(), range.end(), value)),
    }
}

/// The elements of an array of at most `limit`; `expected` says in words what the array holds.
pub(super) fn elements<'a>(
    value: &'a RawValue,
    path: &str,
    expected: &str,
    limit: usize,
) -> Result<Vec<&'a RawValue>, Error> {
    if kind(value) != "an array" {
        return Err(wrong_type(path, expected, value));
    }
    let mut json = serde_json::Deserializer::from_str(value.get());
    json.deserialize_seq(Elements { limit })
        .map_err(|_| Error::invalid(path, format!("{path} must have at most {limit} elements")))
}

/// The error for a value of the wrong type.
pub(super) fn wrong_type(path: impl Into<String>, expected: &str, value: &RawValue) -> Error {
    let path = path.into();
    let given = kind(value);
    let message = if given == expected {
        format!("{path} must be {expected}; the one given holds something else, or more than is allowed")
    } else {
        format!("{path} must be {expected}, not {given}")
    };
    Error::invalid(path, message)
}

fn out_of_range(
    path: &str,
    what: &str,
    start: &dyn fmt::Display,
    end: &dyn fmt::Display,
    value: &RawValue,
) -> Error {
    let given: String = value.get().chars().take(32).collect();
    Error::invalid(path, format!("{path} must be {what} between {start} and {end}, not {given}"))
}

/// What kind of JSON a value is. The first byte tells, since the text is known to be valid.
pub(super) fn kind(value: &RawValue) -> &'static str {
    match value.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Whether `json` nests deeper than `limit`, without reading it as JSON.
fn is_deeper_than(json: &[u8], limit: usize) -> bool {
    let mut depth = 0usize;
    let mut in_string = false;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                bytes.next();
            }
            b'{' | b'[' if !in_string => {
                depth += 1;
                if depth > limit {
                    return true;
                }
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

struct Elements {
    limit: usize,
}

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            if elements.len() == self.limit {
                return Err(de::Error::invalid_length(elements.len(), &self));
            }
            elements.push(element);
        }
        Ok(elements)
    }
}

struct Entries<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Entries<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit;

        impl<'de> Visitor<'de> for Visit {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    if entries.len() == MAX_FIELDS {
                        return Err(de::Error::custom(format_args!("more than {MAX_FIELDS} fields")));
                    }
                    entries.push(entry);
                }
                Ok(entries)
            }
        }

        deserializer.deserialize_map(Visit).map(Entries)
    }
}

#[cfg(test)]
mod tests;
