//! Protocol buffers, field by field: every message is a window of the file that its fields may not leave.
//!
//! Encoding: <https://protobuf.dev/programming-guides/encoding/>.

use std::io::{BufRead, BufReader, ErrorKind, Read, Seek};

use super::{error::OnnxError, limits};

/// Small, because what is read between the data of two tensors is short.
const BLOCK_BYTES: usize = 8 << 10;

pub(super) struct Source<R> {
    reader: BufReader<R>,
    at: u64,
    walked: u64,
    length: u64,
}

/// A field's number and what follows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field {
    pub(super) number: u64,
    /// Where the field starts.
    pub(super) offset: u64,
    pub(super) value: Value,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Value {
    Number(u64),
    /// Four or eight bytes, passed over.
    Fixed(u64),
    /// Bytes up to `end`, at the first of which the source stands.
    Bytes {
        end: u64,
    },
}

impl Field {
    /// The number that the field must be.
    pub(super) fn number(self, what: &'static str) -> Result<u64, OnnxError> {
        match self.value {
            Value::Number(number) => Ok(number),
            _ => Err(OnnxError::Damaged { what, offset: self.offset }),
        }
    }

    /// Where the bytes end that the field must be.
    pub(super) fn bytes(self, what: &'static str) -> Result<u64, OnnxError> {
        match self.value {
            Value::Bytes { end } => Ok(end),
            _ => Err(OnnxError::Damaged { what, offset: self.offset }),
        }
    }
}

impl<R: Read + Seek> Source<R> {
    pub(super) fn new(reader: R, length: u64) -> Self {
        Self { reader: BufReader::with_capacity(BLOCK_BYTES, reader), at: 0, walked: 0, length }
    }

    /// Bytes passed so far.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Whether the file starts with these few bytes; nothing was read before.
    pub(super) fn starts_with(&mut self, bytes: &[u8]) -> Result<bool, OnnxError> {
        let block = self.reader.fill_buf().map_err(|source| OnnxError::Io { offset: 0, source })?;
        Ok(block.starts_with(bytes))
    }

    /// The next field of the message `what` that ends at `end`.
    pub(super) fn field(&mut self, end: u64, what: &'static str) -> Result<Option<Field>, OnnxError> {
        if self.at >= end {
            return Ok(None);
        }
        let offset = self.at;
        let tag = self.varint(end, what)?;
        let number = tag >> 3;
        if number == 0 || number > u64::from(u32::MAX >> 3) {
            return Err(OnnxError::Damaged { what, offset });
        }
        let value = match tag & 7 {
            0 => Value::Number(self.varint(end, what)?),
            1 => self.fixed(8, end, what)?,
            2 => {
                let length = self.varint(end, what)?;
                Value::Bytes { end: self.within(length, end, what, offset)? }
            }
            5 => self.fixed(4, end, what)?,
            // Groups were never part of this format, and nothing else is defined.
            _ => return Err(OnnxError::Damaged { what, offset }),
        };
        Ok(Some(Field { number, offset, value }))
    }

    /// A number of up to ten bytes within a window.
    pub(super) fn varint(&mut self, end: u64, what: &'static str) -> Result<u64, OnnxError> {
        let offset = self.at;
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(end, what, offset)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(OnnxError::Damaged { what, offset })
    }

    /// The bytes up to `end` as text.
    pub(super) fn text(&mut self, end: u64, what: &'static str) -> Result<String, OnnxError> {
        let (offset, length) = (self.at, end - self.at);
        if length > limits::NAME_BYTES {
            return Err(OnnxError::TooLong { what, offset, length, limit: limits::NAME_BYTES });
        }
        self.walk(length, what)?;
        let mut bytes = vec![0; length as usize];
        self.reader.read_exact(&mut bytes).map_err(|source| self.failed(source, what))?;
        self.at = end;
        String::from_utf8(bytes).map_err(|_| OnnxError::Damaged { what, offset })
    }

    /// Passes over what is left of a field.
    pub(super) fn skip(&mut self, field: Field) -> Result<(), OnnxError> {
        let Value::Bytes { end } = field.value else { return Ok(()) };
        let forward = i64::try_from(end - self.at).unwrap_or(i64::MAX);
        self.reader.seek_relative(forward).map_err(|source| OnnxError::Io { offset: self.at, source })?;
        self.at = end;
        Ok(())
    }

    fn fixed(&mut self, bytes: u64, end: u64, what: &'static str) -> Result<Value, OnnxError> {
        let offset = self.at;
        self.within(bytes, end, what, offset)?;
        for _ in 0..bytes {
            self.byte(end, what, offset)?;
        }
        Ok(Value::Fixed(bytes))
    }

    fn byte(&mut self, end: u64, what: &'static str, offset: u64) -> Result<u8, OnnxError> {
        self.within(1, end, what, offset)?;
        self.walk(1, what)?;
        // What is buffered is most of what is read, and taking it from there is several times as fast.
        let byte = if let Some(&byte) = self.reader.buffer().first() {
            self.reader.consume(1);
            byte
        } else {
            let mut byte = [0];
            self.reader.read_exact(&mut byte).map_err(|source| self.failed(source, what))?;
            byte[0]
        };
        self.at += 1;
        Ok(byte)
    }

    /// Where `length` more bytes end, if that is within the window that ends at `end`.
    fn within(&self, length: u64, end: u64, what: &'static str, offset: u64) -> Result<u64, OnnxError> {
        match self.at.checked_add(length) {
            Some(last) if last <= end => Ok(last),
            _ if end >= self.length => Err(OnnxError::Truncated { what, offset, length: self.length }),
            _ => Err(OnnxError::Damaged { what, offset }),
        }
    }

    fn walk(&mut self, bytes: u64, what: &'static str) -> Result<(), OnnxError> {
        self.walked += bytes;
        if self.walked > limits::WALKED_BYTES {
            return Err(OnnxError::TooMuch { what, offset: self.at, limit: limits::WALKED_BYTES });
        }
        Ok(())
    }

    fn failed(&self, source: std::io::Error, what: &'static str) -> OnnxError {
        // The file may have shrunk since its length was taken.
        if source.kind() == ErrorKind::UnexpectedEof {
            return OnnxError::Truncated { what, offset: self.at, length: self.length };
        }
        OnnxError::Io { offset: self.at, source }
    }
}
