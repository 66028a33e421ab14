//! JSON as Hugging Face's `tojson` writes it, which is what Python's `json.dumps` writes with `ensure_ascii=False`:
//! a space after commas and colons, the order of keys kept, nothing escaped for HTML.

use minijinja::value::{DynObject, Kwargs, Serde, ValueKind};
use minijinja::{Error, Value};

use super::super::budget::{self, Capped};
use super::super::error::Limit;
use super::{argument, cannot};

/// The deepest JSON that is written.
const MAX_DEPTH: usize = 150;

/// The widest indentation.
const MAX_INDENT: usize = 64;

struct Writer {
    text: Capped,
    ascii: bool,
    sort: bool,
    indent: Option<String>,
    comma: String,
    colon: String,
}

/// `tojson(ensure_ascii=False, indent=None, separators=None, sort_keys=False)`.
pub(super) fn tojson(
    value: Value,
    ascii: Option<bool>,
    indent: Option<Value>,
    named: Kwargs,
) -> Result<Value, Error> {
    let ascii = argument(ascii, &named, "ensure_ascii")?.unwrap_or(false);
    let indent = argument(indent, &named, "indent")?.filter(|indent| !indent.is_none());
    let sort = named.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    let separators = named.get::<Option<Value>>("separators")?.filter(|separators| !separators.is_none());
    named.assert_all_used()?;
    let indent = match indent {
        None => None,
        Some(indent) => match (indent.as_usize(), indent.as_str()) {
            (Some(width), _) if width <= MAX_INDENT => Some(" ".repeat(width)),
            (_, Some(text)) if text.len() <= MAX_INDENT => Some(text.to_owned()),
            _ => return Err(cannot("tojson needs an indent of at most 64")),
        },
    };
    let (comma, colon) = match separators {
        Some(pair) => {
            (budget::text(&pair.get_item_by_index(0)?)?, budget::text(&pair.get_item_by_index(1)?)?)
        }
        None => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
    };
    let mut writer = Writer { text: Capped::default(), ascii, sort, indent, comma, colon };
    writer.value(&value, 0)?;
    let text = writer.text.into_inner();
    budget::charge(text.len())?;
    Ok(Value::from(text))
}

/// The value that a JSON text stands for.
pub(super) fn from_json(text: &str) -> Result<Value, Error> {
    budget::charge_text(text.len())?;
    let json: serde_json::Value = serde_json::from_str(text)
        .map_err(|error| cannot("from_json needs valid JSON").with_source(error))?;
    Ok(Value::from(Serde(json)))
}

impl Writer {
    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            return Err(budget::exceeded(Limit::Depth));
        }
        match value.kind() {
            ValueKind::None => self.put("null"),
            ValueKind::Bool => self.put(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.number(value),
            ValueKind::String => self.string(value.as_str().unwrap_or_default()),
            ValueKind::Map => self.map(value, depth),
            ValueKind::Seq | ValueKind::Iterable => self.list(value, depth),
            _ => Err(cannot("tojson was given something that is not JSON")),
        }
    }

    fn list(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        self.put("[")?;
        let mut empty = true;
        for item in value.try_iter()?.checked() {
            self.between(empty, depth)?;
            self.value(&item?, depth + 1)?;
            empty = false;
        }
        self.close(empty, depth, "]")
    }

    fn map(&mut self, value: &Value, depth: usize) -> Result<(), Error> {
        let pairs = value.as_object().and_then(DynObject::try_iter_pairs);
        let mut pairs: Vec<(Value, Value)> = pairs.into_iter().flatten().collect();
        if self.sort {
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
        }
        self.put("{")?;
        let empty = pairs.is_empty();
        for (index, (key, value)) in pairs.iter().enumerate() {
            self.between(index == 0, depth)?;
            match key.kind() {
                ValueKind::String => self.value(key, depth)?,
                // Python writes other keys as their JSON in quotes.
                ValueKind::None | ValueKind::Bool | ValueKind::Number => {
                    self.put("\"")?;
                    self.value(key, depth)?;
                    self.put("\"")?;
                }
                _ => return Err(cannot("tojson was given a key that is no string")),
            }
            let colon = self.colon.clone();
            self.put(&colon)?;
            self.value(value, depth + 1)?;
        }
        self.close(empty, depth, "}")
    }

    fn between(&mut self, first: bool, depth: usize) -> Result<(), Error> {
        if !first {
            let comma = self.comma.clone();
            self.put(&comma)?;
        }
        self.line(depth + 1)
    }

    fn close(&mut self, empty: bool, depth: usize, bracket: &str) -> Result<(), Error> {
        if !empty {
            self.line(depth)?;
        }
        self.put(bracket)
    }

    fn line(&mut self, depth: usize) -> Result<(), Error> {
        let Some(indent) = self.indent.clone() else { return Ok(()) };
        self.put("\n")?;
        (0..depth).try_for_each(|_| self.put(&indent))
    }

    fn number(&mut self, value: &Value) -> Result<(), Error> {
        if value.is_integer() {
            return self.put(&value.to_string());
        }
        let number =
            f64::try_from(value.clone()).map_err(|_| cannot("tojson was given an unknown number"))?;
        self.put(&python_float(number))
    }

    fn string(&mut self, text: &str) -> Result<(), Error> {
        self.put("\"")?;
        let mut plain = 0;
        for (at, character) in text.char_indices() {
            let escaped = match character {
                '"' => "\\\"".to_owned(),
                '\\' => "\\\\".to_owned(),
                '\n' => "\\n".to_owned(),
                '\r' => "\\r".to_owned(),
                '\t' => "\\t".to_owned(),
                '\u{8}' => "\\b".to_owned(),
                '\u{c}' => "\\f".to_owned(),
                '\0'..'\u{20}' => format!("\\u{:04x}", u32::from(character)),
                '\u{80}'.. if self.ascii => {
                    let mut units = [0; 2];
                    let units = character.encode_utf16(&mut units);
                    units.iter().map(|unit| format!("\\u{unit:04x}")).collect::<Vec<_>>().concat()
                }
                _ => continue,
            };
            self.put(&text[plain..at])?;
            self.put(&escaped)?;
            plain = at + character.len_utf8();
        }
        self.put(&text[plain..])?;
        self.put("\"")
    }

    fn put(&mut self, part: &str) -> Result<(), Error> {
        self.text.push(part)
    }
}

/// A float as Python's `repr` writes it: the shortest digits that read back the same, an exponent from 1e16 on and
/// below 1e-4.
fn python_float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        return format!("{number:?}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

#[cfg(test)]
mod tests {
    use super::python_float;

    #[test]
    fn floats_are_written_as_python_writes_them() {
        let check = |number: f64, expected: &str| assert_eq!(python_float(number), expected);
        check(1.0, "1.0");
        check(0.1, "0.1");
        check(-2.5e-5, "-2.5e-05");
        check(0.0001, "0.0001");
        check(1e15, "1000000000000000.0");
        check(1e16, "1e+16");
        check(1.5e300, "1.5e+300");
        check(f64::NAN, "NaN");
    }
}
