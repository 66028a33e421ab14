//! The file of prefixes. What is new is written where the index lists nothing, then the other one of the two blocks
//! lists it: whatever is lost of that, one of the blocks is whole, and what it lists is as it says or known to be broken.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use super::{
    disk::Disk,
    index::{self, BLOCK_BYTES, Block, DATA_START, Digest, Extent, MAX_EXTENTS, MAX_TOKENS, Record},
    worth::{Gain, common_prefix, is_growth},
};
use crate::{engine::TokenId, scheduler::Counters};

/// A file that several processes may have open, of which one makes use.
pub(super) struct Arena {
    disk: Box<dyn Disk>,
    limit_bytes: u64,
    fingerprint: Digest,
    counters: Arc<Counters>,
    /// Absent until the file is this process's. Held for moments.
    index: Mutex<Option<Index>>,
    /// Held by who opens the file or writes to it, for as long as that takes.
    order: Mutex<()>,
}

/// What the file holds.
#[derive(Clone)]
struct Index {
    generation: u64,
    extents: Vec<Arc<Extent>>,
    /// When something was last used.
    clock: u64,
}

/// What is to be written.
pub(super) struct Content<'a> {
    pub(super) owner: Digest,
    pub(super) tokens: &'a [TokenId],
    pub(super) state: &'a [u8],
}

