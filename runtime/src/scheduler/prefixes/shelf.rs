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
    /// Given back when nobody holds the prefix any more; none once it is given back.
    pub(super) share: Option<Share>,
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

/// What has left the shelf. Its bytes are given back, and its memory is freed when this is dropped, which takes long: not
/// under the lock that the engine's thread waits for.
#[must_use]
#[derive(Default)]
pub(super) struct Gone(Vec<Prefix>);

struct Entry {
    prefix: Arc<Prefix>,
    last_used: u64,
    /// The file does not have it yet.
    is_due: bool,
}

impl Prefix {
    pub(super) fn new(owner: Arc<str>, tokens: Vec<TokenId>, state: Vec<u8>, share: Share) -> Self {
        let (is_refused, is_whole) = Default::default();
        Self { owner, tokens, state, is_refused, is_whole, share: Some(share) }
    }

    /// Bytes that so many tokens with so large a state take.
    pub(super) fn bytes(n_tokens: usize, state_bytes: u64) -> u64 {
        state_bytes.saturating_add(size_of::<TokenId>() as u64 * n_tokens as u64)
    }

    /// Bytes of the room that it takes.
    pub(super) fn taken_bytes(&self) -> u64 {
        self.share.as_ref().map_or(0, |share| share.bytes)
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

impl Gone {
    /// Whoever holds it still frees it.
    fn take(&mut self, prefix: Arc<Prefix>) {
        if let Some(mut prefix) = Arc::into_inner(prefix) {
            prefix.share = None;
            self.0.push(prefix);
        }
    }
}

impl Shelf {
    pub(super) fn new(room_bytes: u64, has_file: bool, counters: Arc<Counters>) -> Self {
        counters.prefix_room(room_bytes);
        Self { entries: Vec::new(), room_bytes, counters, clock: 0, has_file }
    }

    /// Changes the room; what is over it goes, the least recently used first.
    pub(super) fn set_room(&mut self, bytes: u64) -> Gone {
        self.room_bytes = bytes;
        self.counters.prefix_room(bytes);
        let mut gone = Gone::default();
        while self.entries.iter().map(|entry| entry.prefix.taken_bytes()).sum::<u64>() > bytes {
            self.evict(|_| true, &mut gone);
        }
        gone
    }

    /// Takes room for what is to be kept of `tokens` of `owner`: what it will replace goes first, then what is least
    /// recently used and in nobody's hands. Where that would not be enough nothing goes.
    pub(super) fn reserve(
        &mut self,
        owner: &str,
        tokens: &[TokenId],
        state_bytes: u64,
    ) -> Option<(Share, Gone)> {
        let bytes = Prefix::bytes(tokens.len(), state_bytes);
        let free = self.entries.iter().filter(|entry| entry.is_free());
        let evictable: u64 = free.map(|entry| entry.prefix.taken_bytes()).sum();
        if (self.used_bytes() - evictable).checked_add(bytes)? > self.room_bytes {
            return None;
        }
        let mut gone = Gone::default();
        while self.used_bytes() + bytes > self.room_bytes {
            let replaced =
                self.entries.iter().position(|entry| entry.is_free() && entry.prefix.begins(owner, tokens));
            match replaced {
                Some(idx) => gone.take(self.entries.swap_remove(idx).prefix),
                None => self.evict(Entry::is_free, &mut gone),
            }
        }
        self.counters.prefix_ram_taken(bytes);
        Some((Share { counters: Arc::clone(&self.counters), bytes }, gone))
    }

    /// Puts a prefix on the shelf, in place of those that it begins with. One that another begins with is not needed.
    pub(super) fn put(&mut self, prefix: Prefix, is_filed: bool) -> Gone {
        let (prefix, mut gone) = (Arc::new(prefix), Gone::default());
        if self.used_bytes() > self.room_bytes || self.covers(&prefix.owner, &prefix.tokens, usize::eq) {
            gone.take(prefix);
            return gone;
        }
        let is_begun = |entry: &mut Entry| entry.prefix.begins(&prefix.owner, &prefix.tokens);
        self.entries.extract_if(.., is_begun).for_each(|entry| gone.take(entry.prefix));
        if self.entries.len() >= MAX_PREFIXES {
            self.evict(|_| true, &mut gone);
        }
        self.clock += 1;
        let is_due = self.has_file && !is_filed;
        self.entries.push(Entry { prefix, last_used: self.clock, is_due });
        gone
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
        // Nothing is freed: whoever asks for it holds it.
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

    /// Moves the least recently used of the entries that `may_go` to those that are gone.
    fn evict(&mut self, may_go: impl Fn(&Entry) -> bool, gone: &mut Gone) {
        let goes = self.entries.iter().enumerate().filter(|(_, entry)| may_go(entry));
        if let Some((idx, _)) = goes.min_by_key(|(_, entry)| entry.last_used) {
            gone.take(self.entries.swap_remove(idx).prefix);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_gives_its_room_back_at_once_and_its_memory_later() {
        let counters = Arc::<Counters>::default();
        let mut shelf = Shelf::new(1000, false, Arc::clone(&counters));
        let owner: Arc<str> = "somebody".into();
        let tokens = |n: u32| (0..n).map(TokenId).collect::<Vec<_>>();
        let put = |shelf: &mut Shelf, n: u32| {
            let (share, gone) = shelf.reserve(&owner, &tokens(n), 400).unwrap();
            drop(gone);
            shelf.put(Prefix::new(Arc::clone(&owner), tokens(n), vec![0; 400], share), true)
        };
        drop(put(&mut shelf, 10));
        assert_eq!((Arc::strong_count(&owner), counters.prefix_ram_bytes()), (2, 440));

        let gone = put(&mut shelf, 20);
        assert_eq!((Arc::strong_count(&owner), counters.prefix_ram_bytes()), (3, 480), "it was replaced");
        drop(gone);
        assert_eq!(Arc::strong_count(&owner), 2);

        let (_share, gone) = shelf.reserve(&owner, &tokens(1), 900).unwrap();
        assert_eq!((Arc::strong_count(&owner), counters.prefix_ram_bytes()), (2, 904), "it made room");
        drop(gone);
        assert_eq!(Arc::strong_count(&owner), 1);
    }
}
