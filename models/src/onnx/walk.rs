//! From a model down to its tensors: `ModelProto`, `GraphProto`, `NodeProto`, `AttributeProto`, `FunctionProto`.

use std::io::{Read, Seek};

use super::{
    Graph,
    error::OnnxError,
    limits, port,
    source::{Field, Source},
    tensor::{self, Tensor},
};

/// How files start that Git LFS leaves in the place of those it has not fetched.
const LFS_POINTER: &[u8] = b"version https://git-lfs";
/// Operators whose weights are packed into bytes, their attribute `bits` saying how.
const UNPACKING: [&str; 3] = ["MatMulNBits", "GatherBlockQuantized", "QMoE"];

struct Walk<R> {
    source: Source<R>,
    graph: Graph,
    has_graph: bool,
}

/// What an attribute says beside tensors and graphs.
#[derive(Default)]
struct Attribute {
    name: String,
    integer: Option<u64>,
}

/// Walks a file of `length` bytes.
pub(super) fn graph<R: Read + Seek>(reader: R, length: u64) -> Result<Graph, OnnxError> {
    let mut source = Source::new(reader, length);
    if source.starts_with(LFS_POINTER)? {
        return Err(OnnxError::LfsPointer);
    }
    if length > limits::FILE_BYTES {
        return Err(OnnxError::TooLarge { length, limit: limits::FILE_BYTES });
    }
    let mut walk = Walk { source, graph: Graph::default(), has_graph: false };
    walk.model(length)?;
    if walk.has_graph { Ok(walk.graph) } else { Err(OnnxError::NoGraph) }
}

impl<R: Read + Seek> Walk<R> {
    fn model(&mut self, end: u64) -> Result<(), OnnxError> {
        const WHAT: &str = "a model";
        while let Some(field) = self.source.field(end, WHAT)? {
            match field.number {
                1 => self.graph.ir_version = field.number("the format's version")?,
                7 => {
                    self.has_graph = true;
                    self.graph(field.bytes(WHAT)?, 1)?;
                }
                8 => self.opset(field)?,
                25 => self.function(field.bytes(WHAT)?)?,
                _ => self.source.skip(field)?,
            }
        }
        Ok(())
    }

    /// A graph; that of the model has depth 1.
    fn graph(&mut self, end: u64, depth: u32) -> Result<(), OnnxError> {
        const WHAT: &str = "a graph";
        if depth > limits::DEPTH {
            return Err(OnnxError::Nesting { offset: self.source.at(), limit: limits::DEPTH });
        }
        while let Some(field) = self.source.field(end, WHAT)? {
            match field.number {
                1 => self.node(field.bytes(WHAT)?, depth)?,
                5 => self.tensor(field)?,
                11 if depth == 1 => {
                    let port = port::read(&mut self.source, field.bytes(WHAT)?)?;
                    keep(&mut self.graph.inputs, port, "inputs")?;
                }
                12 if depth == 1 => {
                    let port = port::read(&mut self.source, field.bytes(WHAT)?)?;
                    keep(&mut self.graph.outputs, port, "outputs")?;
                }
                15 => self.sparse_tensor(field)?,
                _ => self.source.skip(field)?,
            }
        }
        Ok(())
    }

    fn node(&mut self, end: u64, depth: u32) -> Result<(), OnnxError> {
        const WHAT: &str = "a node";
        let (mut operator, mut domain) = (String::new(), String::new());
        let mut bits = None;
        while let Some(field) = self.source.field(end, WHAT)? {
            match field.number {
                4 => operator = self.source.text(field.bytes(WHAT)?, "name of an operator")?,
                5 => {
                    let attribute = self.attribute(field.bytes(WHAT)?, depth)?;
                    bits = attribute.integer.filter(|_| attribute.name == "bits").or(bits);
                }
                7 => domain = self.source.text(field.bytes(WHAT)?, "name of a domain")?,
                _ => self.source.skip(field)?,
            }
        }
        self.graph.nodes += 1;
        if UNPACKING.contains(&operator.as_str()) {
            // The operators' own default.
            let bits = bits.unwrap_or(4);
            self.graph.packed_bits = Some(self.graph.packed_bits.map_or(bits, |known| known.min(bits)));
        }
        let domain = own_name(domain);
        if !self.graph.domains.contains(&domain) {
            if self.graph.domains.len() == limits::DOMAINS {
                return Err(too_many("domains of operators", limits::DOMAINS));
            }
            self.graph.domains.insert(domain);
        }
        Ok(())
    }

