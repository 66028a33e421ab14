//! What can be wrong with a model folder, in words for whoever has to repair it.

use std::path::Path;

use crate::engine::LoadError;

/// Why a file of a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// A file cannot be read.
    #[error("`{file}` could not be read: {source}")]
    Read {
        /// The file, relative to the folder.
        file: String,
        /// The system's words.
        source: std::io::Error,
    },
    /// A file that must be there is not.
    #[error("the folder has no {what}")]
    Absent {
        /// What was looked for.
        what: &'static str,
    },
    /// A name that leads out of the folder that the model may lie in.
    #[error(
        "`{file}` lies outside of the models folder: put a copy of the file there, or set models.follow_links"
    )]
    Outside {
        /// The name.
        file: String,
    },
    /// A file that is larger than anything of its kind.
    #[error("`{file}` has {bytes} bytes, more than the {limit} that such a file can have")]
    TooLarge {
        /// The file.
        file: String,
        /// Its size.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// A file that is not what its name says.
    #[error("`{file}` is damaged: {reason}")]
    Damaged {
        /// The file.
        file: String,
        /// The reader's words.
        reason: String,
    },
    /// tokenizer.json and config.json contradict each other.
    #[error("tokenizer.json has {tokens} tokens where config.json says `vocab_size` = {vocabulary}")]
    Vocabulary {
        /// Tokens of the tokenizer.
        tokens: usize,
        /// Rows of the embedding.
        vocabulary: usize,
    },
    /// A way of pooling that is not known.
    #[error("`{file}` asks for {what}, which is not supported; mean, cls, max and last-token pooling are")]
    Pooling {
        /// The file.
        file: String,
        /// What it asks for.
        what: String,
    },
}

impl FolderError {
    /// The error for the supervisor: somebody has to repair the model at `path`.
    pub fn broken(&self, path: &Path) -> LoadError {
        LoadError::Broken { path: path.to_owned(), reason: self.to_string() }
    }
}
