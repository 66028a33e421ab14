//! What can be wrong with an ONNX export, in words for whoever has to repair it.

use std::path::Path;

use impetus_runtime::{engine::LoadError, huggingface::FolderError};

/// Bytes of the library's words that are passed on; it likes to list all that it knows.
const MAX_WORDS_BYTES: usize = 600;

/// Why a folder is not a model that this worker can run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModelError {
    /// A file of the folder cannot be used.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// There is no graph, or there are several and none has a name that says what it is.
    #[error("the folder has no graph: none of {looked_for} is in it or in its folder `onnx`")]
    NoGraph {
        /// The names.
        looked_for: String,
    },
    /// A file of weights that ends before the graph's tensors do.
    #[error("`{file}` has {bytes} bytes where `{graph}` needs {needed}: it was not written or copied whole")]
    Cut {
        /// The file of weights.
        file: String,
        /// The graph that refers to it.
        graph: String,
        /// Its size.
        bytes: u64,
        /// Where the graph's last tensor in it ends.
        needed: u64,
    },
    /// Inputs or outputs other than those of a model that this worker runs.
    #[error(
        "`{file}` is no decoder with a cache, no embedding model and no cross-encoder: the graph lacks {lacks}; it has unknown {unknown}"
    )]
    Ports {
        /// The graph's file.
        file: String,
        /// The inputs and outputs that are missing, or `nothing`.
        lacks: String,
        /// The inputs that nobody knows what to put into, or `nothing`.
        unknown: String,
    },
    /// An input or output of an impossible type or shape.
    #[error("`{name}` of `{file}` is {found} where {expected} is needed")]
    Port {
        /// The graph's file.
        file: String,
        /// The input or output.
        name: String,
        /// What it is.
        found: String,
        /// What it would have to be.
        expected: String,
    },
    /// A setting in `config.json` or `genai_config.json` that is missing or impossible.
    #[error("`{field}` in {file} {problem}")]
    Config {
        /// The file.
        file: &'static str,
        /// The setting's name.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// The library refuses the graph or fails to compute it.
    #[error("`{file}` {what}: {words}")]
    Library {
        /// The graph's file.
        file: String,
        /// What did not go.
        what: &'static str,
        /// The library's words.
        words: String,
    },
}

impl ModelError {
    /// The error for the runtime: somebody has to replace the model at `path`, unless it just does not fit.
    pub(crate) fn of(&self, path: &Path) -> LoadError {
        match self {
            Self::Library { words, .. } if is_memory(words) => {
                LoadError::Memory { what: "the weights and a first run".into() }
            }
            _ => LoadError::Broken { path: path.to_owned(), reason: self.to_string() },
        }
    }

    /// Inputs and outputs that are missing, and those that are unknown.
    pub(crate) fn ports(file: &str, lacks: &[String], unknown: &[String]) -> Self {
        Self::Ports { file: file.to_owned(), lacks: list(lacks), unknown: list(unknown) }
    }

    /// A file that is not what its name says.
    pub(crate) fn damaged(file: &str, reason: impl Into<String>) -> Self {
        FolderError::Damaged { file: file.to_owned(), reason: reason.into() }.into()
    }
}

/// The library's words in one line of bounded length.
pub(crate) fn words<R>(error: &ort::Error<R>) -> String {
    let line = error.message().split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().find(|(at, character)| at + character.len_utf8() > MAX_WORDS_BYTES) {
        Some((end, _)) => line.get(..end).unwrap_or_default().to_owned() + " ...",
        None => line,
    }
}

/// Whether the library's words say that there is no memory.
pub(crate) fn is_memory(words: &str) -> bool {
    ["Failed to allocate memory", "bad_alloc", "out of memory"].iter().any(|sign| words.contains(sign))
}

/// The first few of `names`.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        _ if names.is_empty() => "nothing".to_owned(),
        None | Some(0) => shown,
        Some(more) => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_no_broken_model() {
        let check = |words: &str, expected: &str| {
            let error = ModelError::Library {
                file: "a.onnx".into(),
                what: "could not be loaded",
                words: words.into(),
            };
            let error = error.of(Path::new("model")).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("std::bad_alloc", "not enough memory");
        check(
            "no such operator",
            "model could not be loaded: `a.onnx` could not be loaded: no such operator",
        );
    }

    #[test]
    fn long_lists_are_cut() {
        let check = |n: usize, expected: &str| {
            let names: Vec<String> = (0..n).map(|n| n.to_string()).collect();
            assert_eq!(list(&names), expected);
        };
        check(0, "nothing");
        check(2, "`0`, `1`");
        check(8, "`0`, `1`, `2`, `3`, `4`, `5`, `6`, `7`");
        check(10, "`0`, `1`, `2`, `3`, `4`, `5`, `6`, `7` and 2 more");
    }
}
