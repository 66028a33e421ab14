//! A vocabulary of 128,000 tokens: Llama 3's where the folder of vocabularies is at hand, else one that is made up.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use impetus_runtime::engine::{Pieces, TokenId, TokenizeError, Vocabulary};

const SIZE: usize = 128_256;

/// The longest token that texts are cut into.
const LONGEST: usize = 32;

/// A list of tokens; the last one ends.
pub(super) struct ListVocabulary {
    pieces: Pieces,
    ids: HashMap<Vec<u8>, u32>,
    source: &'static str,
}

/// The vocabulary to measure with.
pub(super) fn large() -> Arc<ListVocabulary> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/vocab/ggml-vocab-llama-bpe.gguf");
    let tokens = tokens(&path);
    Arc::new(match tokens {
        Some(tokens) => ListVocabulary::new(tokens, "Llama 3's"),
        None => made_up(SIZE),
    })
}

/// The bytes and as many made up words, with and without a space before them.
pub(super) fn made_up(size: usize) -> ListVocabulary {
    let mut tokens: Vec<Vec<u8>> = (0..=255).map(|byte| vec![byte]).collect();
    let mut state = 1_u64;
    while tokens.len() < size - 1 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let length = 2 + (state >> 60) as usize % 9;
        let word = (0..length).map(|idx| b'a' + ((state >> (5 * idx)) % 26) as u8);
        let space = (state >> 59).is_multiple_of(2);
        tokens.push(space.then_some(b' ').into_iter().chain(word).collect());
    }
    ListVocabulary::new(tokens, "made up")
}

impl ListVocabulary {
    fn new(tokens: Vec<Vec<u8>>, source: &'static str) -> Self {
        let mut pieces = Pieces::default();
        for token in &tokens {
            pieces.push(token);
        }
        pieces.push(&[]);
        let ids = tokens.into_iter().zip(0..).filter(|(token, _)| !token.is_empty()).collect();
        Self { pieces, ids, source }
    }

    /// Where the tokens are from.
    pub(super) fn source(&self) -> &'static str {
        self.source
    }

    /// A text in the longest tokens.
    pub(super) fn greedy(&self, text: &str) -> Vec<TokenId> {
        let mut rest = text.as_bytes();
        let mut tokens = Vec::new();
        while !rest.is_empty() {
            let mut lengths = (1..=rest.len().min(LONGEST)).rev();
            let found = lengths.find_map(|length| Some((length, *self.ids.get(&rest[..length])?)));
            let Some((length, id)) = found else { break };
            tokens.push(TokenId(id));
            rest = &rest[length..];
        }
        tokens
    }
}

impl Vocabulary for ListVocabulary {
    fn size(&self) -> u32 {
        self.pieces.size()
    }

    fn piece(&self, token: TokenId) -> &[u8] {
        self.pieces.get(token)
    }

    fn is_end(&self, token: TokenId) -> bool {
        token.0 + 1 == self.size()
    }

    fn encode(&self, text: &str, _: bool) -> Result<Vec<TokenId>, TokenizeError> {
        Ok(self.greedy(text))
    }

    fn begin_text(&self) -> &'static str {
        ""
    }

    fn end_text(&self) -> &'static str {
        ""
    }

    fn longest_piece_bytes(&self) -> usize {
        LONGEST
    }
}

/// The texts of `tokenizer.ggml.tokens` in a GGUF file, as bytes; none where there is no such file.
fn tokens(path: &PathBuf) -> Option<Vec<Vec<u8>>> {
    let file = fs::read(path).ok()?;
    let key = b"tokenizer.ggml.tokens";
    // An array of strings (9, 8) follows its key; each string has its length before it.
    let after = file.windows(key.len()).position(|window| window == key)? + key.len() + 8;
    let mut at = after + 8;
    let number = |at: usize| Some(u64::from_le_bytes(file.get(at..at + 8)?.try_into().ok()?) as usize);
    let count = number(after)?;
    let bytes: HashMap<char, u8> = super::super::vocabulary::byte_names().into_iter().zip(0..=255).collect();
    let mut tokens = Vec::with_capacity(count.min(1 << 20));
    for _ in 0..count {
        let length = number(at)?;
        let text = std::str::from_utf8(file.get(at + 8..at + 8 + length)?).ok()?;
        // Control tokens are not of GPT-2's alphabet alone, but their names are never chosen here.
        let is_control = text.starts_with("<|") && text.ends_with("|>");
        let piece: Option<Vec<u8>> = text.chars().map(|char| bytes.get(&char).copied()).collect();
        tokens.push(piece.filter(|_| !is_control).unwrap_or_default());
        at += 8 + length;
    }
    Some(tokens)
}
