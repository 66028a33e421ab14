//! Names that clients use for models. A name is only ever looked up in a catalog; it never becomes a path.

use std::{fmt, str::FromStr};

/// A model's name: 1 to 128 characters of `A–Z a–z 0–9 . _ : -`, the first neither `.` nor `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelName(String);

/// Why a text is no model name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// There is nothing in it.
    #[error("a model name must not be empty")]
    Empty,
    /// It exceeds [`ModelName::MAX_LENGTH`].
    #[error("a model name of {length} characters is too long; at most {} are allowed", ModelName::MAX_LENGTH)]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// It starts like a hidden file or a command line option.
    #[error("a model name must not start with {first:?}")]
    First {
        /// The character it starts with.
        first: char,
    },
    /// It has a character outside the permitted set.
    #[error("a model name must not contain {character:?}; letters, digits and . _ : - are allowed")]
    Character {
        /// The first such character.
        character: char,
    },
}

impl ModelName {
    /// The longest name, in characters.
    pub const MAX_LENGTH: usize = 128;

    /// Checks `text` and makes it a name, unchanged.
    pub fn new(text: &str) -> Result<Self, NameError> {
        let first = text.chars().next().ok_or(NameError::Empty)?;
        if text.len() > Self::MAX_LENGTH {
            return Err(NameError::TooLong { length: text.len() });
        }
        if let Some(character) = text.chars().find(|&c| !permitted(c)) {
            return Err(NameError::Character { character });
        }
        if leading(first) {
            return Err(NameError::First { first });
        }
        Ok(Self(text.to_owned()))
    }

    /// The name of the model in a file with this stem (its name less extension and split suffix): characters that
    /// a name cannot have become `-`, and what is left of nothing is `model`.
    pub fn from_stem(stem: &str) -> Self {
        let name: String = stem
            .chars()
            .map(|c| if permitted(c) { c } else { '-' })
            .skip_while(|&c| leading(c))
            .take(Self::MAX_LENGTH)
            .collect();
        if name.is_empty() { Self("model".to_owned()) } else { Self(name) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl AsRef<str> for ModelName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModelName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

/// A file name less its extension. What follows the last dot counts as one only when it is short and begins with a
/// letter, so that `llama-3.2` keeps its version.
pub(crate) fn stem(file_name: &str) -> &str {
    match file_name.rsplit_once('.') {
        Some((stem, extension))
            if !stem.is_empty()
                && extension.len() <= 12
                && extension.starts_with(|c: char| c.is_ascii_alphabetic()) =>
        {
            stem
        }
        _ => file_name,
    }
}

fn permitted(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | ':' | '-')
}

fn leading(character: char) -> bool {
    matches!(character, '.' | '-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_checked() {
        fn check(text: &str, expected: &Result<(), NameError>) {
            assert_eq!(&ModelName::new(text).map(drop), expected, "{text:?}");
        }
        check("impetus-tiny", &Ok(()));
        check("qwen3:0.6b", &Ok(()));
        check("_x", &Ok(()));
        check(&"a".repeat(128), &Ok(()));
        check("", &Err(NameError::Empty));
        check(&"a".repeat(129), &Err(NameError::TooLong { length: 129 }));
        check("..", &Err(NameError::First { first: '.' }));
        check(".hidden", &Err(NameError::First { first: '.' }));
        check("--help", &Err(NameError::First { first: '-' }));
        check("../etc/passwd", &Err(NameError::Character { character: '/' }));
        check("a\\b", &Err(NameError::Character { character: '\\' }));
        check("a\0b", &Err(NameError::Character { character: '\0' }));
        check("a b", &Err(NameError::Character { character: ' ' }));
        check("modèle", &Err(NameError::Character { character: 'è' }));
    }

    #[test]
    fn stems_become_names() {
        fn check(stem: &str, expected: &str) {
            assert_eq!(ModelName::from_stem(stem).as_str(), expected, "{stem:?}");
        }
        check("Llama-3.2-1B-Q4_K_M", "Llama-3.2-1B-Q4_K_M");
        check("my model (2)", "my-model--2-");
        check("..secret", "secret");
        check("模型", "model");
        check("", "model");
        check("...", "model");
        check("modèle", "mod-le");
    }

    #[test]
    fn extensions_are_told_from_versions() {
        fn check(file: &str, expected: &str) {
            assert_eq!(stem(file), expected, "{file:?}");
        }
        check("tiny.gguf", "tiny");
        check("tiny.GGUF", "tiny");
        check("llama-3.2.gguf", "llama-3.2");
        check("llama-3.2", "llama-3.2");
        check("tiny", "tiny");
        check(".gguf", ".gguf");
        check("tiny.safetensors", "tiny");
    }

    proptest! {
        #[test]
        fn every_stem_gives_a_valid_name(stem in any::<String>()) {
            let name = ModelName::from_stem(&stem);
            prop_assert_eq!(ModelName::new(name.as_str()), Ok(name.clone()));
        }

        #[test]
        fn a_valid_name_is_its_own_stem(text in "[A-Za-z0-9_:][A-Za-z0-9._:-]{0,127}") {
            let name = ModelName::new(&text).unwrap();
            prop_assert_eq!(ModelName::from_stem(&text), name);
        }
    }
}
