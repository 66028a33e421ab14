//! Model folders as Hugging Face lays them out: their files, tokenizer, chat template and pooling. Shared by the
//! workers whose models come in such folders.

mod error;
mod folder;
mod pooling;
mod template;
mod vocabulary;

pub use error::FolderError;
pub use folder::Folder;
pub use pooling::{Pooling, PoolingMode};
pub use template::chat_template;
pub use vocabulary::HuggingFaceVocabulary;
