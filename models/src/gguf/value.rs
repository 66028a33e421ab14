//! Values of a header: scalars, texts and short integer arrays are kept, all else is walked.

use std::io::Read;

use super::{error::GgufError, limits, source::Source};
use crate::excerpt::excerpt;

/// The value of a key.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// An unsigned integer of any width.
    Unsigned(u64),
    /// A signed integer of any width.
    Signed(i64),
    /// A float of any width.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text; bytes that are not UTF-8 are replaced.
    Text(String),
    /// An array of integers, when it is short; what exceeds 63 bits is clamped.
    Integers(Vec<i64>),
    /// An array that was walked but not kept.
    Array {
        /// Its elements.
        count: u64,
    },
    /// A text too long to be kept.
    LongText {
        /// Its bytes.
        length: u64,
    },
}

impl Value {
    /// The value, when it is an integer that is not negative.
    pub fn unsigned(&self) -> Option<u64> {
        match self {
            Self::Unsigned(value) => Some(*value),
            Self::Signed(value) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    /// How many elements the array has, when it is one.
    pub fn count(&self) -> Option<u64> {
        match self {
            Self::Integers(values) => Some(values.len() as u64),
            Self::Array { count } => Some(*count),
            _ => None,
        }
    }

    /// Bytes of memory that it takes, roughly.
    pub(super) fn kept_bytes(&self) -> u64 {
        let own = size_of::<Self>();
        let more = match self {
            Self::Text(text) => text.len(),
            Self::Integers(values) => size_of_val(values.as_slice()),
            _ => 0,
        };
        (own + more) as u64
    }
}

/// The types of values, by their number in the file.
#[derive(Debug, Clone, Copy, PartialEq)]
enum ValueType {
    Unsigned(u64),
    Signed(u64),
    Float(u64),
    Bool,
    Text,
    Array,
}

impl ValueType {
    fn from_id(id: u32) -> Option<Self> {
        Some(match id {
            0 => Self::Unsigned(1),
            1 => Self::Signed(1),
            2 => Self::Unsigned(2),
            3 => Self::Signed(2),
            4 => Self::Unsigned(4),
            5 => Self::Signed(4),
            6 => Self::Float(4),
            7 => Self::Bool,
            8 => Self::Text,
            9 => Self::Array,
            10 => Self::Unsigned(8),
            11 => Self::Signed(8),
            12 => Self::Float(8),
            _ => return None,
        })
    }

    /// The fewest bytes that a value takes.
    fn least_bytes(self) -> u64 {
        match self {
            Self::Unsigned(bytes) | Self::Signed(bytes) | Self::Float(bytes) => bytes,
            Self::Bool => 1,
            Self::Text => 8,
            Self::Array => 12,
        }
    }
}

/// Reads the type and the value that follow `key`.
pub(super) fn read<R: Read>(source: &mut Source<R>, key: &str) -> Result<Value, GgufError> {
    match read_type(source, key)? {
        ValueType::Unsigned(bytes) => Ok(Value::Unsigned(unsigned(source, bytes)?)),
        ValueType::Signed(bytes) => Ok(Value::Signed(signed(source, bytes)?)),
        ValueType::Float(4) => Ok(Value::Float(f64::from(f32::from_le_bytes(source.array("value")?)))),
        ValueType::Float(_) => Ok(Value::Float(f64::from_le_bytes(source.array("value")?))),
        ValueType::Bool => {
            let offset = source.at();
            match source.array("value")? {
                [0] => Ok(Value::Bool(false)),
                [1] => Ok(Value::Bool(true)),
                [value] => Err(GgufError::Bool { key: excerpt(key), value, offset }),
            }
        }
        ValueType::Text => text(source),
        ValueType::Array => array(source, key),
    }
}

fn read_type<R: Read>(source: &mut Source<R>, key: &str) -> Result<ValueType, GgufError> {
    let offset = source.at();
    let id = source.u32("value type")?;
    ValueType::from_id(id).ok_or_else(|| GgufError::ValueType { key: excerpt(key), id, offset })
}

fn unsigned<R: Read>(source: &mut Source<R>, bytes: u64) -> Result<u64, GgufError> {
    Ok(match bytes {
        1 => u64::from(u8::from_le_bytes(source.array("value")?)),
        2 => u64::from(u16::from_le_bytes(source.array("value")?)),
        4 => u64::from(source.u32("value")?),
        _ => source.u64("value")?,
    })
}

fn signed<R: Read>(source: &mut Source<R>, bytes: u64) -> Result<i64, GgufError> {
    Ok(match bytes {
        1 => i64::from(i8::from_le_bytes(source.array("value")?)),
        2 => i64::from(i16::from_le_bytes(source.array("value")?)),
        4 => i64::from(i32::from_le_bytes(source.array("value")?)),
        _ => i64::from_le_bytes(source.array("value")?),
    })
}

fn text<R: Read>(source: &mut Source<R>) -> Result<Value, GgufError> {
    let length = source.u64("text")?;
    if length > limits::KEPT_TEXT_BYTES {
        source.skip(length, "text")?;
        return Ok(Value::LongText { length });
    }
    let bytes = source.bytes(length, "text")?;
    Ok(Value::Text(String::from_utf8_lossy(&bytes).into_owned()))
}

fn array<R: Read>(source: &mut Source<R>, key: &str) -> Result<Value, GgufError> {
    let (element, count) = array_head(source, key)?;
    if count > limits::KEPT_ARRAY {
        skip_elements(source, key, element, count, 1)?;
        return Ok(Value::Array { count });
    }
    let mut integers = Vec::new();
    match element {
        ValueType::Unsigned(bytes) => {
            for _ in 0..count {
                integers.push(i64::try_from(unsigned(source, bytes)?).unwrap_or(i64::MAX));
            }
        }
        ValueType::Signed(bytes) => {
            for _ in 0..count {
                integers.push(signed(source, bytes)?);
            }
        }
        _ => {
            skip_elements(source, key, element, count, 1)?;
            return Ok(Value::Array { count });
        }
    }
    Ok(Value::Integers(integers))
}

/// The type and the number of elements of an array that fits into the rest of the file.
fn array_head<R: Read>(source: &mut Source<R>, key: &str) -> Result<(ValueType, u64), GgufError> {
    let offset = source.at();
    let element = read_type(source, key)?;
    let count = source.u64("array length")?;
    match count.checked_mul(element.least_bytes()) {
        Some(bytes) if source.holds(bytes) => Ok((element, count)),
        _ => Err(GgufError::ArrayTooLong { key: excerpt(key), offset, count }),
    }
}

/// Passes over the elements of an array. Each takes at least a byte, so the length of the header bounds the work.
fn skip_elements<R: Read>(
    source: &mut Source<R>,
    key: &str,
    element: ValueType,
    count: u64,
    depth: u32,
) -> Result<(), GgufError> {
    match element {
        ValueType::Text => {
            for _ in 0..count {
                let length = source.u64("text in an array")?;
                source.skip(length, "text in an array")?;
            }
            Ok(())
        }
        ValueType::Array => {
            let limit = limits::ARRAY_DEPTH;
            if depth >= limit {
                return Err(GgufError::Nesting { key: excerpt(key), offset: source.at(), limit });
            }
            for _ in 0..count {
                let (inner, inner_count) = array_head(source, key)?;
                skip_elements(source, key, inner, inner_count, depth + 1)?;
            }
            Ok(())
        }
        fixed => source.skip(count.saturating_mul(fixed.least_bytes()), "array"),
    }
}
