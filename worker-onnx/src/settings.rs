//! What `config.json` and `genai_config.json` say of a model, where its graph leaves it open.

use impetus_runtime::huggingface::Folder;
use serde_json::{Value, json};

use crate::error::ModelError;

const CONFIG: &str = "config.json";
const GENAI: &str = "genai_config.json";

/// The settings of one model. Of two files that say the same thing `config.json` is believed.
#[derive(Debug)]
pub(crate) struct Settings {
    config: Value,
    genai: Value,
    /// Which file is named where a setting is missing.
    file: &'static str,
}

impl Settings {
    /// Reads the folder's settings; `genai` is what `genai_config.json` says.
    pub(crate) fn read(folder: &Folder, genai: Option<&Value>) -> Result<Self, ModelError> {
        let config = folder.json(CONFIG)?;
        let file = if config.is_none() && genai.is_some() { GENAI } else { CONFIG };
        Ok(Self { config: config.unwrap_or_default(), genai: genai.cloned().unwrap_or_default(), file })
    }

    /// The settings as `config.json` has them, for the tokenizer.
    pub(crate) fn config(&self) -> Value {
        if !self.config.is_null() {
            return self.config.clone();
        }
        let model = &self.genai["model"];
        json!({"eos_token_id": model["eos_token_id"], "bos_token_id": model["bos_token_id"]})
    }

    /// The architecture's name.
    pub(crate) fn architecture(&self) -> String {
        let name = self.config["model_type"].as_str().or_else(|| self.genai["model"]["type"].as_str());
        name.unwrap_or_default().to_owned()
    }

    /// Tokens of the vocabulary, where the files say it.
    pub(crate) fn vocabulary(&self) -> Option<usize> {
        self.number(&["vocab_size", "n_vocab"], &["vocab_size"])
    }

    /// Tokens of context that the model was trained on.
    pub(crate) fn context(&self) -> Result<u32, ModelError> {
        let names = ["max_position_embeddings", "n_positions", "max_sequence_length", "seq_length", "n_ctx"];
        let context = self.number(&names, &["context_length"]);
        let context = context.and_then(|n| u32::try_from(n).ok()).filter(|&n| n > 0);
        context.ok_or_else(|| self.missing("max_position_embeddings"))
    }

    /// Of an embedding model: positions that no token can have, since padding takes those before the first.
    /// RoBERTa and its kin count from behind the padding token's id.
    pub(crate) fn skipped_positions(&self) -> u32 {
        let counts_from_padding = ["roberta", "camembert", "xlm", "mpnet", "longformer"];
        let architecture = self.architecture();
        if !counts_from_padding.iter().any(|name| architecture.contains(name)) {
            return 0;
        }
        let padding = self.config["pad_token_id"].as_u64().and_then(|id| u32::try_from(id).ok());
        padding.unwrap_or(1).saturating_add(1)
    }

    /// Heads of keys and values.
    pub(crate) fn kv_heads(&self) -> Result<usize, ModelError> {
        let names = ["num_key_value_heads", "num_attention_heads", "n_head"];
        self.number(&names, &["num_key_value_heads"]).ok_or_else(|| self.missing("num_key_value_heads"))
    }

    /// Numbers of one head.
    pub(crate) fn head_size(&self) -> Result<usize, ModelError> {
        if let Some(size) = self.number(&["head_dim"], &["head_size"]) {
            return Ok(size);
        }
        let width = self.number(&["hidden_size", "n_embd"], &["hidden_size"]);
        let heads = self.number(&["num_attention_heads", "n_head"], &["num_attention_heads"]);
        let size = width.zip(heads).and_then(|(width, heads)| width.checked_div(heads));
        size.filter(|&size| size > 0).ok_or_else(|| self.missing("head_dim"))
    }

    /// The error for a setting that contradicts the graph.
    pub(crate) fn contradicts(&self, field: &'static str, problem: String) -> ModelError {
        ModelError::Config { file: self.file, field, problem }
    }

    fn number(&self, names: &[&str], genai_names: &[&str]) -> Option<usize> {
        let find = |place: &Value, names: &[&str]| {
            let number = |name: &&str| place[*name].as_u64().and_then(|n| usize::try_from(n).ok());
            names.iter().find_map(number)
        };
        let model = &self.genai["model"];
        find(&self.config, names)
            .or_else(|| find(&self.config["text_config"], names))
            .or_else(|| find(&model["decoder"], genai_names))
            .or_else(|| find(model, genai_names))
    }

    fn missing(&self, field: &'static str) -> ModelError {
        ModelError::Config { file: self.file, field, problem: "is missing".into() }
    }
}
