//! Writes GGUF files for tests, correct ones and any other.

/// Numbers of value types.
pub(crate) mod kind {
    pub(crate) const U8: u32 = 0;
    pub(crate) const U32: u32 = 4;
    pub(crate) const I32: u32 = 5;
    pub(crate) const F32: u32 = 6;
    pub(crate) const BOOL: u32 = 7;
    pub(crate) const TEXT: u32 = 8;
    pub(crate) const ARRAY: u32 = 9;
    pub(crate) const U64: u32 = 10;
    pub(crate) const F64: u32 = 12;
}

/// A file in the making.
#[derive(Debug, Clone)]
pub(crate) struct Gguf {
    version: u32,
    n_keys: Option<u64>,
    n_tensors: Option<u64>,
    keys: Vec<(String, u32, Vec<u8>)>,
    tensors: Vec<Vec<u8>>,
    data_bytes: u64,
}

impl Gguf {
    pub(crate) fn empty() -> Self {
        Self {
            version: 3,
            n_keys: None,
            n_tensors: None,
            keys: Vec::new(),
            tensors: Vec::new(),
            data_bytes: 0,
        }
    }

    /// A small but complete model of two layers and 1,120 parameters.
    pub(crate) fn llama() -> Self {
        Self::empty()
            .text("general.architecture", "llama")
            .text("general.name", "Small")
            .u32("general.file_type", 0)
            .u32("llama.block_count", 2)
            .u32("llama.context_length", 2048)
            .u32("llama.embedding_length", 32)
            .u32("llama.attention.head_count", 4)
            .u32("llama.attention.head_count_kv", 2)
            .f32("llama.attention.layer_norm_rms_epsilon", 1e-5)
            .texts("tokenizer.ggml.tokens", &["<s>", "a", "b"])
            .text("tokenizer.chat_template", "{{ messages }}")
            .tensor("token_embd.weight", &[32, 3], 0)
            .tensor("blk.0.attn_q.weight", &[32, 16], 0)
            .tensor("blk.1.attn_q.weight", &[32, 16], 0)
    }

    pub(crate) fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }

    pub(crate) fn n_keys(mut self, count: u64) -> Self {
        self.n_keys = Some(count);
        self
    }

    pub(crate) fn n_tensors(mut self, count: u64) -> Self {
        self.n_tensors = Some(count);
        self
    }

    /// Replaces the key's value, or adds it.
    pub(crate) fn raw(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        match self.keys.iter_mut().find(|(known, ..)| known == key) {
            Some(entry) => (entry.1, entry.2) = (kind, value.to_vec()),
            None => self.keys.push((key.to_owned(), kind, value.to_vec())),
        }
        self
    }

    /// Adds the key once more.
    pub(crate) fn again(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.keys.push((key.to_owned(), kind, value.to_vec()));
        self
    }

    pub(crate) fn without(mut self, key: &str) -> Self {
        self.keys.retain(|(known, ..)| known != key);
        self
    }

    pub(crate) fn text(self, key: &str, value: &str) -> Self {
        self.raw(key, kind::TEXT, &text(value))
    }

    pub(crate) fn u32(self, key: &str, value: u32) -> Self {
        self.raw(key, kind::U32, &value.to_le_bytes())
    }

    pub(crate) fn f32(self, key: &str, value: f32) -> Self {
        self.raw(key, kind::F32, &value.to_le_bytes())
    }

    pub(crate) fn texts(self, key: &str, values: &[&str]) -> Self {
        let elements: Vec<u8> = values.iter().flat_map(|value| text(value)).collect();
        self.array(key, kind::TEXT, values.len() as u64, &elements)
    }

    pub(crate) fn u32s(self, key: &str, values: &[u32]) -> Self {
        let elements: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.array(key, kind::U32, values.len() as u64, &elements)
    }

    pub(crate) fn array(self, key: &str, element: u32, count: u64, elements: &[u8]) -> Self {
        self.raw(key, kind::ARRAY, &array(element, count, elements))
    }

    /// Adds a tensor behind the others, in blocks of its type.
    pub(crate) fn tensor(mut self, name: &str, shape: &[u64], type_id: u32) -> Self {
        let kind = crate::gguf::TensorType::from_id(type_id).expect("a known type");
        let bytes = shape.iter().product::<u64>() / kind.block_elements() * kind.block_bytes();
        let start = self.data_bytes.next_multiple_of(32);
        self.data_bytes = start + bytes;
        self.tensor_at(name, shape, type_id, start)
    }

    /// Describes a tensor without making room for its data.
    pub(crate) fn tensor_at(mut self, name: &str, shape: &[u64], type_id: u32, start: u64) -> Self {
        let mut tensor = text(name);
        tensor.extend((shape.len() as u32).to_le_bytes());
        tensor.extend(shape.iter().flat_map(|n| n.to_le_bytes()));
        tensor.extend(type_id.to_le_bytes());
        tensor.extend(start.to_le_bytes());
        self.tensors.push(tensor);
        self
    }

    /// The header alone.
    pub(crate) fn header(&self) -> Vec<u8> {
        let mut bytes = b"GGUF".to_vec();
        bytes.extend(self.version.to_le_bytes());
        bytes.extend(self.n_tensors.unwrap_or(self.tensors.len() as u64).to_le_bytes());
        bytes.extend(self.n_keys.unwrap_or(self.keys.len() as u64).to_le_bytes());
        for (key, kind, value) in &self.keys {
            bytes.extend(text(key));
            bytes.extend(kind.to_le_bytes());
            bytes.extend(value);
        }
        bytes.extend(self.tensors.iter().flatten());
        bytes
    }

    /// The whole file, its data all zeros.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header();
        if !self.tensors.is_empty() {
            let data = bytes.len().next_multiple_of(32);
            bytes.resize(data + self.data_bytes as usize, 0);
        }
        bytes
    }
}

/// A length and the text.
pub(crate) fn text(value: &str) -> Vec<u8> {
    let mut bytes = (value.len() as u64).to_le_bytes().to_vec();
    bytes.extend(value.as_bytes());
    bytes
}

/// Element type, count and elements.
pub(crate) fn array(element: u32, count: u64, elements: &[u8]) -> Vec<u8> {
    let mut bytes = element.to_le_bytes().to_vec();
    bytes.extend(count.to_le_bytes());
    bytes.extend(elements);
    bytes
}
