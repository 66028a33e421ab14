//! What an ONNX file says of its graph: inputs, outputs, operators and where its weights lie, without the weights.
//!
//! Format: <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>, protocol buffers that are walked field by field.
//! The data of tensors is passed over unread. Subgraphs are walked with a bounded depth; all that is kept is counted.

mod element;
mod error;
mod port;
mod source;
mod tensor;
#[cfg(test)]
mod tests;
mod walk;

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read, Seek},
};

pub use element::ElementType;
pub use error::{OnnxError, TensorProblem};

/// Limits on what a file may hold, far above any real model.
pub mod limits {
    /// Bytes of the file: protocol buffers cannot be larger, which is why weights are put into files of their own.
    pub const FILE_BYTES: u64 = i32::MAX as u64;
    /// Bytes that are looked at, which is all but the data of tensors.
    pub const WALKED_BYTES: u64 = 64 << 20;
    /// Inputs, or outputs, of a graph.
    pub const PORTS: usize = 16_384;
    /// Dimensions of a tensor.
    pub const DIMENSIONS: usize = 32;
    /// Tensors with data.
    pub const TENSORS: u64 = 1 << 20;
    /// Operator sets, or names of such.
    pub const DOMAINS: usize = 256;
    /// Files with external data; old exporters write one for each tensor.
    pub const DATA_FILES: usize = 65_536;
    /// Bytes of a name or a path.
    pub const NAME_BYTES: u64 = 1_024;
    /// Graphs within graphs.
    pub const DEPTH: u32 = 16;
}

/// What one ONNX file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Graph {
    /// The version of the file format.
    pub ir_version: u64,
    /// The operator sets that it was written for: version by domain, `""` being that of ONNX itself.
    pub opsets: BTreeMap<String, u64>,
    /// What it takes, in its order; files of old versions list initializers too.
    pub inputs: Vec<Port>,
    /// What it gives, in its order.
    pub outputs: Vec<Port>,
    /// Its nodes and those of its subgraphs and functions.
    pub nodes: u64,
    /// The domains of its nodes' operators, `""` being that of ONNX itself.
    pub domains: BTreeSet<String>,
    /// Bits of the weights that nodes such as `MatMulNBits` unpack, when there are such nodes; the fewest if several.
    pub packed_bits: Option<u64>,
    /// Initializers and constants.
    pub weights: Weights,
    /// By their path as the file has it, the files with data outside of it. Nothing is known of these paths but their
    /// length.
    pub data_files: BTreeMap<String, DataFile>,
}

/// An input or an output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// The type of its elements; none when it is no tensor.
    pub element: Option<ElementType>,
    /// Its dimensions; none when its rank is not fixed.
    pub dimensions: Option<Vec<Dimension>>,
}

/// One dimension of an input or an output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Dimension {
    /// Always the same.
    Fixed(u64),
    /// The same wherever this name occurs.
    Named(String),
    /// Not said.
    Unknown,
}

/// Tensors, summed up.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Weights {
    /// How many there are.
    pub count: u64,
    /// Their elements and bytes by type.
    pub by_type: BTreeMap<ElementType, Share>,
}

/// What one type has of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Share {
    /// Elements.
    pub elements: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What a graph needs of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DataFile {
    /// The fewest bytes that it must have: where the last of its tensors ends.
    pub end: u64,
}

impl Graph {
    /// Walks a file of `length` bytes. `reader` stands at its first byte.
    pub fn read(reader: impl Read + Seek, length: u64) -> Result<Self, OnnxError> {
        walk::graph(reader, length)
    }

    /// Whether an output has this name.
    pub fn gives(&self, name: &str) -> bool {
        self.outputs.iter().any(|port| port.name == name)
    }
}

impl Weights {
    /// Elements of all tensors.
    pub fn elements(&self) -> u64 {
        self.by_type.values().fold(0, |sum, share| sum.saturating_add(share.elements))
    }

    /// Bytes of all tensors.
    pub fn bytes(&self) -> u64 {
        self.by_type.values().fold(0, |sum, share| sum.saturating_add(share.bytes))
    }

    /// The type that takes the most bytes.
    pub fn dominant_type(&self) -> Option<ElementType> {
        self.by_type.iter().max_by_key(|(_, share)| share.bytes).map(|(element, _)| *element)
    }
}
