//! The vocabulary in the GGUF file.

use std::collections::BTreeMap;

use impetus_runtime::engine::{InfillPart, Pieces, TokenId, TokenizeError, Vocabulary};
use llama_cpp_2::{model::LlamaModel, token::LlamaToken, token_type::LlamaTokenAttr};

/// llama.cpp's vocabulary, its pieces read out once.
pub(crate) struct GgufVocabulary {
    model: &'static LlamaModel,
    pieces: Pieces,
    /// Of control tokens and of those that were added by whoever made the model, by id.
    names: BTreeMap<u32, String>,
    is_end: Vec<bool>,
    longest_piece_bytes: usize,
    begin_text: String,
    end_text: String,
}

impl GgufVocabulary {
    pub(crate) fn new(model: &'static LlamaModel) -> Self {
        let vocab = model.vocab();
        let n_tokens = vocab.n_tokens();
        let (mut pieces, mut names, mut is_end) = (Pieces::default(), BTreeMap::new(), Vec::new());
        // Names of control tokens count here: a prompt may spell them.
        let mut longest_piece_bytes = 1;
        for id in 0..n_tokens {
            let token = LlamaToken(id);
            let piece = vocab.token_to_piece(token, false, None);
            let name = vocab.text(token).unwrap_or_default();
            longest_piece_bytes = longest_piece_bytes.max(piece.len()).max(name.to_bytes().len());
            if vocab.attr(token).intersects(LlamaTokenAttr::Control | LlamaTokenAttr::UserDefined) {
                names.insert(pieces.size(), name.to_string_lossy().into_owned());
            }
            pieces.push(&piece);
            is_end.push(vocab.is_eog(token));
        }
        let name = |token: LlamaToken| {
            let is_token = (0..n_tokens).contains(&token.0);
            is_token
                .then(|| vocab.text(token).map(|text| text.to_string_lossy().into_owned()))
                .flatten()
                .unwrap_or_default()
        };
        let (begin_text, end_text) = (name(vocab.bos()), name(vocab.eos()));
        Self { model, pieces, names, is_end, longest_piece_bytes, begin_text, end_text }
    }

    /// Tokens of `text`; with `edges` those that the model wants around it, with `special` those that it names.
    fn tokenize(&self, text: &str, edges: bool, special: bool) -> Result<Vec<TokenId>, TokenizeError> {
        let tokens = self.model.vocab().tokenize(text.as_bytes(), edges, special);
        tokens
            .into_iter()
            .map(|token| u32::try_from(token.0).map(TokenId))
            .collect::<Result<_, _>>()
            .map_err(|error| TokenizeError { reason: error.to_string() })
    }
}

impl Vocabulary for GgufVocabulary {
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
        self.tokenize(text, !has_begin, special)
    }

    fn encode_bare(&self, text: &str, special: bool) -> Result<Vec<TokenId>, TokenizeError> {
        self.tokenize(text, false, special)
    }

    fn infill_token(&self, part: InfillPart) -> Option<TokenId> {
        let vocab = self.model.vocab();
        let token = match part {
            InfillPart::Prefix => vocab.fim_pre(),
            InfillPart::Suffix => vocab.fim_suf(),
            InfillPart::Middle => vocab.fim_mid(),
            InfillPart::Pad => vocab.fim_pad(),
            InfillPart::Repository => vocab.fim_rep(),
            InfillPart::File => vocab.fim_sep(),
        };
        // A part that the model does not know is a negative number.
        u32::try_from(token.0).ok().filter(|&id| id < self.size()).map(TokenId)
    }

    fn encode_input(&self, text: &str) -> Result<Vec<TokenId>, TokenizeError> {
        self.tokenize(text, true, true)
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
