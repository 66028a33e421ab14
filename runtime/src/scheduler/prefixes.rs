//! Computed prefixes that no slot holds any more: in RAM, and in a file that outlives the process.
//!
//! The engine's thread saves what it is about to throw away and asks for what serves a sequence better than its slots
//! do. It waits for no disk: a thread of its own writes to the file, and what lies there is fetched into RAM by the
//! thread that prepares a sequence, before the sequence is submitted. Nobody finds what another owner has computed.

mod arena;
mod board;
mod disk;
mod index;
mod shelf;
mod writer;

use std::{
    fs::File,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use impetus_proto::launch::PrefixSpec;
use nix::sys::resource::{Resource, getrlimit};
use tracing::debug;

use self::{arena::Arena, disk::Disk, shelf::Shelf};
pub(super) use self::{
    board::Board,
    shelf::{Prefix, Share},
};
use crate::{
    engine::TokenId,
    scheduler::{Counters, Sequence},
};

/// Fewer tokens are computed as quickly as they are found.
pub(super) const MIN_TOKENS: usize = 64;

/// A prefix that has grown by less is not kept again.
const MIN_GROWTH: usize = 16;

/// Nor is one that has grown by less than this part of it: keeping writes all of it.
const GROWTH_PART: usize = 32;

/// Loading a token takes at most such a part of the time that computing one takes, or it pays on no machine.
const LOADS_PER_COMPUTED: usize = 8;

/// All that a worker keeps of computed prefixes. Shared by the engine's thread, the service and the writer.
pub struct Prefixes {
    shared: Arc<Shared>,
    board: Arc<Board>,
}

/// A prefix that serves a sequence.
pub(super) struct Found {
    pub(super) prefix: Arc<Prefix>,
    /// Tokens of it that the sequence begins with.
    pub(super) length: usize,
}

/// What a prefix is compared with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Gain {
    /// Tokens that are there without it.
    pub(super) elsewhere: usize,
    /// The engine cannot cut a state off: the whole prefix has to serve.
    pub(super) whole: bool,
}

/// How far the file is behind what is in RAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filing {
    /// There is none, or nothing can be written to it now.
    Absent,
    /// Another process still has it.
    Locked,
    /// Something is being written, or waits for that.
    Busy,
    /// It has all.
    Done,
}

struct Shared {
    shelf: Mutex<Shelf>,
    arena: Option<Arena>,
    progress: Mutex<Progress>,
    changed: Condvar,
}

