//! When a prefix is worth keeping, and when it is worth loading.

use crate::engine::TokenId;

/// Fewer tokens are computed as quickly as they are found.
pub(in crate::scheduler) const MIN_TOKENS: usize = 64;

/// A prefix that has grown by less is not kept again.
const MIN_GROWTH: usize = 16;

/// Nor is one that has grown by less than this part of it: keeping writes all of it.
const GROWTH_PART: usize = 32;

/// Loading a token takes at most such a part of the time that computing one takes, or it pays on no machine.
const LOADS_PER_COMPUTED: usize = 8;

/// What a prefix is compared with.
#[derive(Debug, Clone, Copy)]
pub(in crate::scheduler) struct Gain {
    /// Tokens that are there without it.
    pub(in crate::scheduler) elsewhere: usize,
    /// The engine cannot cut a state off: the whole prefix has to serve.
    pub(in crate::scheduler) whole: bool,
}

impl Gain {
    /// Whether a prefix of `n_tokens` that has `common` tokens in common is worth loading.
    pub(super) fn pays(self, common: usize, n_tokens: usize) -> bool {
        let gained = common.saturating_sub(self.elsewhere);
        gained >= MIN_TOKENS
            && gained.saturating_mul(LOADS_PER_COMPUTED) >= n_tokens
            && (!self.whole || common == n_tokens)
    }
}

/// How many tokens both begin with.
pub(in crate::scheduler) fn common_prefix(a: &[TokenId], b: &[TokenId]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

/// Whether `n_tokens` are worth keeping where `kept` of them are kept already.
pub(super) fn is_growth(n_tokens: usize, kept: usize) -> bool {
    n_tokens.saturating_sub(kept) >= MIN_GROWTH.max(n_tokens / GROWTH_PART)
}
