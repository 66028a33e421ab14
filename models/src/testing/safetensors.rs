//! Writes safetensors files for tests, correct ones and any other.

use crate::safetensors::Dtype;

/// A file in the making.
#[derive(Debug, Clone, Default)]
pub(crate) struct Safetensors {
    entries: Vec<String>,
    data_bytes: u64,
}

impl Safetensors {
    /// A small but complete model of two layers and 1,120 parameters.
    pub(crate) fn llama(dtype: &str) -> Self {
        Self::default()
            .metadata("pt")
            .tensor("model.embed_tokens.weight", dtype, &[3, 32])
            .tensor("model.layers.0.self_attn.q_proj.weight", dtype, &[16, 32])
            .tensor("model.layers.1.self_attn.q_proj.weight", dtype, &[16, 32])
    }

    pub(crate) fn metadata(self, format: &str) -> Self {
        self.raw(&format!(r#""__metadata__":{{"format":"{format}"}}"#))
    }

    /// Adds a tensor behind the others.
    pub(crate) fn tensor(mut self, name: &str, dtype: &str, shape: &[u64]) -> Self {
        let bits = Dtype::from_name(dtype).expect("a known type").bits();
        let start = self.data_bytes;
        self.data_bytes += (shape.iter().product::<u64>() * bits).div_ceil(8);
        let end = self.data_bytes;
        self.tensor_at(name, dtype, shape, start, end)
    }

    /// Describes a tensor without making room for its data.
    pub(crate) fn tensor_at(self, name: &str, dtype: &str, shape: &[u64], start: u64, end: u64) -> Self {
        self.raw(&format!(
            r#""{name}":{{"dtype":"{dtype}","shape":{shape:?},"data_offsets":[{start},{end}]}}"#
        ))
    }

    /// Adds `"key":value` as it is.
    pub(crate) fn raw(mut self, entry: &str) -> Self {
        self.entries.push(entry.to_owned());
        self
    }

    /// The header alone.
    pub(crate) fn header(&self) -> Vec<u8> {
        with_length(format!("{{{}}}", self.entries.join(",")).as_bytes())
    }

    /// The whole file, its data all zeros.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.header();
        bytes.resize(bytes.len() + self.data_bytes as usize, 0);
        bytes
    }
}

/// A length and the JSON.
pub(crate) fn with_length(json: &[u8]) -> Vec<u8> {
    let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
    bytes.extend(json);
    bytes
}
