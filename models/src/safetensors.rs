//! Headers of safetensors files: the types, shapes and places of tensors, without tensor data.
//!
//! Format: <https://github.com/huggingface/safetensors#format>. What the reference implementation refuses is refused
//! here: a file is its header and then the tensors without a gap, an overlap or a remainder. Reading takes time in
//! proportion to the header and memory in proportion to the number of tensors.

mod dtype;
mod error;
mod tensor;
#[cfg(test)]
mod tests;

use std::io::{BufReader, ErrorKind, Read};

pub use dtype::Dtype;
pub use error::{SafetensorsError, TensorProblem};
pub use tensor::{Share, Tensors};

use tensor::Entries;

/// Limits on what a header may hold.
pub mod limits {
    /// Bytes of the JSON; the reference implementation's own limit.
    pub const HEADER_BYTES: u64 = 100_000_000;
    /// Tensors of one file.
    pub const TENSORS: usize = 131_072;
    /// Dimensions of a tensor.
    pub const DIMENSIONS: usize = 32;
}

/// How files start that Git LFS leaves in the place of those it has not fetched.
const LFS_POINTER: &[u8; 8] = b"version ";

/// The header of one safetensors file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Where tensor data starts, in bytes from the start of the file.
    pub data_offset: u64,
    /// The tensors, summed up.
    pub tensors: Tensors,
}

impl Header {
    /// Reads a header from the start of a file of `length` bytes. `reader` stands at the file's first byte and is
    /// read in blocks, beyond the header's end too.
    pub fn read(reader: impl Read, length: u64) -> Result<Self, SafetensorsError> {
        let mut reader = BufReader::new(reader);
        let header_bytes = header_bytes(&mut reader, length)?;
        let data_offset = 8 + header_bytes;
        if data_offset > length {
            return Err(SafetensorsError::Truncated { needed: data_offset, length });
        }
        let entries = Entries::read(reader.take(header_bytes))?;
        let tensors = entries.within(length - data_offset)?;
        Ok(Self { data_offset, tensors })
    }
}

/// The eight bytes before the JSON: its length.
fn header_bytes(mut reader: impl Read, length: u64) -> Result<u64, SafetensorsError> {
    let mut bytes = [0; 8];
    reader.read_exact(&mut bytes).map_err(|source| match source.kind() {
        ErrorKind::UnexpectedEof => SafetensorsError::Truncated { needed: 8, length },
        _ => SafetensorsError::Io { source },
    })?;
    if bytes == *LFS_POINTER {
        return Err(SafetensorsError::LfsPointer);
    }
    let declared = u64::from_le_bytes(bytes);
    if declared > limits::HEADER_BYTES {
        return Err(SafetensorsError::HeaderTooLarge { declared, limit: limits::HEADER_BYTES });
    }
    Ok(declared)
}
