//! GGUF files, tensor by tensor: no more than one is in memory.
//!
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>

use std::io::{self, Write};

/// What tensors begin at multiples of, in bytes.
const ALIGNMENT: u64 = 32;

/// The version of the form.
const VERSION: u32 = 3;

/// A value of the header.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    U32(u32),
    F32(f32),
    Bool(bool),
    Text(String),
    I32s(Vec<i32>),
    Texts(Vec<String>),
}

/// How a tensor's elements are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F32,
    F16,
    BF16,
}

/// A tensor that is to come.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) name: String,
    /// Rows first, which is the other way round in the file.
    pub(super) shape: Vec<usize>,
    pub(super) element: Element,
}

impl Element {
    fn number(self) -> u32 {
        match self {
            Self::F32 => 0,
            Self::F16 => 1,
            Self::BF16 => 30,
        }
    }

    fn bytes(self) -> u64 {
        if self == Self::F32 { 4 } else { 2 }
    }
}

impl Entry {
    fn bytes(&self) -> u64 {
        self.shape.iter().fold(self.element.bytes(), |bytes, &size| bytes.saturating_mul(size as u64))
    }
}

/// Writes everything before the tensors.
pub(super) fn header(out: &mut impl Write, values: &[(String, Value)], entries: &[Entry]) -> io::Result<()> {
    let mut head = Vec::from(*b"GGUF");
    head.extend(VERSION.to_le_bytes());
    head.extend((entries.len() as u64).to_le_bytes());
    head.extend((values.len() as u64).to_le_bytes());
    for (key, value) in values {
        text(&mut head, key);
        value.append(&mut head);
    }
    let mut offset = 0_u64;
    for entry in entries {
        text(&mut head, &entry.name);
        head.extend((entry.shape.len() as u32).to_le_bytes());
        for &size in entry.shape.iter().rev() {
            head.extend((size as u64).to_le_bytes());
        }
        head.extend(entry.element.number().to_le_bytes());
        head.extend(offset.to_le_bytes());
        offset += entry.bytes().next_multiple_of(ALIGNMENT);
    }
    head.resize(head.len().next_multiple_of(ALIGNMENT as usize), 0);
    out.write_all(&head)
}

/// Writes what stands between a tensor's last byte and the next one's first.
pub(super) fn pad(out: &mut impl Write, entry: &Entry) -> io::Result<()> {
    let bytes = entry.bytes();
    let gap = bytes.next_multiple_of(ALIGNMENT) - bytes;
    out.write_all(&[0; ALIGNMENT as usize][..gap as usize])
}

impl Value {
    fn append(&self, out: &mut Vec<u8>) {
        let kind = |out: &mut Vec<u8>, number: u32| out.extend(number.to_le_bytes());
        let list = |out: &mut Vec<u8>, number: u32, length: usize| {
            kind(out, 9);
            kind(out, number);
            out.extend((length as u64).to_le_bytes());
        };
        match self {
            Self::U32(value) => {
                kind(out, 4);
                out.extend(value.to_le_bytes());
            }
            Self::F32(value) => {
                kind(out, 6);
                out.extend(value.to_le_bytes());
            }
            Self::Bool(value) => {
                kind(out, 7);
                out.push(u8::from(*value));
            }
            Self::Text(value) => {
                kind(out, 8);
                text(out, value);
            }
            Self::I32s(values) => {
                list(out, 5, values.len());
                out.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            }
            Self::Texts(values) => {
                list(out, 8, values.len());
                for value in values {
                    text(out, value);
                }
            }
        }
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}
