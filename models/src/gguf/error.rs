//! Why a GGUF header is refused, and where in the file.

use std::io;

/// What is wrong with a header. Offsets are bytes from the start of the file; keys and names are excerpts.
#[derive(Debug, thiserror::Error)]
pub enum GgufError {
    /// The file could not be read.
    #[error("reading failed at byte {offset}")]
    Io {
        /// Where.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// The file does not start with the GGUF magic.
    #[error("not a GGUF file: it does not start with the bytes \"GGUF\"")]
    NotGguf,
    /// A file for big-endian machines.
    #[error("a big-endian GGUF file; only little-endian files are supported, convert it again")]
    BigEndian,
    /// A version that is too old or too new.
    #[error("GGUF version {version} is not supported, only 2 and 3 are; convert the model again")]
    Version {
        /// The version found.
        version: u32,
    },
    /// The file ends within its header.
    #[error(
        "the file ends at byte {length}, but {what} at byte {offset} needs {needed} bytes; \
         it is incomplete or damaged"
    )]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where it starts.
        offset: u64,
        /// Its bytes.
        needed: u64,
        /// The file's bytes.
        length: u64,
    },
    /// The header is longer than any real one.
    #[error("the header goes on past byte {offset} with {what}; at most {limit} bytes are read")]
    HeaderTooLarge {
        /// What was being read.
        what: &'static str,
        /// Where it starts.
        offset: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// More keys or tensors than any real model has.
    #[error("the header declares {count} {what}; at most {limit} are allowed")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// How many are declared.
        count: u64,
        /// How many are allowed.
        limit: u64,
    },
    /// A key or a name beyond its limit.
    #[error("the {what} at byte {offset} is {length} bytes long; at most {limit} are allowed")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// Where it starts.
        offset: u64,
        /// Its declared bytes.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// An array that cannot fit into the rest of the file.
    #[error(
        "the array {key:?} at byte {offset} declares {count} elements, more than the rest of the file holds"
    )]
    ArrayTooLong {
        /// Its key.
        key: String,
        /// Where it starts.
        offset: u64,
        /// Its declared elements.
        count: u64,
    },
    /// Arrays within arrays beyond the limit.
    #[error("the array {key:?} is nested too deeply at byte {offset}; {limit} levels are allowed")]
    Nesting {
        /// Its key.
        key: String,
        /// Where the innermost array starts.
        offset: u64,
        /// The limit.
        limit: u32,
    },
    /// A value type that the format does not define.
    #[error("the value of {key:?} has the unknown type {id} at byte {offset}")]
    ValueType {
        /// Its key.
        key: String,
        /// The type's number.
        id: u32,
        /// Where the number stands.
        offset: u64,
    },
    /// A truth value that is neither 0 nor 1.
    #[error("the value of {key:?} at byte {offset} is {value}, which is no truth value")]
    Bool {
        /// Its key.
        key: String,
        /// The byte found.
        value: u8,
        /// Where it stands.
        offset: u64,
    },
    /// A key that is no text.
    #[error("the key at byte {offset} is not valid UTF-8")]
    KeyNotUtf8 {
        /// Where it starts.
        offset: u64,
    },
    /// A key of no characters.
    #[error("the key at byte {offset} is empty")]
    EmptyKey {
        /// Where it starts.
        offset: u64,
    },
    /// A key that was there before.
    #[error("the key {key:?} occurs again at byte {offset}")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Where it occurs again.
        offset: u64,
    },
    /// Values that are worth keeping beyond the limit.
    #[error("the keys and values up to byte {offset} take more than {limit} bytes")]
    TooMuchMetadata {
        /// Where the last key read starts.
        offset: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// `general.alignment` is no integer.
    #[error("the value of \"general.alignment\" is no unsigned integer")]
    AlignmentType,
    /// `general.alignment` cannot be an alignment.
    #[error("the value of \"general.alignment\" is {alignment}; a power of two below 2^32 is expected")]
    Alignment {
        /// The value.
        alignment: u64,
    },
    /// One tensor is described in a way that cannot be.
    #[error("the tensor {name:?}, described at byte {offset}, {problem}")]
    Tensor {
        /// Its name.
        name: String,
        /// Where its description starts.
        offset: u64,
        /// What is wrong.
        problem: TensorProblem,
    },
    /// Tensors that together need more bytes than the file has for them.
    #[error("the tensors need {needed} bytes, but only {available} follow the header; some of them overlap")]
    Overlap {
        /// The sum of the tensors' bytes.
        needed: u128,
        /// Bytes after the header.
        available: u64,
    },
}

/// What is wrong with one tensor's description; reads on after the tensor's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorProblem {
    /// More dimensions than the format allows.
    #[error("has {count} dimensions; at most {limit} are allowed")]
    Dimensions {
        /// How many.
        count: u32,
        /// How many are allowed.
        limit: u32,
    },
    /// A shape whose number of elements or bytes exceeds 63 bits.
    #[error("has the shape {shape:?}, which no file can hold")]
    Shape {
        /// Its dimensions.
        shape: Vec<u64>,
    },
    /// A type that is unknown or was removed from the format.
    #[error("has the type {id}, which is unknown or no longer in use")]
    Type {
        /// The type's number.
        id: u32,
    },
    /// Rows that are no multiple of the type's block.
    #[error("has rows of {row} elements, no multiple of {block} as {type_name} needs")]
    Row {
        /// Elements of a row.
        row: u64,
        /// Elements of a block.
        block: u64,
        /// The type's name.
        type_name: &'static str,
    },
    /// Data that does not start at a multiple of the alignment.
    #[error("starts at offset {start}, no multiple of {alignment}")]
    Misaligned {
        /// Where it starts, from the start of the data.
        start: u64,
        /// The file's alignment.
        alignment: u64,
    },
    /// Data that lies beyond the end of the file.
    #[error("ends at byte {end}, but the file has {length}; it is incomplete or damaged")]
    Outside {
        /// Where it ends, from the start of the file.
        end: u128,
        /// The file's bytes.
        length: u64,
    },
}
