//! Why an ONNX file is refused, and where.

use std::io;

/// What is wrong with a file. Offsets are bytes from its start; names are excerpts.
#[derive(Debug, thiserror::Error)]
pub enum OnnxError {
    /// The file could not be read.
    #[error("reading failed at byte {offset}: {source}")]
    Io {
        /// Where.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// What stands for a file that was not fetched.
    #[error("a pointer that Git LFS left in the file's place; fetch the file with `git lfs pull`")]
    LfsPointer,
    /// A file beyond what the format can hold.
    #[error("{length} bytes are more than an ONNX file can hold ({limit}); export it with external data")]
    TooLarge {
        /// Its bytes.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file ends within a field.
    #[error(
        "the file ends at byte {length}, but {what} at byte {offset} goes on; it is incomplete or damaged"
    )]
    Truncated {
        /// What was being read.
        what: &'static str,
        /// Where it starts.
        offset: u64,
        /// The file's bytes.
        length: u64,
    },
    /// Bytes that are no protocol buffers of this kind.
    #[error("{what} at byte {offset} is not what an ONNX file has there; it is damaged or no ONNX file")]
    Damaged {
        /// What was being read.
        what: &'static str,
        /// Where it starts.
        offset: u64,
    },
    /// Graphs within graphs beyond the limit.
    #[error("graphs are nested too deeply at byte {offset}; {limit} levels are allowed")]
    Nesting {
        /// Where the innermost graph starts.
        offset: u64,
        /// The limit.
        limit: u32,
    },
    /// More than any real model has.
    #[error("it has more than {limit} {what}")]
    TooMany {
        /// What is counted.
        what: &'static str,
        /// How many are allowed.
        limit: u64,
    },
    /// A name or a path beyond its limit.
    #[error("the {what} at byte {offset} is {length} bytes long; at most {limit} are allowed")]
    TooLong {
        /// What it is.
        what: &'static str,
        /// Where it starts.
        offset: u64,
        /// Its bytes.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// More besides the data of tensors than any real model has.
    #[error("it goes on past byte {offset} with {what}; at most {limit} bytes besides weights are read")]
    TooMuch {
        /// What was being read.
        what: &'static str,
        /// Where it starts.
        offset: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A file in which there is no graph.
    #[error("it holds no graph; it is incomplete or no ONNX file")]
    NoGraph,
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
}

/// What is wrong with one tensor's description; reads on after the tensor's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorProblem {
    /// A type that the format does not define.
    #[error("has the type {id}, which is unknown")]
    Type {
        /// The type's number.
        id: u64,
    },
    /// More dimensions than any real tensor has.
    #[error("has more than {limit} dimensions")]
    Dimensions {
        /// How many are allowed.
        limit: usize,
    },
    /// A shape whose number of elements or bytes exceeds 63 bits.
    #[error("has the shape {shape:?}, which no file can hold")]
    Shape {
        /// Its dimensions.
        shape: Vec<i64>,
    },
    /// Data that does not fit the shape.
    #[error("needs {needed} bytes by its shape and type, but has {found}")]
    Data {
        /// Bytes by shape and type.
        needed: u64,
        /// Bytes that are there.
        found: u64,
    },
    /// External data without a path.
    #[error("has its data outside of the file, but does not say where")]
    NoLocation,
    /// An offset or a length of external data that is no number or exceeds 63 bits.
    #[error("has external data whose {key} is {value:?}")]
    Place {
        /// `offset` or `length`.
        key: &'static str,
        /// What it is.
        value: String,
    },
}
