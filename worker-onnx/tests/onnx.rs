//! ONNX files, written field by field: small graphs for tests.
//!
//! Format: <https://github.com/onnx/onnx/blob/main/onnx/onnx.proto>

/// Types of elements, as the format numbers them.
pub(crate) const F32: u64 = 1;
pub(crate) const U8: u64 = 2;
pub(crate) const I32: u64 = 6;
pub(crate) const I64: u64 = 7;
pub(crate) const BOOL: u64 = 9;
pub(crate) const F16: u64 = 10;

/// A graph.
#[derive(Default, Clone)]
pub(crate) struct Graph {
    nodes: Vec<Vec<u8>>,
    initializers: Vec<Vec<u8>>,
    inputs: Vec<Vec<u8>>,
    outputs: Vec<Vec<u8>>,
}

/// A dimension of an input or output.
#[derive(Clone, Copy)]
pub(crate) enum Dim {
    Fixed(u64),
    Named(&'static str),
}

impl Graph {
    pub(crate) fn input(&mut self, name: &str, element: u64, dims: &[Dim]) {
        self.inputs.push(port(name, element, dims));
    }

    pub(crate) fn output(&mut self, name: &str, element: u64, dims: &[Dim]) {
        self.outputs.push(port(name, element, dims));
    }

    /// Adds an operator, which may be `domain:Name`, with attributes that are whole numbers.
    pub(crate) fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[(&str, u64)],
    ) {
        let (domain, operator) = operator.split_once(':').unwrap_or(("", operator));
        let mut node = Vec::new();
        for input in inputs {
            bytes(&mut node, 1, input.as_bytes());
        }
        for output in outputs {
            bytes(&mut node, 2, output.as_bytes());
        }
        bytes(&mut node, 4, operator.as_bytes());
        for (name, value) in attributes {
            let mut attribute = Vec::new();
            bytes(&mut attribute, 1, name.as_bytes());
            number(&mut attribute, 3, *value);
            number(&mut attribute, 20, 2);
            bytes(&mut node, 5, &attribute);
        }
        bytes(&mut node, 7, domain.as_bytes());
        self.nodes.push(node);
    }

    /// Adds weights, in the file.
    pub(crate) fn weights(&mut self, name: &str, element: u64, dims: &[u64], data: &[u8]) {
        let mut tensor = tensor(name, element, dims);
        bytes(&mut tensor, 9, data);
        self.initializers.push(tensor);
    }

    /// Adds weights that lie in another file.
    pub(crate) fn external(&mut self, name: &str, dims: &[u64], file: &str, length: usize) {
        let mut tensor = tensor(name, F32, dims);
        let length = length.to_string();
        for (key, value) in [("location", file), ("offset", "0"), ("length", length.as_str())] {
            let mut entry = Vec::new();
            bytes(&mut entry, 1, key.as_bytes());
            bytes(&mut entry, 2, value.as_bytes());
            bytes(&mut tensor, 13, &entry);
        }
        number(&mut tensor, 14, 1);
        self.initializers.push(tensor);
    }

    /// The file.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut graph = Vec::new();
        bytes(&mut graph, 2, b"test");
        let parts = [(1, &self.nodes), (5, &self.initializers), (11, &self.inputs), (12, &self.outputs)];
        for (field, messages) in parts {
            for message in messages {
                bytes(&mut graph, field, message);
            }
        }

        let mut model = Vec::new();
        number(&mut model, 1, 8);
        bytes(&mut model, 7, &graph);
        for (domain, version) in [("", 17), ("com.microsoft", 1)] {
            let mut opset = Vec::new();
            bytes(&mut opset, 1, domain.as_bytes());
            number(&mut opset, 2, version);
            bytes(&mut model, 8, &opset);
        }
        model
    }
}

fn tensor(name: &str, element: u64, dims: &[u64]) -> Vec<u8> {
    let mut tensor = Vec::new();
    for &dim in dims {
        number(&mut tensor, 1, dim);
    }
    number(&mut tensor, 2, element);
    bytes(&mut tensor, 8, name.as_bytes());
    tensor
}

fn port(name: &str, element: u64, dims: &[Dim]) -> Vec<u8> {
    let mut shape = Vec::new();
    for dim in dims {
        let mut part = Vec::new();
        match dim {
            Dim::Fixed(size) => number(&mut part, 1, *size),
            Dim::Named(name) => bytes(&mut part, 2, name.as_bytes()),
        }
        bytes(&mut shape, 1, &part);
    }
    let (mut tensor, mut kind, mut port) = (Vec::new(), Vec::new(), Vec::new());
    number(&mut tensor, 1, element);
    bytes(&mut tensor, 2, &shape);
    bytes(&mut kind, 1, &tensor);
    bytes(&mut port, 1, name.as_bytes());
    bytes(&mut port, 2, &kind);
    port
}

fn number(message: &mut Vec<u8>, field: u64, value: u64) {
    varint(message, field << 3);
    varint(message, value);
}

fn bytes(message: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(message, field << 3 | 2);
    varint(message, value.len() as u64);
    message.extend_from_slice(value);
}

fn varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}
