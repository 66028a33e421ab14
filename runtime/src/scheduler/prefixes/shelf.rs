//! Prefixes in RAM: what is on the shelf, what each takes, and which goes first.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use super::worth::{Gain, common_prefix, is_growth};
use crate::{engine::TokenId, scheduler::Counters};

/// The most prefixes on a shelf; each is compared with every prompt.
const MAX_PREFIXES: usize = 512;

/// A computed prefix, and what an engine needs to go on from it.
pub(in crate::scheduler) struct Prefix {
    pub(in crate::scheduler) owner: Arc<str>,
    pub(in crate::scheduler) tokens: Vec<TokenId>,
    /// What `TextEngine::kv_save` gave of a slot that held these tokens.
    pub(in crate::scheduler) state: Vec<u8>,
    /// An engine has refused to load it.
    pub(super) is_refused: AtomicBool,
    /// An engine has refused to cut it off: all of it has to serve.
    pub(super) is_whole: AtomicBool,
    /// Given back when nobody holds the prefix any more.
    pub(super) share: Share,
}

/// Bytes of the room, taken until this is dropped.
pub(in crate::scheduler) struct Share {
    counters: Arc<Counters>,
    bytes: u64,
}

/// All prefixes in RAM of a worker.
pub(super) struct Shelf {
    entries: Vec<Entry>,
    room_bytes: u64,
    /// They count what all shares take.
    counters: Arc<Counters>,
    clock: u64,
    /// Whether there is a file, which everything new is due for.
    has_file: bool,
}

struct Entry {
    prefix: Arc<Prefix>,
    last_used: u64,
    /// The file does not have it yet.
    is_due: bool,
}

impl Prefix {
    pub(super) fn new(owner: Arc<str>, tokens: Vec<TokenId>, state: Vec<u8>, share: Share) -> Self {
        let (is_refused, is_whole) = Default::default();
        Self { owner, tokens, state, is_refused, is_whole, share }
    }

    /// Bytes that so many tokens with so large a state take.
    pub(super) fn bytes(n_tokens: usize, state_bytes: u64) -> u64 {
        state_bytes.saturating_add(size_of::<TokenId>() as u64 * n_tokens as u64)
    }

    fn begins(&self, owner: &str, tokens: &[TokenId]) -> bool {
        *self.owner == *owner && tokens.starts_with(&self.tokens)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.counters.prefix_ram_freed(self.bytes);
    }
}

impl Shelf {
    pub(super) fn new(room_bytes: u64, has_file: bool, counters: Arc<Counters>) -> Self {
        counters.prefix_room(room_bytes);
        Self { entries: Vec::new(), room_bytes, counters, clock: 0, has_file }
    }

    /// Changes the room; what is over it goes, the least recently used first.
    pub(super) fn set_room(&mut self, bytes: u64) {
        self.room_bytes = bytes;
        self.counters.prefix_room(bytes);
        while self.entries.iter().map(|entry| entry.prefix.share.bytes).sum::<u64>() > bytes {
            self.evict(|_| true);
        }
    }

    /// Takes room for what is to be kept of `tokens` of `owner`: what it will replace goes first, then what is least
    /// recently used and in nobody's hands. Where that would not be enough nothing goes.
    pub(super) fn reserve(&mut self, owner: &str, tokens: &[TokenId], state_bytes: u64) -> Option<Share> {
        let bytes = Prefix::bytes(tokens.len(), state_bytes);
        let free = self.entries.iter().filter(|entry| entry.is_free());
        let evictable: u64 = free.map(|entry| entry.prefix.share.bytes).sum();
        if (self.used_bytes() - evictable).checked_add(bytes)? > self.room_bytes {
            return None;
        }
        while self.used_bytes() + bytes > self.room_bytes {
            let replaced =
                self.entries.iter().position(|entry| entry.is_free() && entry.prefix.begins(owner, tokens));
            match replaced {
                Some(idx) => drop(self.entries.swap_remove(idx)),
                None => self.evict(Entry::is_free),
            }
        }
        self.counters.prefix_ram_taken(bytes);
        Some(Share { counters: Arc::clone(&self.counters), bytes })
    }

