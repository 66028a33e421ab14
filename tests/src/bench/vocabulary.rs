//! A byte-level vocabulary as GPT-2's, made up: the 256 bytes, then pairs, triples and fours of letters with the merges
//! that make them, then one control token.

mod file;

use std::collections::HashSet;

use serde_json::{Value as Json, json};

pub(super) use self::file::FileVocabulary;
use super::gguf::Value;

/// The name of the one control token.
const END: &str = "<|end|>";
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const LETTERS: std::ops::RangeInclusive<char> = 'a'..='z';

const CHAT_TEMPLATE: &str = "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}\
                             {% if add_generation_prompt %}assistant:{% endif %}";

/// Tokens by id, and the merges in their order.
pub(super) struct Vocabulary {
    tokens: Vec<String>,
    merges: Vec<String>,
}

impl Vocabulary {
    /// A vocabulary of `size` tokens: at least the bytes and the control token, at most all pairs, triples and fours too.
    pub(super) fn new(size: usize) -> Self {
        let mut tokens: Vec<String> = byte_names().into_iter().map(String::from).collect();
        let mut merges = Vec::new();
        let pairs = LETTERS.flat_map(|a| LETTERS.map(move |b| (a.to_string(), b)));
        let pairs: Vec<(String, char)> = pairs.collect();
        let triples: Vec<(String, char)> = pairs.iter().flat_map(longer).collect();
        let fours = triples.iter().flat_map(longer);
        let all = pairs.iter().chain(&triples).cloned().chain(fours);
        for (left, right) in all.take(size - tokens.len() - 1) {
            tokens.push(format!("{left}{right}"));
            merges.push(format!("{left} {right}"));
        }
        tokens.push(END.to_owned());
        Self { tokens, merges }
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    /// The tokens that are letters, by id: each is whole text by itself, so a stream shows every one of them.
    pub(super) fn visible(&self) -> HashSet<u32> {
        let is_visible = |token: &String| token.chars().all(|c| LETTERS.contains(&c));
        (0..).zip(&self.tokens).filter(|(_, token)| is_visible(token)).map(|(id, _)| id).collect()
    }

    /// The same as `tokenizer.json`.
    pub(super) fn tokenizer(&self) -> Json {
        let ids: serde_json::Map<String, Json> =
            self.tokens.iter().zip(0..).map(|(token, id)| (token.clone(), json!(id))).collect();
        json!({
            "version": "1.0",
            "added_tokens": [{"id": self.len() - 1, "content": END, "special": true, "single_word": false,
                "lstrip": false, "rstrip": false, "normalized": false}],
            "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
            "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
            "model": {"type": "BPE", "vocab": ids, "merges": self.merges},
        })
    }

    /// The keys that llama.cpp reads a vocabulary from.
    pub(super) fn keys(&self) -> Vec<(String, Value)> {
        let end = self.len() as u32 - 1;
        let types = self.tokens.iter().map(|token| if token == END { CONTROL } else { NORMAL }).collect();
        let keys = [
            ("tokenizer.ggml.model", Value::Text("gpt2".into())),
            ("tokenizer.ggml.pre", Value::Text("gpt-2".into())),
            ("tokenizer.ggml.tokens", Value::Texts(self.tokens.clone())),
            ("tokenizer.ggml.token_type", Value::Integers(types)),
            ("tokenizer.ggml.merges", Value::Texts(self.merges.clone())),
            ("tokenizer.ggml.bos_token_id", Value::U32(end)),
            ("tokenizer.ggml.eos_token_id", Value::U32(end)),
            ("tokenizer.ggml.add_bos_token", Value::Bool(false)),
            ("tokenizer.chat_template", Value::Text(CHAT_TEMPLATE.into())),
        ];
        keys.map(|(name, value)| (name.to_owned(), value)).into()
    }
}

/// A letter more than a token and the letter behind it.
fn longer((left, right): &(String, char)) -> impl Iterator<Item = (String, char)> + use<> {
    let left = format!("{left}{right}");
    LETTERS.map(move |right| (left.clone(), right))
}

/// The character that stands for each byte: itself where it prints, else one from U+0100 on, in order.
pub(super) fn byte_names() -> Vec<char> {
    let prints = |byte: u8| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut others = '\u{100}'..;
    let mut name = |byte: u8| if prints(byte) { Some(char::from(byte)) } else { others.next() };
    (0..=u8::MAX).filter_map(&mut name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_distinct_and_made_of_earlier_ones() {
        let vocabulary = Vocabulary::new(2000);
        assert_eq!(vocabulary.len(), 2000);
        let names: HashSet<&String> = vocabulary.tokens.iter().collect();
        assert_eq!(names.len(), 2000);
        for (idx, merge) in vocabulary.merges.iter().enumerate() {
            let (left, right) = merge.split_once(' ').unwrap();
            let earlier = &vocabulary.tokens[..256 + idx];
            assert!(earlier.iter().any(|token| token == left) && earlier.iter().any(|token| token == right));
            assert_eq!(vocabulary.tokens[256 + idx], format!("{left}{right}"));
        }
    }

    #[test]
    fn bytes_have_the_names_that_gpt_2_gave_them() {
        let names = byte_names();
        assert_eq!((names.len(), names[0], names[32], names[97], names[173]), (256, 'Ā', 'Ġ', 'a', 'Ń'));
    }
}
