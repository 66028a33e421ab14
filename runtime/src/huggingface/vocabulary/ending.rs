//! Which tokens begin and end texts and turns, gathered from the files that may say so.

use std::collections::BTreeSet;

use serde_json::Value;
use tokenizers::Tokenizer;

use crate::huggingface::{Folder, FolderError};

/// Control tokens that end a turn or a text in every vocabulary that has them; many files name but one of theirs.
const KNOWN_ENDS: [&str; 9] = [
    "<|im_end|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<end_of_turn>",
    "</s>",
    "<eos>",
];

/// The tokens at the edges.
#[derive(Debug, Default)]
pub(super) struct Endings {
    /// The token that the tokenizer puts before every text.
    pub(super) begin: Option<u32>,
    /// For templates; empty without one.
    pub(super) begin_text: String,
    /// For templates; empty without one.
    pub(super) end_text: String,
    pub(super) ends: BTreeSet<u32>,
}

impl Endings {
    pub(super) fn read(folder: &Folder, config: &Value, tokenizer: &Tokenizer) -> Result<Self, FolderError> {
        let generation = folder.json("generation_config.json")?.unwrap_or_default();
        let tokens = folder.json("tokenizer_config.json")?.unwrap_or_default();
        Ok(Self::of(config, &generation, &tokens, tokenizer))
    }

    fn of(config: &Value, generation: &Value, tokens: &Value, tokenizer: &Tokenizer) -> Self {
        let configs = [generation, config, &config["text_config"]];
        let mut ends = BTreeSet::new();
        for config in configs {
            ends.extend(ids(&config["eos_token_id"]));
        }
        let end_text = text(tokens, "eos_token", &configs, "eos_token_id", tokenizer);
        ends.extend(tokenizer.token_to_id(&end_text));
        for (id, token) in tokenizer.get_added_tokens_decoder() {
            if token.special && KNOWN_ENDS.contains(&token.content.as_str()) {
                ends.insert(id);
            }
        }
        let begin_text = text(tokens, "bos_token", &configs, "bos_token_id", tokenizer);
        let begin =
            tokenizer.token_to_id(&begin_text).filter(|begin| match tokens["add_bos_token"].as_bool() {
                Some(adds) => adds,
                None => is_put_before_texts(*begin, tokenizer),
            });
        Self { begin, begin_text, end_text, ends }
    }
}

/// A special token's text: what `tokenizer_config.json` says, were it nothing, or else the token with the id that
/// the other files give.
fn text(tokens: &Value, name: &str, configs: &[&Value], id_name: &str, tokenizer: &Tokenizer) -> String {
    if let Some(token) = tokens.get(name) {
        let text = token.as_str().or_else(|| token["content"].as_str());
        return text.unwrap_or_default().to_owned();
    }
    let id = configs.iter().find_map(|config| ids(&config[id_name]).next());
    id.and_then(|id| tokenizer.id_to_token(id)).unwrap_or_default()
}

/// A token id, or a list of them.
fn ids(value: &Value) -> impl Iterator<Item = u32> {
    let list = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    list.iter().filter_map(|id| id.as_u64().and_then(|id| u32::try_from(id).ok()))
}

fn is_put_before_texts(begin: u32, tokenizer: &Tokenizer) -> bool {
    tokenizer.encode_fast("a", true).is_ok_and(|encoding| encoding.get_ids().first() == Some(&begin))
}
