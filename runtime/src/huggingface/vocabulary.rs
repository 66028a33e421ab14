//! The vocabulary in `tokenizer.json`, and what the files beside it say of its special tokens.

mod ending;
mod piece;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::Value;
use tokenizers::Tokenizer;
use tracing::warn;

use self::{ending::Endings, piece::Coding};
use super::{Folder, FolderError};
use crate::engine::{Pieces, TokenId, TokenizeError, Vocabulary};

/// The tokenizer, its pieces read out once.
pub struct HuggingFaceVocabulary {
    /// Takes names of control tokens in a text for those tokens.
    special: Tokenizer,
    /// Takes them for text.
    plain: Tokenizer,
    pieces: Pieces,
    /// Of added tokens, by id.
    names: BTreeMap<u32, String>,
    is_end: Vec<bool>,
    longest_piece_bytes: usize,
    /// The token that texts begin with.
    begin: Option<TokenId>,
    begin_text: String,
    end_text: String,
}

impl HuggingFaceVocabulary {
    /// Reads the folder's tokenizer for a model with `size` rows of logits.
    pub fn load(folder: &Folder, config: &Value, size: usize) -> Result<Self, FolderError> {
        let file = "tokenizer.json";
        let bytes = folder.bytes(file)?.ok_or(FolderError::Absent { what: "tokenizer.json" })?;
        let damaged = |reason: String| FolderError::Damaged { file: file.to_owned(), reason };
        let source: Value = serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        let mut special = Tokenizer::from_bytes(&bytes).map_err(|error| damaged(error.to_string()))?;
        special.with_padding(None);
        special.with_truncation(None).map_err(|error| damaged(error.to_string()))?;

        let tokens = special.get_vocab_size(false);
        if tokens > size {
            return Err(FolderError::Vocabulary { tokens, vocabulary: size });
        }
        let beyond = special.get_added_tokens_decoder().keys().filter(|&&id| id as usize >= size).count();
        if beyond > 0 {
            warn!(beyond, size, "the tokenizer has added tokens that the model has no logits for");
        }
        let endings = Endings::read(folder, config, &special)?;
        Ok(Self::new(special, Coding::of(&source), size, &endings))
    }

    fn new(special: Tokenizer, coding: Coding, size: usize, endings: &Endings) -> Self {
        let mut plain = special.clone();
        plain.set_encode_special_tokens(true);
        let added = special.get_added_tokens_decoder();
        let (mut pieces, mut piece) = (Pieces::default(), Vec::new());
        // Names of control tokens count here: a prompt may spell them.
        let mut longest_piece_bytes = 1;
        for id in 0..size as u32 {
            piece.clear();
            match (added.get(&id), special.id_to_token(id)) {
                (Some(token), _) => {
                    longest_piece_bytes = longest_piece_bytes.max(token.content.len());
                    if !token.special {
                        piece.extend_from_slice(token.content.as_bytes());
                    }
                }
                (None, Some(token)) => coding.append(&token, &mut piece),
                (None, None) => {}
            }
            longest_piece_bytes = longest_piece_bytes.max(piece.len());
            pieces.push(&piece);
        }
        let names = added.iter().map(|(&id, token)| (id, token.content.clone())).collect();
        let is_end = (0..size as u32).map(|id| endings.ends.contains(&id)).collect();
        Self {
            special,
            plain,
            pieces,
            names,
            is_end,
            longest_piece_bytes,
            begin: endings.begin.map(TokenId),
            begin_text: endings.begin_text.clone(),
            end_text: endings.end_text.clone(),
        }
    }
}

impl HuggingFaceVocabulary {
    /// Tokens of `text` alone.
    fn tokenize(&self, text: &str, special: bool) -> Result<Vec<TokenId>, TokenizeError> {
        let tokenizer = if special { &self.special } else { &self.plain };
        let encoding = tokenizer
            .encode_fast(text, false)
            .map_err(|error| TokenizeError { reason: error.to_string() })?;
        Ok(encoding.get_ids().iter().copied().map(TokenId).collect())
    }

    /// Refuses tokens that were added to the tokenizer and not to the model.
    fn within(&self, tokens: Vec<TokenId>) -> Result<Vec<TokenId>, TokenizeError> {
        match tokens.iter().find(|token| token.0 >= self.size()) {
            None => Ok(tokens),
            Some(token) => Err(TokenizeError {
                reason: format!("the text spells token {}, for which the model has no embedding", token.0),
            }),
        }
    }
}

impl Vocabulary for HuggingFaceVocabulary {
    fn size(&self) -> u32 {
        self.pieces.size()
    }

    fn piece(&self, token: TokenId) -> &[u8] {
        self.pieces.get(token)
    }

    fn control_name(&self, token: TokenId) -> Option<&str> {
        self.names.get(&token.0).map(String::as_str)
    }

    fn is_end(&self, token: TokenId) -> bool {
        self.is_end.get(token.0 as usize).copied().unwrap_or(false)
    }

    fn encode(&self, text: &str, special: bool) -> Result<Vec<TokenId>, TokenizeError> {
        // A template that writes the begin token itself must not get a second one.
        let has_begin = !self.begin_text.is_empty() && text.starts_with(&self.begin_text);
        let begin = self.begin.filter(|_| !has_begin);
        self.within(begin.into_iter().chain(self.tokenize(text, special)?).collect())
    }

    fn encode_bare(&self, text: &str, special: bool) -> Result<Vec<TokenId>, TokenizeError> {
        self.within(self.tokenize(text, special)?)
    }

    fn encode_input(&self, text: &str) -> Result<Vec<TokenId>, TokenizeError> {
        // Names of control tokens count as such, as they do in sentence-transformers.
        let encoding = self
            .special
            .encode_fast(text, true)
            .map_err(|error| TokenizeError { reason: error.to_string() })?;
        self.within(encoding.get_ids().iter().copied().map(TokenId).collect())
    }

    fn encode_pair(&self, query: &str, document: &str) -> Result<(Vec<TokenId>, usize), TokenizeError> {
        let encoding = self
            .special
            .encode_fast((query, document), true)
            .map_err(|error| TokenizeError { reason: error.to_string() })?;
        let segments = encoding.get_type_ids();
        let first_tokens = segments.iter().take_while(|&&segment| segment == 0).count();
        if segments[first_tokens..].iter().any(|&segment| segment != 1) {
            return Err(TokenizeError {
                reason: "its tokenizer makes more of two texts than two segments".into(),
            });
        }
        let tokens = self.within(encoding.get_ids().iter().copied().map(TokenId).collect())?;
        Ok((tokens, first_tokens))
    }

    fn begin_text(&self) -> &str {
        &self.begin_text
    }

    fn end_text(&self) -> &str {
        &self.end_text
    }

    fn longest_piece_bytes(&self) -> usize {
        self.longest_piece_bytes
    }
}
