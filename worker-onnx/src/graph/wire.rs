//! Protocol buffers, field by field: every message is a window of the file that its fields do not leave.
//!
//! Encoding: <https://protobuf.dev/programming-guides/encoding/>.

use std::{
    fs::File,
    io::{BufReader, Read},
};

/// Small, because little is read between the data of two tensors.
const BLOCK_BYTES: usize = 8 << 10;
/// Bytes that are read of a file, which is all but the data of its tensors.
const MAX_READ_BYTES: u64 = 256 << 20;
/// Bytes of a name or a path.
const MAX_TEXT_BYTES: u64 = 1024;

/// A file that is read from its start to its end.
pub(super) struct Wire {
    reader: BufReader<File>,
    at: u64,
    read: u64,
    length: u64,
}

/// A field's number, and what it holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) number: u64,
    pub(super) value: Value,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    /// A number; none matters here.
    Number,
    /// Bytes up to this place of the file, the first of which is next.
    Bytes(u64),
}

/// Why a file cannot be walked.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("it is no ONNX file, or it is damaged, at byte {0}")]
    Damaged(u64),
    #[error("it ends within a field at byte {0}: it was not written or copied whole")]
    Truncated(u64),
    #[error("a name at byte {0} is longer than {MAX_TEXT_BYTES} bytes")]
    LongText(u64),
    #[error("graphs lie within graphs more than {0} deep")]
    Depth(u32),
    #[error("it has more than {MAX_READ_BYTES} bytes beside its tensors")]
    TooMuch,
}

impl Field {
    /// Where the bytes end that the field has to be.
    pub(super) fn bytes(self, wire: &Wire) -> Result<u64, WireError> {
        match self.value {
            Value::Bytes(end) => Ok(end),
            Value::Number => Err(WireError::Damaged(wire.at)),
        }
    }
}

impl Wire {
    pub(super) fn new(file: File) -> Result<Self, WireError> {
        let length = file.metadata()?.len();
        Ok(Self { reader: BufReader::with_capacity(BLOCK_BYTES, file), at: 0, read: 0, length })
    }

    /// Bytes of the file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// The next field of the message that ends at `end`.
    pub(super) fn field(&mut self, end: u64) -> Result<Option<Field>, WireError> {
        if self.at == end {
            return Ok(None);
        }
        let start = self.at;
        let tag = self.varint(end)?;
        let value = match tag & 7 {
            0 => {
                self.varint(end)?;
                Value::Number
            }
            1 => Value::Bytes(self.window(8, end)?),
            2 => {
                let length = self.varint(end)?;
                Value::Bytes(self.window(length, end)?)
            }
            5 => Value::Bytes(self.window(4, end)?),
            _ => return Err(WireError::Damaged(start)),
        };
        match tag >> 3 {
            0 => Err(WireError::Damaged(start)),
            number => Ok(Some(Field { number, value })),
        }
    }

    /// The bytes of a field as text.
    pub(super) fn text(&mut self, field: Field) -> Result<String, WireError> {
        let (start, end) = (self.at, field.bytes(self)?);
        if end - start > MAX_TEXT_BYTES {
            return Err(WireError::LongText(start));
        }
        let mut bytes = vec![0; (end - start) as usize];
        self.fill(&mut bytes)?;
        String::from_utf8(bytes).map_err(|_| WireError::Damaged(start))
    }

    /// Passes over what is left of a field.
    pub(super) fn skip(&mut self, field: Field) -> Result<(), WireError> {
        let Value::Bytes(end) = field.value else { return Ok(()) };
        let forward = i64::try_from(end - self.at).map_err(|_| WireError::Damaged(self.at))?;
        self.reader.seek_relative(forward)?;
        self.at = end;
        Ok(())
    }

    fn varint(&mut self, end: u64) -> Result<u64, WireError> {
        let (start, mut number) = (self.at, 0);
        for shift in (0..64).step_by(7) {
            self.window(1, end)?;
            let mut byte = [0];
            self.fill(&mut byte)?;
            let bits = u64::from(byte[0] & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte[0] & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(WireError::Damaged(start))
    }

    /// Where `length` more bytes end, within the window that ends at `end`.
    fn window(&self, length: u64, end: u64) -> Result<u64, WireError> {
        match self.at.checked_add(length) {
            Some(last) if last <= end => Ok(last),
            _ if end == self.length => Err(WireError::Truncated(self.at)),
            _ => Err(WireError::Damaged(self.at)),
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), WireError> {
        self.read += bytes.len() as u64;
        if self.read > MAX_READ_BYTES {
            return Err(WireError::TooMuch);
        }
        self.reader.read_exact(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}
