//! Vocabularies that tests constrain.

use std::path::Path;
use std::sync::Arc;

use crate::engine::{TokenId, TokenizeError, Vocabulary, fake::ByteVocabulary};
use crate::huggingface::{Folder, HuggingFaceVocabulary};

/// The bundled model's.
pub(super) fn bundled() -> Arc<dyn Vocabulary> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundled/tiny/impetus-tiny-safetensors");
    let folder = Folder::open(&path, &path).unwrap();
    let config = folder.json("config.json").unwrap().unwrap();
    let size = config["vocab_size"].as_u64().unwrap();
    Arc::new(HuggingFaceVocabulary::load(&folder, &config, size as usize).unwrap())
}

/// Bytes, and a token of forty spaces.
#[derive(Default)]
pub(super) struct Spaces(ByteVocabulary);

impl Spaces {
    pub(super) const TOKEN: TokenId = TokenId(257);
}

impl Vocabulary for Spaces {
    fn size(&self) -> u32 {
        self.0.size() + 1
    }

    fn piece(&self, token: TokenId) -> &[u8] {
        if token == Self::TOKEN { &[b' '; 40] } else { self.0.piece(token) }
    }

    fn is_end(&self, token: TokenId) -> bool {
        self.0.is_end(token)
    }

    fn encode(&self, text: &str, special: bool) -> Result<Vec<TokenId>, TokenizeError> {
        self.0.encode(text, special)
    }

    fn begin_text(&self) -> &'static str {
        ""
    }

    fn end_text(&self) -> &'static str {
        ""
    }

    fn longest_piece_bytes(&self) -> usize {
        40
    }
}
