//! Writes GGUF files, version 3: little-endian, keys, tensor descriptions, then tensors aligned to 32 bytes
//! (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>).

use std::io::{self, Write};

use super::quantize::{BLOCK, Q4_0_BYTES, Q8_0_BYTES};

/// Tensors begin at multiples of this, in bytes.
const ALIGNMENT: u64 = 32;
const VERSION: u32 = 3;

/// A value of the header.
#[derive(Debug, Clone)]
pub(super) enum Value {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    Integers(Vec<i32>),
    Texts(Vec<String>),
    /// As another file has it, its type included.
    Raw(Vec<u8>),
}

/// How a tensor's elements are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    // The numbers are ggml's own.
    /// IEEE 754 single precision.
    F32 = 0,
    /// Half precision.
    F16 = 1,
    /// Four bits an element, in blocks.
    Q4_0 = 2,
    /// Eight bits an element, in blocks.
    Q8_0 = 8,
}

/// What the header says of a tensor. Its bytes follow in the same order.
#[derive(Debug, Clone)]
pub(super) struct Tensor {
    pub(super) name: String,
    /// The fastest-moving dimension first.
    pub(super) shape: Vec<u64>,
    pub(super) element: Element,
}

impl Element {
    /// Its name, in lower case.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Q4_0 => "q4_0",
            Self::Q8_0 => "q8_0",
        }
    }

    /// What a file of such matrices calls itself: `llama_ftype`'s number of the kind that is mostly these.
    pub(super) fn file_type(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::Q4_0 => 2,
            Self::Q8_0 => 7,
        }
    }

    /// Bytes of so many elements, which are whole blocks.
    pub(super) fn n_bytes(self, n_elements: u64) -> u64 {
        let blocks = n_elements / BLOCK as u64;
        match self {
            Self::F32 => n_elements * 4,
            Self::F16 => n_elements * 2,
            Self::Q4_0 => blocks * Q4_0_BYTES as u64,
            Self::Q8_0 => blocks * Q8_0_BYTES as u64,
        }
    }
}

impl Tensor {
    pub(super) fn n_elements(&self) -> u64 {
        self.shape.iter().product()
    }

    pub(super) fn n_bytes(&self) -> u64 {
        self.element.n_bytes(self.n_elements())
    }
}

/// Writes the header and, tensor by tensor, what `data` appends to the buffer it is given.
pub(super) fn write(
    out: &mut impl Write,
    keys: &[(String, Value)],
    tensors: &[Tensor],
    mut data: impl FnMut(&Tensor, &mut Vec<u8>),
) -> io::Result<()> {
    let mut header = Vec::from(*b"GGUF");
    header.extend(VERSION.to_le_bytes());
    put_u64(&mut header, tensors.len() as u64);
    put_u64(&mut header, keys.len() as u64);
    for (key, value) in keys {
        put_text(&mut header, key);
        put_value(&mut header, value);
    }
    let mut offset = 0;
    for tensor in tensors {
        put_text(&mut header, &tensor.name);
        put_u32(&mut header, tensor.shape.len() as u32);
        tensor.shape.iter().for_each(|&length| put_u64(&mut header, length));
        put_u32(&mut header, tensor.element as u32);
        put_u64(&mut header, offset);
        offset += tensor.n_bytes().next_multiple_of(ALIGNMENT);
    }
    pad(&mut header);
    out.write_all(&header)?;
    let mut bytes = Vec::new();
    for tensor in tensors {
        bytes.clear();
        data(tensor, &mut bytes);
        assert_eq!(bytes.len() as u64, tensor.n_bytes(), "{} is as long as its shape says", tensor.name);
        pad(&mut bytes);
        out.write_all(&bytes)?;
    }
    Ok(())
}

fn put_value(out: &mut Vec<u8>, value: &Value) {
    // The numbers are the format's own, of its value types.
    match value {
        Value::U32(value) => {
            put_u32(out, 4);
            put_u32(out, *value);
        }
        Value::F32(value) => {
            put_u32(out, 6);
            out.extend(value.to_le_bytes());
        }
        Value::Bool(value) => {
            put_u32(out, 7);
            out.push(u8::from(*value));
        }
        Value::Text(text) => {
            put_u32(out, 8);
            put_text(out, text);
        }
        Value::Integers(values) => {
            put_array(out, 5, values.len());
            out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        }
        Value::Texts(texts) => {
            put_array(out, 8, texts.len());
            for text in texts {
                put_text(out, text);
            }
        }
        Value::Raw(bytes) => out.extend(bytes),
    }
}

fn put_array(out: &mut Vec<u8>, element: u32, length: usize) {
    put_u32(out, 9);
    put_u32(out, element);
    put_u64(out, length as u64);
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_u64(out, text.len() as u64);
    out.extend(text.as_bytes());
}

fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend(value.to_le_bytes());
}

fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend(value.to_le_bytes());
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(ALIGNMENT as usize), 0);
}

#[cfg(test)]
mod tests {
    use impetus_models::gguf::Header;

    use super::*;

    #[test]
    fn our_own_reader_reads_it() {
        let keys: [(&str, Value); 6] = [
            ("general.architecture", Value::Text("llama".into())),
            ("llama.block_count", Value::U32(3)),
            ("llama.rope.freq_base", Value::F32(1e4)),
            ("tokenizer.ggml.add_bos_token", Value::Bool(false)),
            ("tokenizer.ggml.tokens", Value::Texts(vec!["a".into(), "bc".into()])),
            ("tokenizer.ggml.token_type", Value::Integers(vec![1, 3])),
        ];
        let keys = keys.map(|(name, value)| (name.to_owned(), value));
        let tensor =
            |name: &str, shape: &[u64], element| Tensor { name: name.into(), shape: shape.into(), element };
        let tensors = [
            tensor("a", &[5], Element::F32),
            tensor("b", &[3, 7], Element::F16),
            tensor("c", &[64, 2], Element::Q4_0),
            tensor("d", &[32, 3], Element::Q8_0),
        ];
        let mut file = Vec::new();
        write(&mut file, &keys, &tensors, |tensor, out| out.resize(tensor.n_bytes() as usize, 1)).unwrap();
        let header = Header::read(file.as_slice(), file.len() as u64).unwrap();
        assert_eq!(header.text("general.architecture"), Some("llama"));
        assert_eq!(file.len() as u64 % ALIGNMENT, 0);
    }
}