/// Why a state was not read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReadError {
    #[error("its place was given to another one meanwhile")]
    Gone,
    #[error("it is not what was written")]
    Broken,
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Arena {
    /// A file of which at most `limit_bytes` are used, for what is computed under `fingerprint`.
    pub(super) fn new(
        disk: Box<dyn Disk>,
        limit_bytes: u64,
        fingerprint: &[u8],
        counters: Arc<Counters>,
    ) -> Self {
        let fingerprint = index::digest(&[fingerprint]);
        Self { disk, limit_bytes, fingerprint, counters, index: Mutex::default(), order: Mutex::default() }
    }

    /// Makes the file this process's, unless it is another one's; answers whether it is.
    pub(super) fn open(&self) -> io::Result<bool> {
        if self.is_open() {
            return Ok(true);
        }
        // Whoever holds this while the file is not open is opening it.
        let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.is_open() {
            if !self.disk.try_lock()? {
                return Ok(false);
            }
            let index = self.read_index()?;
            self.publish(index);
        }
        Ok(true)
    }

    pub(super) fn is_open(&self) -> bool {
        self.with(|index| index.is_some())
    }

    /// What stands for an owner in this file, and in no other.
    pub(super) fn owner(&self, owner: &str) -> Digest {
        index::digest(&[&self.fingerprint, owner.as_bytes()])
    }

    /// Whether nearly all of `tokens` is here.
    pub(super) fn has(&self, owner: &Digest, tokens: &[TokenId]) -> bool {
        self.with(|index| {
            let here = |extent: &Arc<Extent>| !is_growth(tokens.len(), common_prefix(&extent.tokens, tokens));
            index.as_ref().is_some_and(|index| index.of(owner).any(here))
        })
    }

    /// The prefix that serves `tokens` best, if it does better than what is elsewhere; it counts as used.
    pub(super) fn find(&self, owner: &Digest, tokens: &[TokenId], gain: Gain) -> Option<Arc<Extent>> {
        self.with(|index| {
            let index = index.as_mut()?;
            let best = index
                .of(owner)
                .map(|extent| (extent, common_prefix(&extent.tokens, tokens)))
                .filter(|(extent, common)| gain.pays(*common, extent.tokens.len()))
                .max_by_key(|(extent, common)| (*common, std::cmp::Reverse(extent.tokens.len())))
                .map(|(extent, _)| Arc::clone(extent))?;
            index.clock = index.clock.saturating_add(1);
            best.last_used.store(index.clock, Relaxed);
            Some(best)
        })
    }

    /// Reads the state of `extent` into `state`, all of it, and makes sure that it is what was written.
    pub(super) fn read(&self, extent: &Arc<Extent>, state: &mut [u8]) -> Result<(), ReadError> {
        let offset = extent.offset + index::bytes(extent.tokens.len(), 0);
        self.disk.read(state, offset)?;
        let is_same = crc32fast::hash(state) == extent.state_crc;
        let is_here = |index: &mut Option<Index>| {
            index.as_ref().is_some_and(|index| index.extents.iter().any(|other| Arc::ptr_eq(other, extent)))
        };
        if !self.with(is_here) {
            return Err(ReadError::Gone);
        }
        if !is_same {
            extent.is_broken.store(true, Relaxed);
            return Err(ReadError::Broken);
        }
        Ok(())
    }

    /// Nobody wants this prefix any more: its engine refuses it.
    pub(super) fn forget(&self, owner: &Digest, tokens: &[TokenId]) {
        self.with(|index| {
            let all = index.as_ref().map(|index| index.of(owner)).into_iter().flatten();
            for extent in all.filter(|extent| extent.tokens == tokens) {
                extent.is_broken.store(true, Relaxed);
            }
        });
    }

    /// Writes a prefix, in place of those that it begins with; what was used least recently makes room. What is here
    /// already, nearly, or is too large is not written. With `lasting` it outlasts the machine. After an error the
    /// file holds what it held, or less.
    pub(super) fn write(&self, content: &Content<'_>, lasting: bool) -> io::Result<()> {
        let _order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut index) = self.with(|index| index.clone()) else { return Ok(()) };
        let length = index::bytes(content.tokens.len(), content.state.len() as u64);
        let fits = DATA_START.checked_add(length).is_some_and(|end| end <= self.limit_bytes);
        if !fits || content.tokens.len() > MAX_TOKENS || self.has(&content.owner, content.tokens) {
            return Ok(());
        }
        let (offset, has_evicted) = index.make_room(content.tokens.len(), length, self.limit_bytes);
        // What is overwritten must not be listed any more.
        if has_evicted {
            self.commit(&mut index)?;
        }
        let tokens = bytes_of(content.tokens);
        self.disk.write(&tokens, offset)?;
        self.disk.write(content.state, offset + tokens.len() as u64)?;
        if lasting {
            self.disk.sync()?;
        }
        index.clock = index.clock.saturating_add(1);
        index
            .extents
            .retain(|extent| extent.owner != content.owner || !content.tokens.starts_with(&extent.tokens));
        index.extents.push(Arc::new(Extent {
            offset,
            state_bytes: content.state.len() as u64,
            owner: content.owner,
            tokens: content.tokens.to_vec(),
            tokens_crc: crc32fast::hash(&tokens),
            state_crc: crc32fast::hash(content.state),
            last_used: AtomicU64::new(index.clock),
            is_broken: AtomicBool::new(false),
        }));
        self.commit(&mut index)
    }

    /// Lists what `index` says in the block that the last one is not in.
    fn commit(&self, index: &mut Index) -> io::Result<()> {
        let generation = index.generation + 1;
        let listed = index.extents.iter().map(AsRef::as_ref);
        let block = Block::write(generation, &self.fingerprint, listed);
        self.disk.write(&block, generation % 2 * BLOCK_BYTES)?;
        index.generation = generation;
        self.publish(index.clone());
        Ok(())
    }

    fn publish(&self, index: Index) {
        self.counters.prefix_file(index.extents.iter().map(|extent| extent.bytes()).sum());
        self.with(|current| *current = Some(index));
    }

    /// Reads what the file says of itself. What is of another fingerprint, or makes no sense, is not there.
    fn read_index(&self) -> io::Result<Index> {
        let length = self.disk.length()?;
        let mut newest: Option<Block> = None;
        for place in 0..2 {
            let here = length.saturating_sub(place * BLOCK_BYTES).min(BLOCK_BYTES);
            let mut bytes = vec![0; here as usize];
            self.disk.read(&mut bytes, place * BLOCK_BYTES)?;
            let block = Block::read(&bytes).filter(|block| block.generation % 2 == place);
            let is_newer =
                |block: &Block| newest.as_ref().is_none_or(|other| other.generation < block.generation);
            newest = block.filter(is_newer).or(newest);
        }
        if length > self.limit_bytes.max(DATA_START) {
            self.disk.set_length(self.limit_bytes.max(DATA_START))?;
        }
        let generation = newest.as_ref().map_or(0, |block| block.generation);
        let ours = newest.filter(|block| block.fingerprint == self.fingerprint);
        let records = ours.map(|block| block.records).unwrap_or_default();
        let extents = self.read_extents(records, length.min(self.limit_bytes));
        let clock = extents.iter().map(|extent| extent.last_used.load(Relaxed)).max().unwrap_or_default();
        Ok(Index { generation, extents, clock })
    }

    /// What of `records` lies within `limit` and apart, with tokens that are those that were written.
    fn read_extents(&self, mut records: Vec<Record>, limit: u64) -> Vec<Arc<Extent>> {
        records.sort_unstable_by_key(|record| record.offset);
        let (mut end, mut n_tokens) = (0, 0);
        let mut extents = Vec::new();
        for record in records {
            let Some(own_end) = record.end(limit) else { continue };
            if record.offset < end || n_tokens + record.n_tokens as usize > MAX_TOKENS {
                continue;
            }
            let mut bytes = vec![0; index::bytes(record.n_tokens as usize, 0) as usize];
            let is_read = self.disk.read(&mut bytes, record.offset).is_ok();
            if !is_read || crc32fast::hash(&bytes) != record.tokens_crc {
                continue;
            }
            end = own_end;
            n_tokens += record.n_tokens as usize;
            let (tokens, _) = bytes.as_chunks::<4>();
            extents.push(Arc::new(Extent {
                offset: record.offset,
                state_bytes: record.state_bytes,
                owner: record.owner,
                tokens: tokens.iter().map(|bytes| TokenId(u32::from_le_bytes(*bytes))).collect(),
                tokens_crc: record.tokens_crc,
                state_crc: record.state_crc,
                last_used: AtomicU64::new(record.last_used),
                is_broken: AtomicBool::new(false),
            }));
        }
        extents
    }

    fn with<T>(&self, look: impl FnOnce(&mut Option<Index>) -> T) -> T {
        look(&mut self.index.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Index {
    fn of(&self, owner: &Digest) -> impl Iterator<Item = &Arc<Extent>> {
        self.extents.iter().filter(move |extent| extent.owner == *owner && !extent.is_broken.load(Relaxed))
    }

    /// Finds a place for `length` bytes, which fit into the empty file, and room for one more prefix of `n_tokens`;
    /// also says whether anything had to go for it.
    fn make_room(&mut self, n_tokens: usize, length: u64, limit: u64) -> (u64, bool) {
        let before = self.extents.len();
        self.extents.retain(|extent| !extent.is_broken.load(Relaxed));
        loop {
            let taken = self.extents.iter().map(|extent| (extent.offset, extent.offset + extent.bytes()));
            let place = index::gap(taken.collect(), length, limit);
            let tokens: usize = self.extents.iter().map(|extent| extent.tokens.len()).sum();
            let oldest = (0..self.extents.len()).min_by_key(|&idx| self.extents[idx].last_used.load(Relaxed));
            match (place, oldest) {
                (Some(place), _) if self.extents.len() < MAX_EXTENTS && tokens + n_tokens <= MAX_TOKENS => {
                    return (place, self.extents.len() < before);
                }
                (_, Some(oldest)) => drop(self.extents.swap_remove(oldest)),
                (place, None) => return (place.unwrap_or(DATA_START), before > 0),
            }
        }
    }
}

fn bytes_of(tokens: &[TokenId]) -> Vec<u8> {
    tokens.iter().flat_map(|token| token.0.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests;
