//! Bounded reading: knows where it is, how long the file is and how much of it may be header.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};

use super::{error::GgufError, limits};

const BLOCK_BYTES: usize = 64 << 10;

pub(super) struct Source<R> {
    reader: BufReader<R>,
    at: u64,
    length: u64,
}

impl<R: Read> Source<R> {
    pub(super) fn new(reader: R, length: u64) -> Self {
        Self { reader: BufReader::with_capacity(BLOCK_BYTES, reader), at: 0, length }
    }

    /// Bytes read so far.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// Bytes of the whole file.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Whether `bytes` more can be read.
    pub(super) fn holds(&self, bytes: u64) -> bool {
        bytes <= self.length.min(limits::HEADER_BYTES).saturating_sub(self.at)
    }

    pub(super) fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], GgufError> {
        self.need(N as u64, what)?;
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(|source| self.failed(source, N as u64, what))?;
        self.at += N as u64;
        Ok(bytes)
    }

    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, GgufError> {
        self.array(what).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, GgufError> {
        self.array(what).map(u64::from_le_bytes)
    }

    /// A length and as many bytes; longer than `limit` is refused.
    pub(super) fn text(&mut self, what: &'static str, limit: u64) -> Result<Vec<u8>, GgufError> {
        let offset = self.at;
        let length = self.u64(what)?;
        if length > limit {
            return Err(GgufError::TooLong { what, offset, length, limit });
        }
        self.bytes(length, what)
    }

    /// `length` bytes. The buffer grows with what is read, not with what is asked for.
    pub(super) fn bytes(&mut self, length: u64, what: &'static str) -> Result<Vec<u8>, GgufError> {
        self.need(length, what)?;
        let mut bytes = Vec::new();
        let read = self.reader.by_ref().take(length).read_to_end(&mut bytes);
        match read {
            Ok(read) if read as u64 == length => {}
            Ok(_) => return Err(self.truncated(length, what)),
            Err(source) => return Err(self.failed(source, length, what)),
        }
        self.at += length;
        Ok(bytes)
    }

    /// Passes over `length` bytes.
    pub(super) fn skip(&mut self, length: u64, what: &'static str) -> Result<(), GgufError> {
        self.need(length, what)?;
        let mut left = length;
        while left > 0 {
            let available = match self.reader.fill_buf() {
                Ok(block) => block.len(),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(source) => return Err(self.failed(source, left, what)),
            };
            if available == 0 {
                return Err(self.truncated(left, what));
            }
            let passed = left.min(available as u64);
            self.reader.consume(passed as usize);
            self.at += passed;
            left -= passed;
        }
        Ok(())
    }

    fn need(&self, bytes: u64, what: &'static str) -> Result<(), GgufError> {
        if bytes > self.length.saturating_sub(self.at) {
            return Err(self.truncated(bytes, what));
        }
        if !self.holds(bytes) {
            let limit = limits::HEADER_BYTES;
            return Err(GgufError::HeaderTooLarge { what, offset: self.at, limit });
        }
        Ok(())
    }

    fn truncated(&self, needed: u64, what: &'static str) -> GgufError {
        GgufError::Truncated { what, offset: self.at, needed, length: self.length }
    }

    fn failed(&self, source: io::Error, needed: u64, what: &'static str) -> GgufError {
        // The file may have shrunk since its length was taken.
        if source.kind() == ErrorKind::UnexpectedEof {
            return self.truncated(needed, what);
        }
        GgufError::Io { offset: self.at, source }
    }
}
