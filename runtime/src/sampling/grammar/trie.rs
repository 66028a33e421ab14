//! A vocabulary as llguidance wants it: the bytes of all tokens in a trie, control tokens behind a byte of their own.

use std::sync::Arc;

use llguidance::{
    ParserFactory,
    api::ParserLimits,
    earley::SlicedBiasComputer,
    toktrie::{ApproximateTokEnv, InferenceCapabilities, TokEnv, TokRxInfo, TokTrie},
};

use super::GrammarError;
use crate::engine::{TokenId, Vocabulary};

/// A longer token of text is never chosen under a grammar; shorter ones say the same. Vocabularies have such tokens for runs
/// of spaces and dashes, which every mask would have to follow to their ends, and bounded texts have no quick answer for.
pub(super) const MAX_TOKEN_BYTES: usize = 32;

/// The trie has no room for a longer name of a control token.
const MAX_NAME_BYTES: usize = 512;

/// What one grammar may use up. Counted in the parser's own units rather than by a clock, so that a replay meets the
/// same limits at the same token.
const LIMITS: ParserLimits = ParserLimits {
    max_items_in_row: 2_000,
    initial_lexer_fuel: 1_000_000,
    step_lexer_fuel: 200_000,
    step_max_items: 50_000,
    max_lexer_states: 30_000,
    max_grammar_size: 200_000,
    precompute_large_lexemes: true,
    verbose_errors: false,
};

/// The trie of a vocabulary.
pub(super) fn of(vocabulary: &dyn Vocabulary) -> Result<TokTrie, GrammarError> {
    let size = vocabulary.size();
    let ends: Vec<u32> = (0..size).filter(|&id| vocabulary.is_end(TokenId(id))).collect();
    let Some(&end) = ends.first() else {
        return Err(GrammarError::Vocabulary { reason: "it has no token that ends a text".to_owned() });
    };
    let words: Vec<Vec<u8>> = (0..size).map(|id| bytes(vocabulary, TokenId(id))).collect();
    let info = TokRxInfo::new(size, end);
    Ok(TokTrie::from(&info, &words).with_eos_tokens(&ends))
}

/// A factory of parsers over `trie`, which prepares the sets of tokens that strings are mostly made of.
pub(super) fn factory(trie: TokTrie) -> Result<ParserFactory, GrammarError> {
    // Tokens are never forced, since the model may cut a text as it likes; so none has to be tokenized.
    let env: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
    let slices = SlicedBiasComputer::general_slices();
    let mut factory = ParserFactory::new(&env, InferenceCapabilities::default(), &slices)
        .map_err(|error| GrammarError::Vocabulary { reason: error.to_string() })?;
    factory.quiet();
    *factory.limits_mut() = LIMITS;
    Ok(factory)
}

/// What a token is in the trie. No grammar of texts matches a control token, since its first byte is in no text.
fn bytes(vocabulary: &dyn Vocabulary, token: TokenId) -> Vec<u8> {
    let piece = vocabulary.piece(token);
    let is_text = !piece.is_empty() && piece[0] != TokTrie::SPECIAL_TOKEN_MARKER;
    if is_text && piece.len() <= MAX_TOKEN_BYTES {
        return piece.to_vec();
    }
    match vocabulary.control_name(token) {
        Some(name) if piece.is_empty() && name.len() < MAX_NAME_BYTES => {
            let mut bytes = vec![TokTrie::SPECIAL_TOKEN_MARKER];
            bytes.extend_from_slice(name.as_bytes());
            bytes
        }
        _ => Vec::new(),
    }
}