/// What the writer and those who wait for it tell each other.
struct Progress {
    /// There may be something to write, or the file is to be opened.
    is_called: bool,
    is_writing: bool,
    /// Another process has the file, as far as the writer knows.
    is_locked: bool,
    /// The file failed; it is tried again after a while.
    has_failed: bool,
    /// The process is about to end: nothing that it writes needs to outlast the machine.
    is_hurried: bool,
    is_closed: bool,
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
        let shelf = Mutex::new(Shelf::new(spec.ram_bytes, arena.is_some(), Arc::clone(counters)));
        let progress = Mutex::new(Progress {
            is_called: true,
            is_writing: false,
            is_locked: false,
            has_failed: false,
            is_hurried: false,
            is_closed: false,
        });
        let shared = Arc::new(Shared { shelf, arena, progress, changed: Condvar::new() });
        if shared.arena.is_some() {
            writer::spawn(Arc::clone(&shared));
        }
        Arc::new(Self { shared, board: Arc::default() })
    }

    /// Changes how much may be in RAM; what is over goes at once.
    pub fn set_room(&self, bytes: u64) {
        self.shared.shelf().set_room(bytes);
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
        let elsewhere = self.board.longest(owner, tokens).max(self.shared.shelf().longest(owner, tokens));
        let digest = arena.owner(owner);
        let gain = Gain { elsewhere, whole: false };
        let Some(extent) = arena.find(&digest, tokens, gain) else { return false };
        let share = self.shared.shelf().reserve(owner, &extent.tokens, extent.state_bytes);
        let Some((share, mut state)) = share.and_then(|share| Some((share, buffer(extent.state_bytes)?)))
        else {
            return false;
        };
        state.resize(extent.state_bytes as usize, 0);
        if let Err(error) = arena.read(&extent, &mut state) {
            debug!(%error, "a prefix in the file is of no use");
            return false;
        }
        let prefix = Prefix { owner: owner.clone(), tokens: extent.tokens.clone(), state, share };
        self.shared.shelf().put(prefix, true);
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
        self.shared.shelf().reserve(owner, tokens, state_bytes)
    }

    /// Keeps a prefix, and has it written to the file.
    pub(super) fn put(&self, owner: &Arc<str>, tokens: &[TokenId], state: Vec<u8>, share: Share) {
        let prefix = Prefix { owner: owner.clone(), tokens: tokens.to_vec(), state, share };
        self.shared.shelf().put(prefix, false);
        if self.shared.arena.is_some() {
            self.shared.progress().is_called = true;
            self.shared.changed.notify_all();
        }
    }

    /// What in RAM serves `tokens` of `owner` best.
    pub(super) fn find(&self, owner: &str, tokens: &[TokenId], gain: Gain) -> Option<Found> {
        let (prefix, length) = self.shared.shelf().find(owner, tokens, gain)?;
        Some(Found { prefix, length })
    }

    /// The engine refuses a prefix: nobody will find it again.
    pub(super) fn discard(&self, found: &Found) {
        let prefix = &found.prefix;
        self.shared.shelf().remove(prefix);
        if let Some(arena) = &self.shared.arena {
            arena.forget(&arena.owner(&prefix.owner), &prefix.tokens);
        }
    }

    /// Whether the file lacks much of `tokens`.
    pub(super) fn is_unfiled(&self, owner: &str, tokens: &[TokenId]) -> bool {
        let arena = self.shared.arena.as_ref();
        arena.is_some_and(|arena| !arena.has(&arena.owner(owner), tokens))
    }

    /// How far the file is.
    pub(super) fn filing(&self) -> Filing {
        let Some(arena) = &self.shared.arena else { return Filing::Absent };
        let Progress { is_called, is_writing, is_locked, has_failed, .. } = *self.shared.progress();
        if has_failed {
            Filing::Absent
        } else if is_locked && !arena.is_open() {
            Filing::Locked
        } else if is_called || is_writing {
            Filing::Busy
        } else {
            Filing::Done
        }
    }

    /// Waits until the file has all that is in RAM, until it cannot, or until `deadline`. From now on what is written
    /// outlasts this process, though not always the machine.
    pub(super) fn flush(&self, deadline: Instant) {
        self.shared.progress().is_hurried = true;
        loop {
            if self.filing() != Filing::Busy {
                return;
            }
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return };
            let progress = self.shared.progress();
            if progress.is_called || progress.is_writing {
                drop(self.shared.changed.wait_timeout(progress, left));
            }
        }
    }
}

impl Drop for Prefixes {
    fn drop(&mut self) {
        self.shared.progress().is_closed = true;
        self.shared.changed.notify_all();
    }
}

impl Gain {
    /// Whether a prefix of `n_tokens` that has `common` tokens in common is worth loading.
    fn pays(self, common: usize, n_tokens: usize) -> bool {
        let gained = common.saturating_sub(self.elsewhere);
        gained >= MIN_TOKENS
            && gained.saturating_mul(LOADS_PER_COMPUTED) >= n_tokens
            && (!self.whole || common == n_tokens)
    }
}

impl Shared {
    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An empty buffer with room for a state; `None` where there is no memory for it.
pub(super) fn buffer(bytes: u64) -> Option<Vec<u8>> {
    let mut state = Vec::new();
    state.try_reserve_exact(usize::try_from(bytes).ok()?).ok()?;
    Some(state)
}

/// How many tokens both begin with.
pub(super) fn common_prefix(a: &[TokenId], b: &[TokenId]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

/// Whether `n_tokens` are worth keeping where `kept` of them are kept already.
fn is_growth(n_tokens: usize, kept: usize) -> bool {
    n_tokens.saturating_sub(kept) >= MIN_GROWTH.max(n_tokens / GROWTH_PART)
}

#[cfg(test)]
mod tests;
