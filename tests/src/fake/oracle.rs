//! What the scripted engine generates: logits that are a function of the whole history, over letters alone, so that
//! one token that is missing, doubled or wrong changes everything behind it.

use impetus_runtime::engine::TokenId;

/// What a prompt ends with, and a completion never contains.
pub const MARKER: &str = "assistant: ";

/// The tokens that are ever generated.
const LETTERS: std::ops::RangeInclusive<u8> = b'a'..=b'z';

/// The logit of what is not to be sampled, and of what is.
const NEVER: f32 = -100.0;
const ALWAYS: f32 = 100.0;

/// What is generated greedily after `prompt`.
pub fn greedy(prompt: &str, max_tokens: usize) -> String {
    let mut history: Vec<TokenId> = prompt.bytes().map(|byte| TokenId(byte.into())).collect();
    let letters = (0..max_tokens).map(|_| {
        let logit = |byte: &u8| letter(hash(&history), *byte);
        let best = LETTERS.max_by(|a, b| logit(a).total_cmp(&logit(b))).expect("there are letters");
        history.push(TokenId(best.into()));
        char::from(best)
    });
    letters.collect()
}

/// The row of logits after `history`.
pub(super) fn row(history: &[TokenId], vocabulary: u32) -> Vec<f32> {
    let seed = hash(history);
    let mut row = vec![NEVER; vocabulary as usize];
    for byte in LETTERS {
        row[usize::from(byte)] = letter(seed, byte);
    }
    row
}

/// A row after which `token` is certain.
pub(super) fn certain(token: TokenId, vocabulary: u32) -> Vec<f32> {
    let mut row = vec![NEVER; vocabulary as usize];
    row[token.0 as usize] = ALWAYS;
    row
}

/// FNV-1a over the tokens.
fn hash(history: &[TokenId]) -> u64 {
    history.iter().fold(0xcbf2_9ce4_8422_2325, |hash, token| {
        (hash ^ u64::from(token.0)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A logit between 0 and 8, by SplitMix64.
fn letter(seed: u64, byte: u8) -> f32 {
    let mut x = seed.wrapping_add((u64::from(byte) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((x ^ (x >> 31)) >> 40) as f32 / (1u32 << 21) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_of_the_history_counts() {
        let text = greedy("user: hello\nassistant: ", 32);
        assert_eq!((text.len(), text.bytes().all(|byte| LETTERS.contains(&byte))), (32, true), "{text}");
        // Whoever replays one token less says something else from there on.
        let cut = &text[..15];
        assert_eq!(greedy(&format!("user: hello\nassistant: {cut}"), 17), text[15..]);
        assert_ne!(greedy(&format!("user: hello\nassistant: {}", &cut[..14]), 17), text[15..]);
    }
}
