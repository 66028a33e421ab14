//! Where the last tokens of a text occurred before, found in constant time.

use std::ops::RangeInclusive;

use crate::engine::TokenId;

/// Lengths of the groups of tokens that are looked up, the longest first.
const GROUPS: [usize; 3] = [LONGEST_GROUP, 4, 2];
pub(super) const LONGEST_GROUP: usize = 8;

/// Entries of the table for each token, and bounds of their number: a megabyte at most.
const ENTRIES_PER_TOKEN: usize = 4;
const ENTRIES: RangeInclusive<usize> = 1 << 10..=1 << 18;

/// How far back two places are compared.
const MAX_AGREEING: usize = 32;

/// The last occurrence of each group of tokens. Groups that share an entry displace each other, which loses a guess and
/// never makes a wrong one.
pub(super) struct Index {
    /// The place behind a group, by its hash; zero where there is none.
    places: Box<[u32]>,
    /// Tokens of which all groups are in the table that have one behind them.
    n_tokens: usize,
}

impl Index {
    /// For a text of about so many tokens.
    pub(super) fn new(tokens: usize) -> Self {
        let entries = tokens.saturating_mul(ENTRIES_PER_TOKEN).clamp(*ENTRIES.start(), *ENTRIES.end());
        Self { places: vec![0; entries.next_power_of_two()].into_boxed_slice(), n_tokens: 0 }
    }

    /// Takes in what `tokens` has more than the last time.
    pub(super) fn extend(&mut self, tokens: &[TokenId]) {
        for place in self.n_tokens.max(1)..tokens.len() {
            for length in GROUPS.into_iter().filter(|length| *length <= place) {
                let entry = self.entry(&tokens[place - length..place]);
                self.places[entry] = place as u32;
            }
        }
        self.n_tokens = tokens.len();
    }

    /// The place behind the last occurrence of the longest group that `tokens` ends with, and how many tokens before it
    /// are also the last ones.
    pub(super) fn find(&self, tokens: &[TokenId]) -> Option<(usize, usize)> {
        let lengths = GROUPS.into_iter().filter(|length| *length < tokens.len());
        lengths.into_iter().find_map(|length| {
            let place = self.places[self.entry(&tokens[tokens.len() - length..])] as usize;
            let agreeing = agreeing(tokens, place);
            (agreeing >= length).then_some((place, agreeing))
        })
    }

    fn entry(&self, group: &[TokenId]) -> usize {
        /// The golden ratio in 64 bits.
        const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
        let mix =
            |hash: u64, token: &TokenId| (hash ^ u64::from(token.0)).wrapping_mul(FACTOR).rotate_left(29);
        let hash = group.iter().fold(group.len() as u64, mix).wrapping_mul(FACTOR);
        // The upper bits are those that all others reach.
        (hash >> 32) as usize & (self.places.len() - 1)
    }
}

/// How many tokens before `place` are also the last ones of `tokens`, counted as far as it matters.
pub(super) fn agreeing(tokens: &[TokenId], place: usize) -> usize {
    let before = tokens[..place].iter().rev();
    before.zip(tokens.iter().rev()).take(MAX_AGREEING).take_while(|(a, b)| a == b).count()
}
