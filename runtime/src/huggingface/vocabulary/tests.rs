use crate::engine::{TokenId, Vocabulary};
use serde_json::{Value, json};

use super::HuggingFaceVocabulary;
use crate::huggingface::{Folder, FolderError};

/// A vocabulary as SentencePiece has it, with a token that begins every text.
fn marked() -> Value {
    json!({
        "version": "1.0",
        "added_tokens": [
            {"id": 0, "content": "<s>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false},
            {"id": 1, "content": "</s>", "special": true, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false},
            {"id": 6, "content": "<tool>", "special": false, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false},
        ],
        "normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        "post_processor": {"type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 0}}],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}}},
        "decoder": {"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]},
        "model": {"type": "BPE", "byte_fallback": true, "merges": [],
            "vocab": {"<s>": 0, "</s>": 1, "<0x41>": 2, "a": 3, "▁": 4, "<0xC3>": 5}}
    })
}

fn load(
    tokenizer: &Value,
    files: &[(&str, Value)],
    size: usize,
) -> Result<HuggingFaceVocabulary, FolderError> {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    for (name, value) in files {
        std::fs::write(place.path().join(name), value.to_string()).unwrap();
    }
    let config = json!({"bos_token_id": 0, "eos_token_id": 1});
    HuggingFaceVocabulary::load(&Folder::open(place.path(), place.path()).unwrap(), &config, size)
}

fn ids(vocabulary: &HuggingFaceVocabulary, text: &str, special: bool) -> Vec<u32> {
    vocabulary.encode(text, special).unwrap().into_iter().map(|token| token.0).collect()
}

#[test]
fn texts_begin_once_and_control_tokens_are_text_unless_asked_for() {
    let vocabulary = load(&marked(), &[], 8).unwrap();
    assert_eq!(ids(&vocabulary, "a a", true), [0, 3, 4, 3]);
    assert_eq!(ids(&vocabulary, "<s>a", true), [0, 3]);
    assert_eq!(ids(&vocabulary, "a</s>", true), [0, 3, 1]);
    assert!(!ids(&vocabulary, "a</s>", false).contains(&1));
    let bare = |text: &str, special: bool| vocabulary.encode_bare(text, special).unwrap();
    assert_eq!(bare("a a", true), [3, 4, 3].map(TokenId));
    assert_eq!(bare("a</s>", true), [3, 1].map(TokenId));
    assert!(!bare("a</s>", false).contains(&TokenId(1)));
    assert_eq!((vocabulary.begin_text(), vocabulary.end_text()), ("<s>", "</s>"));

    let without = load(&marked(), &[("tokenizer_config.json", json!({"add_bos_token": false}))], 8).unwrap();
    assert_eq!(ids(&without, "a", true), [3]);
}

#[test]
fn pieces_are_bytes_and_control_tokens_have_none() {
    let vocabulary = load(&marked(), &[], 8).unwrap();
    let check = |id: u32, expected: &[u8]| assert_eq!(vocabulary.piece(TokenId(id)), expected, "{id}");
    check(0, b"");
    check(2, b"A");
    check(3, b"a");
    check(4, b" ");
    check(5, b"\xc3");
    check(6, b"<tool>");
    check(7, b"");
    check(8, b"");
    assert_eq!((vocabulary.size(), vocabulary.longest_piece_bytes()), (8, 6));
    let names: Vec<_> = (0..9).filter_map(|id| vocabulary.control_name(TokenId(id))).collect();
    assert_eq!(names, ["<s>", "</s>", "<tool>"]);
}

#[test]
fn ends_are_gathered_from_all_files() {
    let check = |files: &[(&str, Value)], expected: &[u32]| {
        let vocabulary = load(&marked(), files, 8).unwrap();
        let ends: Vec<_> = (0..8).filter(|&id| vocabulary.is_end(TokenId(id))).collect();
        assert_eq!(ends, expected, "{files:?}");
    };
    check(&[], &[1]);
    check(&[("generation_config.json", json!({"eos_token_id": [3, 4]}))], &[1, 3, 4]);
    check(&[("tokenizer_config.json", json!({"eos_token": {"content": "<tool>"}}))], &[1, 6]);
}

#[test]
fn a_tokenizer_that_does_not_fit_is_refused() {
    let check = |tokenizer: &Value, size: usize, expected: &[&str]| {
        let Err(error) = load(tokenizer, &[], size) else { panic!("{tokenizer} was accepted") };
        let error = error.to_string();
        assert!(expected.iter().all(|word| error.contains(word)), "{error}");
    };
    check(&marked(), 5, &["6 tokens", "vocab_size", "5"]);
    check(&json!({"model": 3}), 8, &["tokenizer.json", "damaged"]);
    // Tokens that were only added may be more than the model has; a text that spells one is refused.
    let vocabulary = load(&marked(), &[], 6).unwrap();
    assert!(vocabulary.encode("<tool>", true).is_err());
}
