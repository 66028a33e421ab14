//! Writes ONNX files for tests, correct ones and any other: protocol buffers by hand.

/// A message in the making.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message(Vec<u8>);

impl Message {
    /// A model of one graph.
    pub(crate) fn model(graph: Message) -> Self {
        Self::default()
            .number(1, 8)
            .message(8, Self::default().text(1, "").number(2, 17))
            .message(8, Self::default().text(1, "com.microsoft").number(2, 1))
            .message(7, graph)
    }

    /// A graph of one node with an initializer of 1,120 F32 elements, two inputs and one output.
    pub(crate) fn graph() -> Self {
        Self::graph_giving("logits", &["batch", "sequence", "3"])
    }

    /// The same with another output.
    pub(crate) fn graph_giving(output: &str, dimensions: &[&str]) -> Self {
        Self::default()
            .message(1, Self::node("MatMul", ""))
            .text(2, "main")
            .message(5, Self::tensor("weight", 1, &[32, 35]).bytes(9, &[0; 4 * 1_120]))
            .message(11, Self::port("input_ids", 7, &["batch", "sequence"]))
            .message(11, Self::port("attention_mask", 7, &["batch", "sequence"]))
            .message(12, Self::port(output, 1, dimensions))
    }

    pub(crate) fn node(operator: &str, domain: &str) -> Self {
        Self::default().text(1, "in").text(2, "out").text(4, operator).text(7, domain)
    }

    /// An attribute that is an integer.
    pub(crate) fn attribute(name: &str, value: u64) -> Self {
        Self::default().text(1, name).number(20, 2).number(3, value)
    }

    /// A tensor without data.
    pub(crate) fn tensor(name: &str, type_id: u64, shape: &[u64]) -> Self {
        let tensor = shape.iter().fold(Self::default(), |tensor, &dimension| tensor.number(1, dimension));
        tensor.number(2, type_id).text(8, name)
    }

    /// A tensor of F32 elements with its data in another file.
    pub(crate) fn external(name: &str, elements: u64, location: &str, offset: u64) -> Self {
        Self::tensor(name, 1, &[elements])
            .message(13, Self::entry("location", location))
            .message(13, Self::entry("offset", &offset.to_string()))
            .message(13, Self::entry("length", &(4 * elements).to_string()))
            .number(14, 1)
    }

    pub(crate) fn entry(key: &str, value: &str) -> Self {
        Self::default().text(1, key).text(2, value)
    }

    /// An input or an output; dimensions that are no numbers are names.
    pub(crate) fn port(name: &str, type_id: u64, dimensions: &[&str]) -> Self {
        let shape = dimensions.iter().fold(Self::default(), |shape, dimension| {
            let size = dimension.parse::<u64>();
            let dimension = match size {
                Ok(size) => Self::default().number(1, size),
                Err(_) => Self::default().text(2, dimension),
            };
            shape.message(1, dimension)
        });
        let tensor = Self::default().number(1, type_id).message(2, shape);
        Self::default().text(1, name).message(2, Self::default().message(1, tensor))
    }

    pub(crate) fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    pub(crate) fn text(self, field: u64, value: &str) -> Self {
        self.bytes(field, value.as_bytes())
    }

    pub(crate) fn message(self, field: u64, value: Message) -> Self {
        self.bytes(field, &value.into_bytes())
    }

    pub(crate) fn bytes(self, field: u64, value: &[u8]) -> Self {
        self.length(field, value.len() as u64).raw(value)
    }

    /// Begins a field of so many bytes without adding them.
    pub(crate) fn length(mut self, field: u64, bytes: u64) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes);
        self
    }

    /// Adds bytes as they are.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// The encoding.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }
}
