//! Paths that somebody else has made up: relative, plain, and never out of their folder.

use std::{fmt, path::PathBuf};

/// Folders within folders.
const MAX_DEPTH: usize = 8;
/// The longest name of a file or folder, in bytes.
const MAX_NAME_BYTES: usize = 200;

/// A file's path within the folder of its model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelativePath(String);

impl RelativePath {
    /// `text` if it is one. Hidden files are none.
    pub fn new(text: &str) -> Option<Self> {
        let is_plain = |name: &str| {
            !name.is_empty()
                && name.len() <= MAX_NAME_BYTES
                && !name.starts_with('.')
                && !name.chars().any(|c| c.is_control() || c == '\\')
        };
        let is_fine = text.split('/').count() <= MAX_DEPTH && text.split('/').all(is_plain);
        is_fine.then(|| Self(text.to_owned()))
    }

    /// Itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name of the file.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Whether its name ends with a dot and this, in whatever letters.
    pub fn has_extension(&self, extension: &str) -> bool {
        self.name()
            .rsplit_once('.')
            .is_some_and(|(stem, own)| !stem.is_empty() && own.eq_ignore_ascii_case(extension))
    }

    /// The folder that it lies in; empty: the model's own.
    pub fn folder(&self) -> &str {
        self.0.rsplit_once('/').map_or("", |(folder, _)| folder)
    }

    /// The file by its name alone, in the model's own folder.
    #[must_use]
    pub fn flat(&self) -> Self {
        Self(self.name().to_owned())
    }

    /// For use within that folder.
    pub fn to_path(&self) -> PathBuf {
        PathBuf::from(&self.0)
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_plain_relative_paths_are_paths() {
        let check =
            |text: &str, is_one: bool| assert_eq!(RelativePath::new(text).is_some(), is_one, "{text:?}");
        check("config.json", true);
        check("onnx/model.onnx", true);
        check("a/b/c/d/e/f/g/h", true);
        check("model (1).gguf", true);
        check("a/b/c/d/e/f/g/h/i", false);
        check("", false);
        check("/etc/passwd", false);
        check("../x", false);
        check("a/../b", false);
        check("a//b", false);
        check("a/", false);
        check(".gitattributes", false);
        check("a/.git/config", false);
        check("a\\b", false);
        check("a\nb", false);
        check(&"x".repeat(201), false);
    }

    proptest! {
        #[test]
        fn none_leads_out_of_its_folder(text in "[a./\\\\]{0,12}") {
            if let Some(path) = RelativePath::new(&text) {
                let path = path.to_path();
                prop_assert!(path.components().all(|c| matches!(c, std::path::Component::Normal(_))));
            }
        }
    }
}
