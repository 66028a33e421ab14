//! A model's vocabulary, as far as the runtime needs it. It travels with the model file, so the engine has it.

pub mod kinship;

use super::TokenId;

/// Text to tokens and back. Shared by the threads that tokenize prompts and by the engine's thread.
pub trait Vocabulary: Send + Sync {
    /// Number of tokens; ids are below it.
    fn size(&self) -> u32;

    /// The bytes that `token` stands for, not always whole characters; none for a control token. An id out of
    /// range has none either.
    fn piece(&self, token: TokenId) -> &[u8];

    /// The name under which prompts spell `token`, if it is a control token, or was added to the vocabulary as a
    /// whole. A control token stands for no text, so its piece is empty; one that was added may have a piece.
    fn control_name(&self, token: TokenId) -> Option<&str> {
        let _ = token;
        None
    }

    /// Whether the model ends its turn or its text with `token`.
    fn is_end(&self, token: TokenId) -> bool;

    /// Tokenizes `text`. With `special`, names of control tokens in the text become those tokens, as a rendered
    /// chat template needs it; a begin token is added where the model wants one and the text has none.
    fn encode(&self, text: &str, special: bool) -> Result<Vec<TokenId>, TokenizeError>;

    /// Tokenizes `text` like [`encode`](Self::encode), without the token that begins a text. What is given here is
    /// for vocabularies that begin texts with nothing.
    fn encode_bare(&self, text: &str, special: bool) -> Result<Vec<TokenId>, TokenizeError> {
        self.encode(text, special)
    }

    /// Tokenizes `text` as an input of an embedding model, with the tokens that the model wants around one; names of
    /// control tokens become those tokens, as in sentence-transformers. The empty text gives the edges alone.
    fn encode_input(&self, text: &str) -> Result<Vec<TokenId>, TokenizeError> {
        self.encode(text, true)
    }

    /// The token that the model's file names for this part of filling a hole in a text. Names that are well known
    /// are looked for by whoever asks.
    fn infill_token(&self, part: InfillPart) -> Option<TokenId> {
        let _ = part;
        None
    }

    /// Tokenizes a query and a document as a cross-encoder reads the two, with the tokens that the model wants around
    /// and between them; answers them with how many are of the first segment. An empty document gives the edges alone.
    fn encode_pair(&self, query: &str, document: &str) -> Result<(Vec<TokenId>, usize), TokenizeError> {
        let mut tokens = self.encode_input(query)?;
        let first_tokens = tokens.len();
        tokens.extend(self.encode_input(document)?);
        Ok((tokens, first_tokens))
    }

    /// The text of the token that begins a text, for templates; empty when the model has none.
    fn begin_text(&self) -> &str;

    /// The text of the token that ends a turn, for templates; empty when the model has none.
    fn end_text(&self) -> &str;

    /// The longest piece, in bytes: a text of n bytes has at least n / this tokens.
    fn longest_piece_bytes(&self) -> usize;
}

/// What a token is to a model that fills holes in texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InfillPart {
    /// What stands before the hole follows.
    Prefix,
    /// What stands behind the hole follows.
    Suffix,
    /// The filling follows.
    Middle,
    /// Nothing follows.
    Pad,
    /// The name of a repository follows.
    Repository,
    /// The name of a file follows, then its text.
    File,
}

/// The bytes of all tokens of a vocabulary, one behind the other, for a [`Vocabulary`] to be made of.
#[derive(Debug, Default)]
pub struct Pieces {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

/// A text that could not be tokenized.
#[derive(Debug, thiserror::Error)]
#[error("the text could not be tokenized: {reason}")]
pub struct TokenizeError {
    /// The tokenizer's words.
    pub reason: String,
}

impl Pieces {
    /// Adds the next token, which stands for `piece`.
    pub fn push(&mut self, piece: &[u8]) {
        self.bytes.extend_from_slice(piece);
        self.ends.push(self.bytes.len() as u32);
    }

    /// Number of tokens.
    pub fn size(&self) -> u32 {
        self.ends.len() as u32
    }

    /// The bytes of `token`; none where there is no such token.
    pub fn get(&self, token: TokenId) -> &[u8] {
        let idx = token.0 as usize;
        let Some(&end) = self.ends.get(idx) else { return &[] };
        let start = idx.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start as usize..end as usize]
    }
}
