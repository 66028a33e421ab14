//! Vocabularies that tests constrain.

use std::path::Path;
use std::sync::Arc;

use crate::engine::Vocabulary;
use crate::huggingface::{Folder, HuggingFaceVocabulary};

/// The bundled model's.
pub(super) fn bundled() -> Arc<dyn Vocabulary> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundled/tiny/impetus-tiny-safetensors");
    let folder = Folder::open(&path, &path).unwrap();
    let config = folder.json("config.json").unwrap().unwrap();
    let size = config["vocab_size"].as_u64().unwrap();
    Arc::new(HuggingFaceVocabulary::load(&folder, &config, size as usize).unwrap())
}
