//! "Don't repeat yourself": a token that would continue a repetition loses the more the longer that is.
//!
//! As <https://github.com/oobabooga/text-generation-webui/pull/5677> describes it: a token that followed an earlier
//! occurrence of the last n tokens loses `multiplier * base^(n - allowed_length)` for the largest such n, if that is at
//! least `allowed_length`. A repetition does not reach across a breaker. Prompt and completion are one text here.

use std::{collections::HashMap, sync::Arc};

use impetus_proto::worker;

use crate::engine::{TokenId, Vocabulary};

/// What a request asks of this penalty.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DryParams {
    /// The penalty of the shortest repetition that is one; zero is off.
    pub multiplier: f32,
    /// By what factor the penalty grows with each token.
    pub base: f32,
    /// Tokens that may repeat without a penalty.
    pub allowed_length: u32,
    /// How many of the last tokens are looked at; absent: all.
    pub last_tokens: Option<u32>,
    /// Texts that no repetition goes across.
    pub breakers: Vec<String>,
}

/// The penalty of one sequence and what it has seen.
pub(super) struct Dry {
    params: DryParams,
    vocabulary: Arc<dyn Vocabulary>,
    tokens: Vec<TokenId>,
    /// Tokens since the one that completed the last breaker.
    unbroken: usize,
    /// The last bytes of the text, as many as may begin a breaker.
    tail: Vec<u8>,
    /// Kept for its capacity.
    repeated: Vec<u32>,
}

impl Dry {
    pub(super) fn new(params: DryParams, vocabulary: Arc<dyn Vocabulary>) -> Self {
        Self { params, vocabulary, tokens: Vec::new(), unbroken: 0, tail: Vec::new(), repeated: Vec::new() }
    }

    /// Takes the next token of prompt or completion.
    pub(super) fn push(&mut self, token: TokenId) {
        self.tokens.push(token);
        self.unbroken += 1;
        self.tail.extend_from_slice(self.vocabulary.piece(token));
        let tail = self.tail.as_slice();
        let is_in_tail =
            |breaker: &String| tail.windows(breaker.len()).any(|part| part == breaker.as_bytes());
        if self.params.breakers.iter().any(is_in_tail) {
            self.unbroken = 0;
            self.tail.clear();
        }
        let longest = self.params.breakers.iter().map(String::len).max().unwrap_or(0);
        let outdated = self.tail.len().saturating_sub(longest.saturating_sub(1));
        self.tail.drain(..outdated);
    }

    pub(super) fn apply(&mut self, logits: &mut [f32]) {
        let DryParams { multiplier, base, allowed_length, .. } = self.params;
        for (token, length) in self.repetitions() {
            if let Some(logit) = logits.get_mut(token.0 as usize) {
                // A finite penalty, however long: a token that is all that is left can still be chosen.
                *logit -= (multiplier * base.powf((length - allowed_length) as f32)).min(f32::MAX / 2.0);
            }
        }
    }

    /// The tokens that would continue a repetition, with the length of the longest that each would continue.
    fn repetitions(&mut self) -> HashMap<TokenId, u32> {
        let last = self.params.last_tokens.map_or(usize::MAX, |last| last as usize);
        let window = &self.tokens[self.tokens.len().saturating_sub(last)..];
        let longest = self.unbroken.min(window.len()) as u32;
        let allowed = self.params.allowed_length;
        let mut lengths = HashMap::new();
        if longest < allowed {
            return lengths;
        }
        repeated_endings(window, &mut self.repeated);
        for (place, &length) in self.repeated.iter().enumerate() {
            let length = length.min(longest);
            if length >= allowed {
                let longest = lengths.entry(window[place + 1]).or_insert(length);
                *longest = length.max(*longest);
            }
        }
        lengths
    }
}

/// For each place but the last one: how many tokens up to it, itself counted, are also the last ones of `window`. This
/// is the Z-function (Gusfield 1997, section 1.4) of the window read backwards, in time linear in its length.
fn repeated_endings(window: &[TokenId], lengths: &mut Vec<u32>) {
    let n = window.len();
    lengths.clear();
    lengths.resize(n.saturating_sub(1), 0);
    let back = |idx: usize| window[n - 1 - idx];
    let (mut left, mut right) = (0, 0);
    for idx in 1..n {
        let known = if idx < right { (lengths[n - 1 - (idx - left)] as usize).min(right - idx) } else { 0 };
        let mut length = known;
        while idx + length < n && back(length) == back(idx + length) {
            length += 1;
        }
        if idx + length > right {
            (left, right) = (idx, idx + length);
        }
        lengths[n - 1 - idx] = length as u32;
    }
}

