//! The vocabulary of another model's GGUF file: its keys, taken as they are.

use std::{collections::HashSet, fs, io, path::Path};

use crate::bench::gguf::Value;

/// What a blank before a word is written as: GPT-2's name of that byte, and SentencePiece's sign.
const BLANKS: [char; 2] = ['Ġ', '▁'];

/// Keys of a tokenizer begin so.
const PREFIX: &str = "tokenizer.";
const TOKENS: &str = "tokenizer.ggml.tokens";

/// GGUF's numbers of the types that are longer than themselves.
const TEXT: u32 = 8;
const ARRAY: u32 = 9;

/// A vocabulary that was read.
pub(in crate::bench) struct FileVocabulary {
    pub(in crate::bench) keys: Vec<(String, Value)>,
    pub(in crate::bench) tokens: Vec<String>,
}

/// What is left of a file that is read.
struct Reader<'a>(&'a [u8]);

impl FileVocabulary {
    /// Reads the file at `path`.
    pub(in crate::bench) fn read(path: &Path) -> io::Result<Self> {
        let broken = || {
            let what = format!("{} is no GGUF file with a vocabulary", path.display());
            io::Error::new(io::ErrorKind::InvalidData, what)
        };
        Self::parse(&fs::read(path)?).ok_or_else(broken)
    }

    fn parse(file: &[u8]) -> Option<Self> {
        let mut reader = Reader(file.strip_prefix(b"GGUF")?);
        let (_version, _n_tensors) = (reader.u32()?, reader.u64()?);
        let n_keys = reader.u64()?;
        let mut vocabulary = Self { keys: Vec::new(), tokens: Vec::new() };
        for _ in 0..n_keys {
            let name = reader.text()?;
            let begin = reader.0;
            let kind = reader.u32()?;
            if name == TOKENS {
                vocabulary.tokens = Reader(reader.0).texts()?;
            }
            reader.skip(kind)?;
            if name.starts_with(PREFIX) {
                let raw = begin.get(..begin.len() - reader.0.len())?;
                vocabulary.keys.push((name, Value::Raw(raw.to_vec())));
            }
        }
        (!vocabulary.tokens.is_empty()).then_some(vocabulary)
    }

    /// The tokens that are small letters, with or without a blank before them, by id: a stream shows every one of them.
    pub(in crate::bench) fn visible(&self) -> HashSet<u32> {
        let is_visible = |token: &str| {
            let word = token.strip_prefix(BLANKS).unwrap_or(token);
            !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase())
        };
        (0..).zip(&self.tokens).filter(|(_, token)| is_visible(token)).map(|(id, _)| id).collect()
    }
}

impl Reader<'_> {
    fn take(&mut self, n_bytes: usize) -> Option<&[u8]> {
        let (taken, rest) = self.0.split_at_checked(n_bytes)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<String> {
        let length = usize::try_from(self.u64()?).ok()?;
        String::from_utf8(self.take(length)?.to_vec()).ok()
    }

    /// An array of texts, from its element type on.
    fn texts(&mut self) -> Option<Vec<String>> {
        let (kind, length) = (self.u32()?, self.u64()?);
        if kind != TEXT {
            return None;
        }
        (0..length).map(|_| self.text()).collect()
    }

    /// Skips a value of this type; an array holds no arrays.
    fn skip(&mut self, kind: u32) -> Option<()> {
        if kind != ARRAY {
            return self.skip_one(kind);
        }
        let (element, length) = (self.u32()?, self.u64()?);
        (0..length).try_for_each(|_| self.skip_one(element))
    }

    fn skip_one(&mut self, kind: u32) -> Option<()> {
        // By the numbers of the format's own list of types.
        let n_bytes = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            10..=12 => 8,
            TEXT => usize::try_from(self.u64()?).ok()?,
            _ => return None,
        };
        self.take(n_bytes).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::gguf;

    #[test]
    fn keys_of_the_tokenizer_are_taken_as_they_are() {
        let texts = |texts: &[&str]| Value::Texts(texts.iter().map(ToString::to_string).collect());
        let keys = [
            ("general.architecture", Value::Text("llama".into())),
            ("tokenizer.ggml.model", Value::Text("gpt2".into())),
            (TOKENS, texts(&["ab", "Ġcd", "Ġ", "A", "▁x"])),
            ("tokenizer.ggml.token_type", Value::Integers(vec![1; 5])),
            ("tokenizer.ggml.add_bos_token", Value::Bool(true)),
        ];
        let keys = keys.map(|(name, value)| (name.to_owned(), value));
        let mut file = Vec::new();
        gguf::write(&mut file, &keys, &[], |_, _| {}).unwrap();
        let read = FileVocabulary::parse(&file).unwrap();
        assert_eq!(read.visible(), HashSet::from([0, 1, 4]));
        // Written again they are the same bytes.
        let mut again = Vec::new();
        gguf::write(&mut again, &read.keys, &[], |_, _| {}).unwrap();
        let mut without = Vec::new();
        gguf::write(&mut without, &keys[1..], &[], |_, _| {}).unwrap();
        assert_eq!(again, without);
        assert!(FileVocabulary::parse(&file[..40]).is_none());
        assert!(FileVocabulary::parse(b"GGML").is_none());
    }
}
