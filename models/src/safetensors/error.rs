//! Why a safetensors header is refused.

use std::io;

/// What is wrong with a header. Names are excerpts.
#[derive(Debug, thiserror::Error)]
pub enum SafetensorsError {
    /// The file could not be read.
    #[error("reading failed: {source}")]
    Io {
        /// Why.
        source: io::Error,
    },
    /// What stands for a file that was not fetched.
    #[error("a pointer that Git LFS left in the file's place; fetch the file with `git lfs pull`")]
    LfsPointer,
    /// The file ends within its header.
    #[error("the file ends at byte {length}, within its header of {needed} bytes; it is incomplete")]
    Truncated {
        /// Bytes of the header and its length.
        needed: u64,
        /// The file's bytes.
        length: u64,
    },
    /// A length that no header has.
    #[error("no safetensors file: it declares a header of {declared} bytes; at most {limit} are allowed")]
    HeaderTooLarge {
        /// The length found.
        declared: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A header that is not the JSON it should be.
    #[error("its header is damaged: {source}")]
    Json {
        /// What is wrong and where.
        source: serde_json::Error,
    },
    /// More tensors than any real model has.
    #[error("it has more than {limit} tensors")]
    TooMany {
        /// How many are allowed.
        limit: usize,
    },
    /// One tensor is described in a way that cannot be.
    #[error("the tensor {name:?} {problem}")]
    Tensor {
        /// Its name.
        name: String,
        /// What is wrong.
        problem: TensorProblem,
    },
    /// Bytes behind the last tensor.
    #[error("the tensors end at byte {end} of the data, but the file has {available}; it is damaged")]
    Remainder {
        /// Where the last tensor ends, from the start of the data.
        end: u64,
        /// Bytes behind the header.
        available: u64,
    },
}

/// What is wrong with one tensor's description; reads on after the tensor's name. Offsets are bytes from the start of
/// the data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorProblem {
    /// A type that the format does not define.
    #[error("has the unknown type {dtype:?}")]
    Dtype {
        /// The type's name.
        dtype: String,
    },
    /// A shape whose number of elements or bytes exceeds 63 bits or does not fill whole bytes.
    #[error("has the shape {shape:?}, which no file can hold")]
    Shape {
        /// Its dimensions.
        shape: Vec<u64>,
    },
    /// A place that does not fit its shape.
    #[error("needs {needed} bytes by its shape and type, but lies from {start} to {end}")]
    Extent {
        /// Bytes by shape and type.
        needed: u64,
        /// Where it starts.
        start: u64,
        /// Where it ends.
        end: u64,
    },
    /// Data that does not start where the tensor before it ends.
    #[error("starts at {start}, but the tensor before it ends at {expected}")]
    Start {
        /// Where it starts.
        start: u64,
        /// Where the tensor before it ends.
        expected: u64,
    },
    /// Data that lies beyond the end of the file.
    #[error("ends at {end}, but the file has {available} bytes of data; it is incomplete or damaged")]
    Outside {
        /// Where it ends.
        end: u64,
        /// Bytes behind the header.
        available: u64,
    },
}