    fn attribute(&mut self, end: u64, depth: u32) -> Result<Attribute, OnnxError> {
        const WHAT: &str = "an attribute";
        let mut attribute = Attribute::default();
        while let Some(field) = self.source.field(end, WHAT)? {
            match field.number {
                1 => attribute.name = self.source.text(field.bytes(WHAT)?, "name of an attribute")?,
                3 => attribute.integer = Some(field.number(WHAT)?),
                5 | 10 => self.tensor(field)?,
                6 | 11 => self.graph(field.bytes(WHAT)?, depth + 1)?,
                22 | 23 => self.sparse_tensor(field)?,
                _ => self.source.skip(field)?,
            }
        }
        Ok(attribute)
    }

    fn function(&mut self, end: u64) -> Result<(), OnnxError> {
        const WHAT: &str = "a function";
        while let Some(field) = self.source.field(end, WHAT)? {
            match field.number {
                7 => self.node(field.bytes(WHAT)?, 1)?,
                11 => {
                    self.attribute(field.bytes(WHAT)?, 1)?;
                }
                _ => self.source.skip(field)?,
            }
        }
        Ok(())
    }

    fn opset(&mut self, field: Field) -> Result<(), OnnxError> {
        const WHAT: &str = "an operator set";
        let end = field.bytes(WHAT)?;
        let (mut domain, mut version) = (String::new(), 0);
        while let Some(field) = self.source.field(end, WHAT)? {
            match field.number {
                1 => domain = self.source.text(field.bytes(WHAT)?, "name of a domain")?,
                2 => version = field.number(WHAT)?,
                _ => self.source.skip(field)?,
            }
        }
        self.graph.opsets.insert(own_name(domain), version);
        if self.graph.opsets.len() > limits::DOMAINS {
            return Err(too_many("operator sets", limits::DOMAINS));
        }
        Ok(())
    }

    /// The values and the indices of a `SparseTensorProto`.
    fn sparse_tensor(&mut self, field: Field) -> Result<(), OnnxError> {
        const WHAT: &str = "a sparse tensor";
        let end = field.bytes(WHAT)?;
        while let Some(field) = self.source.field(end, WHAT)? {
            match field.number {
                1 | 2 => self.tensor(field)?,
                _ => self.source.skip(field)?,
            }
        }
        Ok(())
    }

    fn tensor(&mut self, field: Field) -> Result<(), OnnxError> {
        let end = field.bytes("a tensor")?;
        let Tensor { element, share, external } = tensor::read(&mut self.source, end)?;
        let weights = &mut self.graph.weights;
        if weights.count == limits::TENSORS {
            return Err(OnnxError::TooMany { what: "tensors", limit: limits::TENSORS });
        }
        weights.count += 1;
        let sum = weights.by_type.entry(element).or_default();
        sum.elements = sum.elements.saturating_add(share.elements);
        sum.bytes = sum.bytes.saturating_add(share.bytes);
        if let Some(external) = external {
            let file = self.graph.data_files.entry(external.location).or_default();
            file.end = file.end.max(external.end);
            if self.graph.data_files.len() > limits::DATA_FILES {
                return Err(too_many("files with external data", limits::DATA_FILES));
            }
        }
        Ok(())
    }
}

/// In files both names of ONNX's own domain occur, `ai.onnx` and the empty one.
fn own_name(domain: String) -> String {
    if domain == "ai.onnx" { String::new() } else { domain }
}

fn keep<T>(list: &mut Vec<T>, item: T, what: &'static str) -> Result<(), OnnxError> {
    if list.len() == limits::PORTS {
        return Err(too_many(what, limits::PORTS));
    }
    list.push(item);
    Ok(())
}

fn too_many(what: &'static str, limit: usize) -> OnnxError {
    OnnxError::TooMany { what, limit: limit as u64 }
}
