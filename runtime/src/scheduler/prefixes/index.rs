//! What the file of prefixes says of itself: a block of bytes that lists where each prefix lies.
//!
//! All numbers are little-endian. A block is [`MAGIC`], the version and the number of records (u32 each), the
//! generation (u64), the fingerprint (32 bytes), the records, and the CRC-32 of all before it. A record is the offset,
//! the bytes of the state and when it was used (u64 each), the number of tokens, the CRC-32 of the tokens and of the
//! state (u32 each), and the owner (32 bytes). At the offset lie the tokens (u32 each), then the state.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use sha2::{Digest as _, Sha256};

use crate::engine::TokenId;

/// Bytes from the beginning of the file to the first prefix: two blocks, written in turn.
pub(super) const DATA_START: u64 = 2 * BLOCK_BYTES;

/// Bytes that a block may take.
pub(super) const BLOCK_BYTES: u64 = 64 << 10;

/// The most prefixes in a file; each is compared with every prompt.
pub(super) const MAX_EXTENTS: usize = 512;

/// The most tokens of all prefixes of a file together: they are read into RAM, 4 bytes each.
pub(super) const MAX_TOKENS: usize = 1 << 20;

/// Extents begin at multiples of this.
const ALIGNMENT: u64 = 4096;

const MAGIC: [u8; 8] = *b"IMPREFIX";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 56;
const RECORD_BYTES: usize = 68;

/// A SHA-256.
pub(super) type Digest = [u8; 32];

/// A prefix in the file.
#[derive(Debug)]
pub(super) struct Extent {
    pub(super) offset: u64,
    pub(super) state_bytes: u64,
    pub(super) owner: Digest,
    pub(super) tokens: Vec<TokenId>,
    pub(super) tokens_crc: u32,
    pub(super) state_crc: u32,
    /// Higher is later.
    pub(super) last_used: AtomicU64,
    /// What lies there is not what was written.
    pub(super) is_broken: AtomicBool,
}

/// A block as it was read.
#[derive(Debug, PartialEq)]
pub(super) struct Block {
    pub(super) generation: u64,
    pub(super) fingerprint: Digest,
    pub(super) records: Vec<Record>,
}

/// A line of a block.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Record {
    pub(super) offset: u64,
    pub(super) state_bytes: u64,
    pub(super) last_used: u64,
    pub(super) n_tokens: u32,
    pub(super) tokens_crc: u32,
    pub(super) state_crc: u32,
    pub(super) owner: Digest,
}

impl Extent {
    /// Bytes of its tokens and its state.
    pub(super) fn bytes(&self) -> u64 {
        bytes(self.tokens.len(), self.state_bytes)
    }

    fn record(&self) -> Record {
        Record {
            offset: self.offset,
            state_bytes: self.state_bytes,
            last_used: self.last_used.load(Relaxed),
            n_tokens: self.tokens.len() as u32,
            tokens_crc: self.tokens_crc,
            state_crc: self.state_crc,
            owner: self.owner,
        }
    }
}

impl Record {
    /// Where it ends, if it lies within `limit` bytes at a place where one may lie.
    pub(super) fn end(&self, limit: u64) -> Option<u64> {
        let length = u64::from(self.n_tokens).checked_mul(size_of::<TokenId>() as u64)?;
        let end = self.offset.checked_add(length)?.checked_add(self.state_bytes)?;
        let is_sound =
            self.n_tokens > 0 && self.offset >= DATA_START && self.offset.is_multiple_of(ALIGNMENT);
        (is_sound && end <= limit).then_some(end)
    }

    fn write(&self, block: &mut Vec<u8>) {
        for number in [self.offset, self.state_bytes, self.last_used] {
            block.extend(number.to_le_bytes());
        }
        for number in [self.n_tokens, self.tokens_crc, self.state_crc] {
            block.extend(number.to_le_bytes());
        }
        block.extend(self.owner);
    }
}

impl Block {
    /// The bytes of a block that lists `extents`, at most [`MAX_EXTENTS`].
    pub(super) fn write<'a>(
        generation: u64,
        fingerprint: &Digest,
        extents: impl ExactSizeIterator<Item = &'a Extent>,
    ) -> Vec<u8> {
        let mut block = Vec::with_capacity(HEADER_BYTES + extents.len() * RECORD_BYTES + 4);
        block.extend(MAGIC);
        block.extend(VERSION.to_le_bytes());
        block.extend((extents.len() as u32).to_le_bytes());
        block.extend(generation.to_le_bytes());
        block.extend(fingerprint);
        extents.for_each(|extent| extent.record().write(&mut block));
        block.extend(crc32fast::hash(&block).to_le_bytes());
        block
    }

    /// Reads a block from what lies in its place; `None` where that is none, or was not written to its end.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let (magic, version) = (take::<8>(&mut rest)?, u32::from_le_bytes(take(&mut rest)?));
        let n_records = u32::from_le_bytes(take(&mut rest)?) as usize;
        let generation = u64::from_le_bytes(take(&mut rest)?);
        let fingerprint = take(&mut rest)?;
        // Generations count up from one: a higher one than that was never written.
        if magic != MAGIC || version != VERSION || n_records > MAX_EXTENTS || generation > u64::MAX / 2 {
            return None;
        }
        let end = HEADER_BYTES + n_records * RECORD_BYTES;
        let crc = u32::from_le_bytes(*bytes.get(end..)?.first_chunk()?);
        if crc32fast::hash(bytes.get(..end)?) != crc {
            return None;
        }
        let records = (0..n_records).map(|_| read_record(&mut rest)).collect::<Option<_>>()?;
        Some(Self { generation, fingerprint, records })
    }
}

