//! Computed prefixes that no slot holds any more: in RAM, and in a file that outlives the process.
//!
//! The engine's thread saves what it is about to throw away and asks for what serves a sequence better than its slots
//! do. It waits for no disk: a thread of its own writes to the file, and what lies there is fetched into RAM by the
//! thread that prepares a sequence, before the sequence is submitted. Nobody finds what another owner has computed.

mod arena;
mod board;
mod disk;
mod index;
mod shared;
mod shelf;
mod worth;
mod writer;

use std::{
    fs::File,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Instant,
};

use impetus_proto::launch::PrefixSpec;
use nix::sys::resource::{Resource, getrlimit};
use tracing::debug;

use self::{arena::Arena, disk::Disk, shared::Shared, shelf::Shelf};
pub(super) use self::{
    board::Board,
    shared::Filing,
    shelf::{Prefix, Share},
    worth::{Gain, MIN_TOKENS, common_prefix},
};
use crate::{
    engine::TokenId,
    scheduler::{Counters, Sequence},
};

/// Refusals in a row to cut off what was loaded, after which an engine is not asked any more: it may lack memory for once.
const MAX_CUTS_REFUSED: u32 = 3;

/// All that a worker keeps of computed prefixes. Shared by the engine's thread, the service and the writer.
pub struct Prefixes {
    shared: Arc<Shared>,
    board: Arc<Board>,
    /// Held by who reads the file.
    fetching: Mutex<()>,
    /// In a row.
    cuts_refused: AtomicU32,
}

/// A prefix that serves a sequence.
pub(super) struct Found {
    pub(super) prefix: Arc<Prefix>,
    /// Tokens of it that the sequence begins with.
    pub(super) length: usize,
}