impl std::fmt::Debug for Dry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Dry").field("params", &self.params).finish_non_exhaustive()
    }
}

impl From<&worker::Dry> for DryParams {
    fn from(wire: &worker::Dry) -> Self {
        Self {
            multiplier: wire.multiplier,
            base: wire.base,
            allowed_length: wire.allowed_length,
            last_tokens: wire.last_tokens,
            breakers: wire.breakers.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::engine::fake::ByteVocabulary;

    fn dry(allowed_length: u32, last_tokens: Option<u32>, breakers: &[&str]) -> Dry {
        let breakers = breakers.iter().map(ToString::to_string).collect();
        let params = DryParams { multiplier: 0.5, base: 2.0, allowed_length, last_tokens, breakers };
        Dry::new(params, Arc::new(ByteVocabulary::default()))
    }

    /// What each penalised letter loses after `text`.
    fn losses(mut dry: Dry, text: &str) -> Vec<(char, f32)> {
        text.bytes().for_each(|byte| dry.push(TokenId(byte.into())));
        let mut logits = [0.0; 257];
        dry.apply(&mut logits);
        let loss = |(token, logit): (u8, f32)| (logit < 0.0).then(|| (char::from(token), -logit));
        (0..=255).zip(logits).filter_map(loss).collect()
    }

    #[test]
    fn what_continues_a_repetition_loses_by_its_length() {
        let check = |allowed, last, breakers: &[&str], text: &str, expected: &[(char, f32)]| {
            assert_eq!(
                losses(dry(allowed, last, breakers), text),
                expected,
                "{text:?} {last:?} {breakers:?}"
            );
        };
        // 0.5 * 2^(n - 2) by hand for each n.
        check(2, None, &[], "abcdab", &[('c', 0.5)]);
        check(2, None, &[], "abcdxabc", &[('d', 1.0)]);
        check(2, None, &[], "abcd", &[]);
        check(2, None, &[], "abcdb", &[]);
        // The longest repetition counts, for each token its own.
        check(2, None, &[], "xabc-abd-xab", &[('c', 1.0), ('d', 0.5)]);
        check(3, None, &[], "aaaaa", &[('a', 1.0)]);
        check(1, None, &[], "aba", &[('b', 0.5)]);
        // What is outside of the window was never said.
        check(2, Some(5), &[], "abcdab", &[]);
        check(2, Some(6), &[], "abcdab", &[('c', 0.5)]);
        check(2, Some(0), &[], "abcdab", &[]);
        // A repetition begins anew behind a breaker, which may be several tokens.
        check(2, None, &["d"], "abcdabcdab", &[('c', 0.5)]);
        check(2, None, &["da"], "abcdabcdab", &[]);
        check(2, None, &["a"], "abcdxbcdxabc", &[('d', 0.5)]);
        check(2, None, &["b"], "abcdab", &[]);
    }

    #[test]
    fn penalties_stay_finite() {
        let mut dry = dry(1, None, &[]);
        dry.params.base = 1e30;
        (0..200).for_each(|_| dry.push(TokenId(7)));
        let mut logits = [-8.0; 257];
        dry.apply(&mut logits);
        assert!(logits[7] < -1e37 && logits[7].is_finite());
    }

    proptest! {
        #[test]
        fn endings_are_compared_token_by_token(window in prop::collection::vec(0..3_u32, 0..60)) {
            let window: Vec<_> = window.into_iter().map(TokenId).collect();
            let mut lengths = vec![9; 3];
            repeated_endings(&window, &mut lengths);
            let backwards = || window.iter().rev();
            let common = |place: usize| {
                let there = window[..=place].iter().rev();
                there.zip(backwards()).take_while(|(a, b)| a == b).count() as u32
            };
            let expected: Vec<_> = (0..window.len().saturating_sub(1)).map(common).collect();
            prop_assert_eq!(lengths, expected);
        }
    }
}
