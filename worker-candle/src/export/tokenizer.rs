//! A byte-level BPE of a `tokenizer.json` as GGUF files express it.

use std::collections::BTreeMap;

use impetus_runtime::{
    engine::{TokenId, Vocabulary},
    huggingface::{Folder, FolderError, HuggingFaceVocabulary},
};
use serde_json::Value as Json;

use super::writer::Value;
use crate::error::ModelError;

const FILE: &str = "tokenizer.json";

/// Kinds of tokens (`llama_token_type` in llama.h).
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

/// How texts are cut before anything is merged: llama.cpp's name, and the pattern in `tokenizer.json`.
pub(super) const CUTS: [(&str, &str); 2] = [
    (
        "llama-bpe",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
    (
        "qwen2",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    ),
];

/// The keys of the tokenizer of a model with `size` rows of embeddings.
pub(super) fn values(
    folder: &Folder,
    config: &Json,
    size: usize,
) -> Result<Vec<(String, Value)>, ModelError> {
    // It reads the same files with everything that is checked on the way to serving them.
    let vocabulary = HuggingFaceVocabulary::load(folder, config, size)?;
    let source = folder.json(FILE)?.ok_or(FolderError::Absent { what: FILE })?;
    let cut = cut(&source)?;
    let model = &source["model"];
    if model["type"] != "BPE" || model["byte_fallback"] == true {
        return Err(refuse("its model is no byte-level BPE, the one kind that is written"));
    }
    // llama.cpp does that for this one alone.
    if (model["ignore_merges"] == true) != (cut == "llama-bpe") {
        return Err(refuse("`ignore_merges` is not what llama.cpp does for this way of cutting texts"));
    }
    let (tokens, kinds) = tokens(&source, size)?;
    let mut values = vec![
        ("model".to_owned(), Value::Text("gpt2".into())),
        ("pre".to_owned(), Value::Text(cut.into())),
        ("tokens".to_owned(), Value::Texts(tokens)),
        ("token_type".to_owned(), Value::I32s(kinds)),
        ("merges".to_owned(), Value::Texts(merges(model)?)),
        ("add_space_prefix".to_owned(), Value::Bool(false)),
    ];
    values.extend(edges(&vocabulary, config)?);
    Ok(values.into_iter().map(|(key, value)| (format!("tokenizer.ggml.{key}"), value)).collect())
}

/// llama.cpp's name of the way in which texts are cut.
pub(super) fn cut(source: &Json) -> Result<&'static str, ModelError> {
    let normalizer = &source["normalizer"];
    if !normalizer.is_null() && normalizer["type"] != "NFC" {
        return Err(refuse("it changes texts before it cuts them, which GGUF files cannot say"));
    }
    let before = &source["pre_tokenizer"];
    let steps = match before["type"].as_str() {
        Some("Sequence") => before["pretokenizers"].as_array().map_or(&[][..], Vec::as_slice),
        _ => std::slice::from_ref(before),
    };
    let is_bytes = |step: &Json, use_regex: bool| {
        step["type"] == "ByteLevel"
            && step["add_prefix_space"] != true
            && step["use_regex"].as_bool().unwrap_or(true) == use_regex
    };
    let named = match steps {
        [bytes] if is_bytes(bytes, true) => Some("gpt-2"),
        [split, bytes]
            if is_bytes(bytes, false) && split["behavior"] == "Isolated" && split["invert"] != true =>
        {
            let pattern = split["pattern"]["Regex"].as_str();
            CUTS.iter().find(|(_, known)| pattern == Some(known)).map(|(name, _)| *name)
        }
        _ => None,
    };
    named.ok_or_else(|| {
        refuse("it cuts texts in a way that is not known here; known are those of GPT-2, Llama 3 and Qwen 2")
    })
}

/// Every token's text and kind, by id.
fn tokens(source: &Json, size: usize) -> Result<(Vec<String>, Vec<i32>), ModelError> {
    let mut known: BTreeMap<usize, (String, i32)> = BTreeMap::new();
    let listed = source["model"]["vocab"].as_object().ok_or_else(|| refuse("it has no `vocab`"))?;
    for (token, id) in listed {
        known.insert(id_of(id, size)?, (token.clone(), NORMAL));
    }
    for added in source["added_tokens"].as_array().map_or(&[][..], Vec::as_slice) {
        // Those beyond the embeddings can never come.
        let Ok(id) = id_of(&added["id"], size) else { continue };
        let text = added["content"].as_str().ok_or_else(|| refuse("an added token has no `content`"))?;
        let kind = if added["special"] == true { CONTROL } else { USER_DEFINED };
        known.insert(id, (text.to_owned(), kind));
    }
    // Models often have more rows than tokens.
    Ok((0..size).map(|id| known.remove(&id).unwrap_or_else(|| (format!("[PAD{id}]"), UNUSED))).unzip())
}

fn id_of(id: &Json, size: usize) -> Result<usize, ModelError> {
    let id = id.as_u64().and_then(|id| usize::try_from(id).ok()).filter(|&id| id < size);
    id.ok_or_else(|| refuse("a token's id is no row of the embeddings"))
}

fn merges(model: &Json) -> Result<Vec<String>, ModelError> {
    let merges = model["merges"].as_array().ok_or_else(|| refuse("it has no `merges`"))?;
    let text = |merge: &Json| match merge.as_array().map(Vec::as_slice) {
        // A list since version 0.20 of the library, since tokens may have spaces; those of byte-level ones have none.
        Some([left, right]) => Some(format!("{} {}", left.as_str()?, right.as_str()?)),
        _ => merge.as_str().map(str::to_owned),
    };
    merges.iter().map(|merge| text(merge).ok_or_else(|| refuse("a merge is not two tokens"))).collect()
}

/// Tokens that begin and end texts and turns.
fn edges(vocabulary: &HuggingFaceVocabulary, config: &Json) -> Result<Vec<(String, Value)>, ModelError> {
    let encoded = |special: bool| {
        let text = "a";
        let tokens =
            if special { vocabulary.encode(text, false) } else { vocabulary.encode_bare(text, false) };
        tokens.map_err(|error| refuse(&error.to_string()))
    };
    let named = |text: &str| {
        let is_named = |id: &u32| !text.is_empty() && vocabulary.control_name(TokenId(*id)) == Some(text);
        (0..vocabulary.size()).find(is_named)
    };
    let id = |key: &str, id: u32| (format!("{key}_token_id"), Value::U32(id));
    let mut values =
        vec![("add_bos_token".to_owned(), Value::Bool(encoded(true)?.len() > encoded(false)?.len()))];
    let configured = |key: &str| {
        let id = config[key].as_u64().and_then(|id| u32::try_from(id).ok());
        id.filter(|&id| id < vocabulary.size())
    };
    // One that begins no text is named all the same: llama.cpp would take a token of its own choice for it.
    let begin = named(vocabulary.begin_text()).or_else(|| configured("bos_token_id"));
    values.extend(begin.map(|begin| id("bos", begin)));
    let mut ends: Vec<u32> = (0..vocabulary.size()).filter(|&id| vocabulary.is_end(TokenId(id))).collect();
    // The one that the folder names comes first.
    let end = named(vocabulary.end_text());
    ends.sort_by_key(|&id| (Some(id) != end, id));
    values.extend(["eos", "eot", "eom"].into_iter().zip(ends).map(|(key, end)| id(key, end)));
    values.extend(configured("pad_token_id").map(|padding| id("padding", padding)));
    Ok(values)
}

fn refuse(reason: &str) -> ModelError {
    ModelError::Unwritable { file: FILE, reason: reason.to_owned() }
}