impl Prefixes {
    /// What `spec` allows, with the file that came with it.
    pub fn new(spec: &PrefixSpec, file: Option<File>, counters: &Arc<Counters>) -> Arc<Self> {
        let file = file.filter(|file| file.metadata().is_ok_and(|metadata| metadata.is_file()));
        // Beyond the limit of this process a write ends it.
        let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE).unwrap_or((u64::MAX, u64::MAX));
        Self::with(spec, file.map(|file| Box::new(file) as Box<dyn Disk>), limit, counters)
    }

    fn with(
        spec: &PrefixSpec,
        disk: Option<Box<dyn Disk>>,
        limit: u64,
        counters: &Arc<Counters>,
    ) -> Arc<Self> {
        let arena = disk.filter(|_| spec.file_bytes > 0).map(|disk| {
            Arena::new(disk, spec.file_bytes.min(limit), &spec.fingerprint, Arc::clone(counters))
        });
        let shelf = Shelf::new(spec.ram_bytes, arena.is_some(), Arc::clone(counters));
        let shared = Shared::new(shelf, arena);
        if shared.arena.is_some() {
            writer::spawn(&shared);
        }
        let (board, fetching, cuts_refused) = Default::default();
        Arc::new(Self { shared, board, fetching, cuts_refused })
    }

    /// Changes how much may be in RAM; what is over goes at once.
    pub fn set_room(&self, bytes: u64) {
        let gone = self.shared.shelf().set_room(bytes);
        drop(gone);
    }

    /// Fetches from the file into RAM what serves a sequence that is about to be submitted better than what slots hold
    /// or RAM has. It reads the disk.
    pub(crate) fn fetch(&self, sequence: &Sequence) {
        self.fetch_of(sequence.owner(), &sequence.tokens()[..sequence.first_row()]);
    }

    /// The same for `tokens` of `owner`; answers whether anything was.
    fn fetch_of(&self, owner: &Arc<str>, tokens: &[TokenId]) -> bool {
        let Some(arena) = self.shared.arena.as_ref().filter(|_| tokens.len() >= MIN_TOKENS) else {
            return false;
        };
        if let Err(error) = arena.open() {
            debug!(%error, "the file of prefixes cannot be opened");
        }
        let digest = arena.owner(owner);
        let wanted = || {
            let in_ram = self.shared.shelf().longest(owner, tokens);
            let elsewhere = self.board.longest(owner, tokens).max(in_ram);
            arena.find(&digest, tokens, Gain { elsewhere, whole: self.are_whole() })
        };
        if wanted().is_none() {
            return false;
        }
        // Several choices of one prompt come together, and one fetches for all.
        let _turn = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(extent) = wanted() else { return false };
        let share = self.reserve(owner, &extent.tokens, extent.state_bytes);
        let Some((share, mut state)) = share.and_then(|share| Some((share, buffer(extent.state_bytes)?)))
        else {
            return false;
        };
        state.resize(extent.state_bytes as usize, 0);
        if let Err(error) = arena.read(&extent, &mut state) {
            debug!(%error, "a prefix in the file is of no use");
            return false;
        }
        let prefix = Prefix::new(owner.clone(), extent.tokens.clone(), state, share);
        let gone = self.shared.shelf().put(prefix, true);
        drop(gone);
        true
    }

    /// Where slots are to say what they hold.
    pub(super) fn board(&self) -> Arc<Board> {
        Arc::clone(&self.board)
    }

    /// Whether nearly all of `tokens` is in RAM; if so it counts as used.
    pub(super) fn has(&self, owner: &str, tokens: &[TokenId]) -> bool {
        self.shared.shelf().has(owner, tokens)
    }

    /// Takes room for a prefix that is to be kept, if that is to be had.
    pub(super) fn reserve(&self, owner: &str, tokens: &[TokenId], state_bytes: u64) -> Option<Share> {
        let reserved = self.shared.shelf().reserve(owner, tokens, state_bytes);
        reserved.map(|(share, _gone)| share)
    }

    /// Keeps a prefix, and has it written to the file.
    pub(super) fn put(&self, owner: &Arc<str>, tokens: &[TokenId], state: Vec<u8>, share: Share) {
        let prefix = Prefix::new(owner.clone(), tokens.to_vec(), state, share);
        let gone = self.shared.shelf().put(prefix, false);
        self.shared.call();
        drop(gone);
    }

    /// What in RAM serves `tokens` of `owner` best.
    pub(super) fn find(&self, owner: &str, tokens: &[TokenId], gain: Gain) -> Option<Found> {
        let (prefix, length) = self.shared.shelf().find(owner, tokens, gain)?;
        Some(Found { prefix, length })
    }

    /// The engine has refused to load a prefix. `for_good`, or the second time, nobody will find it again.
    pub(super) fn refused(&self, found: &Found, for_good: bool) {
        let prefix = &found.prefix;
        if !prefix.is_refused.swap(true, Relaxed) && !for_good {
            return;
        }
        self.shared.shelf().remove(prefix);
        if let Some(arena) = &self.shared.arena {
            arena.forget(&arena.owner(&prefix.owner), &prefix.tokens);
        }
    }

    /// The engine has cut off what it had loaded, or refused to.
    pub(super) fn cut(&self, found: &Found, is_cut: bool) {
        if is_cut {
            return self.cuts_refused.store(0, Relaxed);
        }
        found.prefix.is_whole.store(true, Relaxed);
        self.cuts_refused.fetch_add(1, Relaxed);
    }

    /// Whether the engine cannot cut anything off: the whole of a prefix has to serve.
    pub(super) fn are_whole(&self) -> bool {
        self.cuts_refused.load(Relaxed) >= MAX_CUTS_REFUSED
    }

    /// Whether the file lacks much of `tokens`.
    pub(super) fn is_unfiled(&self, owner: &str, tokens: &[TokenId]) -> bool {
        let arena = self.shared.arena.as_ref();
        arena.is_some_and(|arena| !arena.has(&arena.owner(owner), tokens))
    }

    /// How far the file is.
    pub(super) fn filing(&self) -> Filing {
        self.shared.filing()
    }

    /// Waits until the file has all that is in RAM, until it cannot, or until `deadline`. From now on what is written
    /// outlasts this process, though not always the machine.
    pub(super) fn flush(&self, deadline: Instant) {
        self.shared.flush(deadline);
    }
}

impl Drop for Prefixes {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// An empty buffer with room for a state; `None` where there is no memory for it.
pub(super) fn buffer(bytes: u64) -> Option<Vec<u8>> {
    let mut state = Vec::new();
    state.try_reserve_exact(usize::try_from(bytes).ok()?).ok()?;
    Some(state)
}

#[cfg(test)]
mod tests;
