//! Headers of GGUF files, version 2 and 3, little-endian: their keys, values and tensors, without tensor data.
//!
//! Format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>. Reading needs no engine, because a crafted
//! header makes engines abort. Every length is compared with what is left of the file before it is used, whatever
//! is not needed (token lists above all) is walked and dropped, and memory follows the bytes really read.

mod error;
mod file_type;
mod source;
mod tensor;
#[cfg(test)]
mod tests;
mod value;

use std::{collections::BTreeMap, io::Read};

pub use error::{GgufError, TensorProblem};
pub use file_type::quantization_of_file_type;
pub use tensor::{TensorType, Tensors};
pub use value::Value;

use crate::excerpt::excerpt;
use source::Source;

/// The four bytes that every GGUF file starts with.
pub const MAGIC: [u8; 4] = *b"GGUF";

/// Limits on what a header may hold, far above any real model.
pub mod limits {
    /// Bytes of the whole header.
    pub const HEADER_BYTES: u64 = 256 << 20;
    /// Key/value pairs.
    pub const KEYS: u64 = 16_384;
    /// Tensors of one file.
    pub const TENSORS: u64 = 262_144;
    /// Bytes of a key; the format's own limit.
    pub const KEY_BYTES: u64 = 65_535;
    /// Bytes of a tensor's name.
    pub const TENSOR_NAME_BYTES: u64 = 256;
    /// Dimensions of a tensor; the format's own limit.
    pub const DIMENSIONS: u32 = 4;
    /// Arrays within arrays.
    pub const ARRAY_DEPTH: u32 = 4;
    /// Bytes of the longest text that is kept; longer ones are skipped.
    pub const KEPT_TEXT_BYTES: u64 = 1 << 20;
    /// Elements of the longest array that is kept; longer ones, and all but integers, are skipped.
    pub const KEPT_ARRAY: u64 = 10_000;
    /// Bytes of all keys and values that are kept.
    pub const KEPT_BYTES: u64 = 4 << 20;
}

const DEFAULT_ALIGNMENT: u64 = 32;
const ALIGNMENT_KEY: &str = "general.alignment";

/// The header of one GGUF file.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    /// The format's version, 2 or 3.
    pub version: u32,
    /// Bytes to a multiple of which tensor data is aligned, a power of two.
    pub alignment: u64,
    /// Where tensor data starts, in bytes from the start of the file.
    pub data_offset: u64,
    /// All keys and their values.
    pub values: BTreeMap<String, Value>,
    /// The tensors, summed up.
    pub tensors: Tensors,
}

impl Header {
    /// Reads a header from the start of a file of `length` bytes. `reader` stands at the file's first byte and is
    /// read in blocks, beyond the header's end too.
    pub fn read(reader: impl Read, length: u64) -> Result<Self, GgufError> {
        let mut source = Source::new(reader, length);
        let version = read_version(&mut source)?;
        let n_tensors = read_count(&mut source, "tensors", limits::TENSORS)?;
        let n_keys = read_count(&mut source, "keys", limits::KEYS)?;
        let values = read_values(&mut source, n_keys)?;
        let alignment = alignment(&values)?;
        let extents = tensor::read(&mut source, n_tensors, alignment)?;
        let data_offset = source.at().next_multiple_of(alignment);
        let tensors = extents.within(data_offset, length)?;
        Ok(Self { version, alignment, data_offset, values, tensors })
    }

    /// The text under `key`; none when there is no such key or its value is no text.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.values.get(key) {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        }
    }
}

fn read_version<R: Read>(source: &mut Source<R>) -> Result<u32, GgufError> {
    if source.length() < 4 {
        return Err(GgufError::NotGguf);
    }
    let magic = source.array("magic")?;
    if magic != MAGIC {
        return Err(GgufError::NotGguf);
    }
    match source.u32("version")? {
        version @ (2 | 3) => Ok(version),
        version if matches!(version.swap_bytes(), 1..=3) => Err(GgufError::BigEndian),
        version => Err(GgufError::Version { version }),
    }
}

fn read_count<R: Read>(source: &mut Source<R>, what: &'static str, limit: u64) -> Result<u64, GgufError> {
    let count = source.u64(what)?;
    if count > limit {
        return Err(GgufError::TooMany { what, count, limit });
    }
    Ok(count)
}

fn read_values<R: Read>(source: &mut Source<R>, n_keys: u64) -> Result<BTreeMap<String, Value>, GgufError> {
    let mut values = BTreeMap::new();
    let mut kept = 0;
    for _ in 0..n_keys {
        let offset = source.at();
        let key = source.text("key", limits::KEY_BYTES)?;
        let key = String::from_utf8(key).map_err(|_| GgufError::KeyNotUtf8 { offset })?;
        if key.is_empty() {
            return Err(GgufError::EmptyKey { offset });
        }
        let value = value::read(source, &key)?;
        kept += key.len() as u64 + value.kept_bytes();
        if kept > limits::KEPT_BYTES {
            return Err(GgufError::TooMuchMetadata { offset, limit: limits::KEPT_BYTES });
        }
        if values.contains_key(&key) {
            return Err(GgufError::DuplicateKey { key: excerpt(&key), offset });
        }
        values.insert(key, value);
    }
    Ok(values)
}

fn alignment(values: &BTreeMap<String, Value>) -> Result<u64, GgufError> {
    let alignment = match values.get(ALIGNMENT_KEY) {
        None => return Ok(DEFAULT_ALIGNMENT),
        Some(value) => value.unsigned().ok_or(GgufError::AlignmentType)?,
    };
    // Past 32 bits it is no alignment that the format can write, and rounding up to it could overflow.
    if !alignment.is_power_of_two() || alignment > u64::from(u32::MAX) {
        return Err(GgufError::Alignment { alignment });
    }
    Ok(alignment)
}