    /// Puts a prefix on the shelf, in place of those that it begins with. One that another begins with is not needed.
    pub(super) fn put(&mut self, prefix: Prefix, is_filed: bool) {
        if self.used_bytes() > self.room_bytes || self.covers(&prefix.owner, &prefix.tokens, usize::eq) {
            return;
        }
        self.entries.retain(|entry| !entry.prefix.begins(&prefix.owner, &prefix.tokens));
        if self.entries.len() >= MAX_PREFIXES {
            self.evict(|_| true);
        }
        self.clock += 1;
        let is_due = self.has_file && !is_filed;
        self.entries.push(Entry { prefix: Arc::new(prefix), last_used: self.clock, is_due });
    }

    /// Whether nearly all of `tokens` is here; if so it counts as used.
    pub(super) fn has(&mut self, owner: &str, tokens: &[TokenId]) -> bool {
        self.covers(owner, tokens, |n_tokens, common| !is_growth(*n_tokens, *common))
    }

    /// Of what serves `tokens` of `owner` better than `gain` has elsewhere, the prefix that serves it best, and how many
    /// of its tokens do.
    pub(super) fn find(
        &mut self,
        owner: &str,
        tokens: &[TokenId],
        gain: Gain,
    ) -> Option<(Arc<Prefix>, usize)> {
        let clock = self.clock + 1;
        let candidates = self.entries.iter_mut().filter(|entry| *entry.prefix.owner == *owner);
        let (entry, common) = candidates
            .map(|entry| {
                let common = common_prefix(&entry.prefix.tokens, tokens);
                (entry, common)
            })
            .filter(|(entry, common)| {
                let whole = gain.whole || entry.prefix.is_whole.load(Relaxed);
                Gain { whole, ..gain }.pays(*common, entry.prefix.tokens.len())
            })
            .max_by_key(|(entry, common)| (*common, std::cmp::Reverse(entry.prefix.tokens.len())))?;
        (self.clock, entry.last_used) = (clock, clock);
        Some((Arc::clone(&entry.prefix), common))
    }

    /// The most tokens that a prefix here shares with `tokens` of `owner`.
    pub(super) fn longest(&self, owner: &str, tokens: &[TokenId]) -> usize {
        let of_owner = self.entries.iter().filter(|entry| *entry.prefix.owner == *owner);
        of_owner.map(|entry| common_prefix(&entry.prefix.tokens, tokens)).max().unwrap_or_default()
    }

    /// Takes a prefix off that the engine has refused.
    pub(super) fn remove(&mut self, prefix: &Arc<Prefix>) {
        self.entries.retain(|entry| !Arc::ptr_eq(&entry.prefix, prefix));
    }

    /// The prefix that is due for the file and was used last.
    pub(super) fn next_due(&self) -> Option<Arc<Prefix>> {
        let due = self.entries.iter().filter(|entry| entry.is_due);
        due.max_by_key(|entry| entry.last_used).map(|entry| Arc::clone(&entry.prefix))
    }

    /// The file has this prefix, or will never have it.
    pub(super) fn settled(&mut self, prefix: &Arc<Prefix>) {
        for entry in self.entries.iter_mut().filter(|entry| Arc::ptr_eq(&entry.prefix, prefix)) {
            entry.is_due = false;
        }
    }

    fn covers(&mut self, owner: &str, tokens: &[TokenId], enough: fn(&usize, &usize) -> bool) -> bool {
        self.clock += 1;
        for entry in self.entries.iter_mut().filter(|entry| *entry.prefix.owner == *owner) {
            if enough(&tokens.len(), &common_prefix(&entry.prefix.tokens, tokens)) {
                entry.last_used = self.clock;
                return true;
            }
        }
        false
    }

    /// Removes the least recently used of the entries that `may_go`.
    fn evict(&mut self, may_go: impl Fn(&Entry) -> bool) {
        let goes = self.entries.iter().enumerate().filter(|(_, entry)| may_go(entry));
        if let Some((idx, _)) = goes.min_by_key(|(_, entry)| entry.last_used) {
            self.entries.swap_remove(idx);
        }
    }

    fn used_bytes(&self) -> u64 {
        self.counters.prefix_ram_bytes()
    }
}

impl Entry {
    /// Nobody reads or writes it, so that its bytes are free once it has left the shelf.
    fn is_free(&self) -> bool {
        Arc::strong_count(&self.prefix) == 1
    }
}
