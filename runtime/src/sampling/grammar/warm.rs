//! What a grammar's first masks would have to work out, worked out before.
//!
//! A parser's lexer finds its states as texts lead to them, and the first mask at each costs several times what later
//! ones do. So a few made-up outputs are followed when a grammar is compiled; sequences begin with what that found.

use llguidance::{Matcher, toktrie::TokTrie};

/// Masks computed for one grammar at most, and the nodes of the vocabulary's trie that they visit: some milliseconds.
/// Counted instead of timed, so that a replay finds the same states.
const MAX_MASKS: usize = 384;
const MAX_NODES: usize = 300_000;

/// Kinds of bytes among which a made-up output chooses alike, so that texts end as often as they go on.
const KINDS: usize = 7;

/// The tokens of one byte, by kind.
pub(super) struct Bytes {
    tokens: [Vec<u32>; KINDS],
}

impl Bytes {
    pub(super) fn of(trie: &TokTrie) -> Self {
        let mut tokens: [Vec<u32>; KINDS] = Default::default();
        for byte in 0..=0x7f_u8 {
            if let Some(token) = trie.token_id(&[byte]) {
                tokens[kind(byte)].push(token);
            }
        }
        Self { tokens }
    }
}

/// The same parser with more of its states known; as it was where a made-up output meets its limits.
pub(super) fn warmed(matcher: Matcher, bytes: &Bytes) -> Matcher {
    let warmed = matcher.deep_clone();
    let (mut n_masks, mut n_nodes, mut state) = (0, 0, 0_u64);
    'outputs: while n_masks < MAX_MASKS && n_nodes < MAX_NODES {
        // Shares what it finds with `warmed`.
        let mut output = warmed.clone();
        loop {
            n_masks += 1;
            let Ok(mask) = output.compute_mask_or_eos() else { return matcher };
            n_nodes += output.last_step_stats().map_or(0, |stats| stats.trie_nodes_walked);
            if n_masks >= MAX_MASKS || n_nodes >= MAX_NODES || output.is_stopped() {
                continue 'outputs;
            }
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let choice = (state >> 33) as usize;
            let allowed: Vec<Vec<u32>> = bytes
                .tokens
                .iter()
                .map(|tokens| tokens.iter().copied().filter(|&token| mask.is_allowed(token)).collect())
                .filter(|tokens: &Vec<u32>| !tokens.is_empty())
                .collect();
            if allowed.is_empty() {
                continue 'outputs;
            }
            let of_kind = &allowed[choice % allowed.len()];
            if output.consume_token(of_kind[(choice / KINDS) % of_kind.len()]).is_err() {
                return matcher;
            }
        }
    }
    warmed
}

fn kind(byte: u8) -> usize {
    match byte {
        b'"' | b'\'' => 0,
        b'{' | b'[' | b'(' => 1,
        b'}' | b']' | b')' => 2,
        b',' | b':' => 3,
        byte if byte.is_ascii_alphanumeric() => 4,
        b' ' | b'\n' => 5,
        _ => 6,
    }
}

#[cfg(test)]
mod tests {
    use llguidance::api::TopLevelGrammar;

    use super::*;
    use crate::{engine::fake::ByteVocabulary, sampling::grammar::trie};

    #[test]
    fn what_is_known_before_changes_no_mask() {
        let check = |lark: &str, text: &str| {
            let trie = trie::of(&ByteVocabulary::default()).unwrap();
            let bytes = Bytes::of(&trie);
            let factory = trie::factory(trie).unwrap();
            let parser = factory.create_parser(TopLevelGrammar::from_lark(lark.to_owned()));
            let mut cold = Matcher::new(parser);
            let mut warm = warmed(cold.deep_clone(), &bytes);
            for byte in text.bytes() {
                let expected = cold.compute_mask_or_eos().unwrap();
                assert_eq!(
                    warm.compute_mask_or_eos().unwrap(),
                    expected,
                    "{lark} before {:?}",
                    char::from(byte)
                );
                cold.consume_token(byte.into()).unwrap();
                warm.consume_token(byte.into()).unwrap();
            }
            assert_eq!(warm.is_accepting().unwrap(), cold.is_accepting().unwrap(), "{lark}");
        };
        check("start: %json {\"properties\": {\"a\": {\"type\": \"string\"}}}", "{\"a\": \"b c\"}");
        check("start: /[a-z ]{0,400}/", "a b");
        check("start: \"\"", "");
        check("start: \"x\" start | \"y\"", "xxxy");
    }
}