/// Bytes that so many tokens and such a state take in the file.
pub(super) fn bytes(n_tokens: usize, state_bytes: u64) -> u64 {
    state_bytes.saturating_add(size_of::<TokenId>() as u64 * n_tokens as u64)
}

/// The first place below `limit` where `length` bytes fit between `taken` (begin and end of each).
pub(super) fn gap(mut taken: Vec<(u64, u64)>, length: u64, limit: u64) -> Option<u64> {
    taken.sort_unstable();
    let mut begin = DATA_START;
    for (offset, end) in taken {
        if begin.checked_add(length)? <= offset {
            return Some(begin);
        }
        begin = begin.max(end.checked_next_multiple_of(ALIGNMENT)?);
    }
    (begin.checked_add(length)? <= limit).then_some(begin)
}

/// What stands in the file for a secret or a long name.
pub(super) fn digest(parts: &[&[u8]]) -> Digest {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

fn read_record(rest: &mut &[u8]) -> Option<Record> {
    Some(Record {
        offset: u64::from_le_bytes(take(rest)?),
        state_bytes: u64::from_le_bytes(take(rest)?),
        last_used: u64::from_le_bytes(take(rest)?),
        n_tokens: u32::from_le_bytes(take(rest)?),
        tokens_crc: u32::from_le_bytes(take(rest)?),
        state_crc: u32::from_le_bytes(take(rest)?),
        owner: take(rest)?,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, later) = rest.split_first_chunk::<N>()?;
    *rest = later;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn extent(offset: u64, n_tokens: u32) -> Extent {
        Extent {
            offset,
            state_bytes: 100,
            owner: [7; 32],
            tokens: (0..n_tokens).map(TokenId).collect(),
            tokens_crc: 1,
            state_crc: 2,
            last_used: AtomicU64::new(3),
            is_broken: AtomicBool::new(false),
        }
    }

    #[test]
    fn the_fullest_block_has_room() {
        let extents: Vec<_> =
            (0..MAX_EXTENTS as u64).map(|n| extent(DATA_START + n * ALIGNMENT, 5)).collect();
        let bytes = Block::write(9, &[1; 32], extents.iter());
        assert!(bytes.len() as u64 <= BLOCK_BYTES, "{}", bytes.len());
        let block = Block::read(&bytes).unwrap();
        assert_eq!((block.generation, block.fingerprint, block.records.len()), (9, [1; 32], MAX_EXTENTS));
        assert_eq!(block.records[3], extents[3].record());
    }

    #[test]
    fn a_record_lies_where_one_may_lie() {
        let sound = extent(DATA_START, 5).record();
        let check = |change: fn(&mut Record), expected: Option<u64>| {
            let mut record = sound.clone();
            change(&mut record);
            assert_eq!(record.end(DATA_START + 200), expected, "{record:?}");
        };
        check(|_| {}, Some(DATA_START + 120));
        check(|record| record.state_bytes = 180, Some(DATA_START + 200));
        check(|record| record.state_bytes = 181, None);
        check(|record| record.state_bytes = u64::MAX, None);
        check(|record| record.n_tokens = 0, None);
        check(|record| record.n_tokens = u32::MAX, None);
        check(|record| record.offset = 0, None);
        check(|record| record.offset += 1, None);
        check(|record| record.offset = u64::MAX - 4095, None);
    }

    #[test]
    fn a_gap_is_found_where_there_is_one() {
        let check = |taken: &[(u64, u64)], length: u64, expected: Option<u64>| {
            let taken = taken.iter().map(|(begin, end)| (DATA_START + begin, DATA_START + end)).collect();
            let found = gap(taken, length, DATA_START + 40_960).map(|at| at - DATA_START);
            assert_eq!(found, expected);
        };
        check(&[], 40_960, Some(0));
        check(&[], 40_961, None);
        check(&[(0, 10)], 4096, Some(4096));
        check(&[(8192, 9000), (0, 10)], 4096, Some(4096));
        check(&[(8192, 9000), (0, 10)], 4097, Some(12_288));
        check(&[(0, 40_000)], 1, None);
        check(&[], u64::MAX, None);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_block_but_those_of_one(bytes in prop::collection::vec(any::<u8>(), 0..200), at: usize, bit in 0..8u8) {
            prop_assert_eq!(Block::read(&bytes), None);
            let mut block = Block::write(1, &[0; 32], [extent(DATA_START, 9)].iter());
            let at = at % block.len();
            prop_assert!(Block::read(&block[..at]).is_none(), "cut at {}", at);
            block[at] ^= 1 << bit;
            prop_assert!(Block::read(&block).is_none(), "bit {} of {}", bit, at);
        }
    }
}
