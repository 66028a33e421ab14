//! What the JSON files of a folder say of a model: `config.json` as `transformers` writes it, `genai_config.json` as
//! onnxruntime-genai does, and what belongs to tokenizers and sentence-transformers.
//!
//! The names of settings differ between families and are tried in order. Little is required: what is absent is 0, and
//! what is there is held to the same bounds as in a GGUF header.

mod keys;
mod number;
mod shape;
#[cfg(test)]
mod tests;

use super::{Metadata, Task, bounds, task};
use crate::{
    broken::Broken,
    settings::{Setting, Settings},
};
use number::Numbers;

/// The settings of one folder.
#[derive(Debug, Clone, Default)]
pub(crate) struct Config {
    /// `config.json`.
    pub(crate) model: Settings,
    /// `genai_config.json`.
    pub(crate) genai: Settings,
    /// `tokenizer_config.json`.
    pub(crate) tokenizer: Settings,
    /// `sentence_bert_config.json`.
    pub(crate) sentence: Settings,
    /// `chat_template.jinja`.
    pub(crate) template: Option<String>,
    /// `chat_template.json`.
    pub(crate) templates: Settings,
    /// Whether there are sentence-transformers' own files.
    pub(crate) pools: bool,
}

/// What a folder's weights say, whatever format they have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Weights {
    /// How they are stored, if the files say.
    pub(crate) quantization: Option<String>,
    pub(crate) parameters: u64,
    pub(crate) bytes: u64,
    /// How many tensors there are, if the files say.
    pub(crate) tensors: Option<u64>,
    /// Whether what they compute is no text.
    pub(crate) embeds: bool,
    /// Whether they compute a few numbers for each text.
    pub(crate) ranks: bool,
}

/// How weights are quantized, by the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quantization {
    /// Its name for people.
    pub(crate) name: String,
    /// Bits of a weight.
    pub(crate) bits: Option<u64>,
}

/// Objects within `config.json` that hold the settings of a multimodal model's decoder.
const NESTED: [&str; 3] = ["text_config", "llm_config", "language_config"];
/// Types of models whose positions start behind those of two special tokens.
const OFFSET_POSITIONS: [&str; 6] =
    ["camembert", "mpnet", "roberta", "xlm-roberta", "xlm-roberta-flash", "xlm-roberta-xl"];
/// What a tokenizer says that has no limit is a number with thirty digits.
const LONGEST_TOKENIZER_CONTEXT: f64 = 1e9;

impl Config {
    /// Whether the settings are a model's, rather than those of anything else that is kept in such a file.
    pub(crate) fn is_model(&self) -> bool {
        self.model_type().is_some() || !self.architectures().is_empty()
    }

    /// The file name of the graph that `genai_config.json` names.
    pub(crate) fn decoder_file(&self) -> Option<&str> {
        self.genai.object("model")?.object("decoder")?.text("filename")
    }

    /// How the weights are quantized, if the settings say.
    pub(crate) fn quantization(&self) -> Option<Quantization> {
        if let Some(mlx) = self.model.object("quantization") {
            return Some(Quantization::new("MLX", bits(mlx)));
        }
        let settings = self.model.object("quantization_config")?;
        let bits = bits(settings).or_else(|| {
            let flags = [("load_in_4bit", 4), ("load_in_8bit", 8)];
            flags.iter().find(|(flag, _)| settings.is_true(flag)).map(|(_, bits)| *bits)
        });
        let method = settings.text("quant_method").filter(|name| is_plain(name))?;
        Some(Quantization::new(&method.to_uppercase(), bits))
    }

    /// The type that weights have whose files do not say, by the usual names.
    pub(crate) fn dtype(&self) -> Option<&'static str> {
        let nested = NESTED.iter().filter_map(|key| self.model.object(key));
        let mut named = std::iter::once(&self.model)
            .chain(nested)
            .filter_map(|settings| settings.text("dtype").or_else(|| settings.text("torch_dtype")));
        match named.next()?.trim_start_matches("torch.") {
            "float32" => Some("F32"),
            "float16" => Some("F16"),
            "bfloat16" => Some("BF16"),
            _ => None,
        }
    }

    fn model_type(&self) -> Option<&str> {
        let genai = || self.genai.object("model").and_then(|model| model.text("type"));
        self.model.text("model_type").or_else(genai).filter(|name| !name.is_empty())
    }

    fn architectures(&self) -> Vec<&str> {
        self.model.texts("architectures")
    }

    fn task(&self, weights: &Weights) -> Task {
        if self.pools || weights.embeds {
            return Task::Embed;
        }
        if weights.ranks {
            return Task::Rerank;
        }
        task::of_config(self.model_type().unwrap_or_default(), &self.architectures())
    }

    /// The objects that may hold a number, the most specific first.
    fn numbers(&self) -> Numbers<'_> {
        let nested = NESTED.iter().filter_map(|key| self.model.object(key));
        let genai = self.genai.object("model");
        let decoder = genai.and_then(|model| model.object("decoder"));
        Numbers::new(
            nested
                .chain([&self.model])
                .map(|settings| ("config.json", settings))
                .chain(decoder.into_iter().chain(genai).map(|settings| ("genai_config.json", settings))),
        )
    }

    /// Tokens of context: what the model has positions for, and for one that takes whole texts what its makers cut them to.
    fn context_tokens(&self, numbers: &Numbers, task: Task) -> Result<u32, Broken> {
        let names = [
            "max_position_embeddings",
            "n_positions",
            "max_seq_len",
            "max_sequence_length",
            "seq_length",
            "n_ctx",
            "context_length",
            "model_max_length",
        ];
        let mut context = numbers.get(&names, 0..=u64::from(u32::MAX), "0 to 4294967295")?.unwrap_or(0);
        if self.model_type().is_some_and(|name| OFFSET_POSITIONS.contains(&name)) {
            context = context.saturating_sub(2);
        }
        let claims = [&self.sentence, &self.tokenizer].map(|settings| {
            let claim = settings.get("max_seq_length").or_else(|| settings.get("model_max_length"));
            match claim {
                Some(&Setting::Number(n)) if (1.0..LONGEST_TOKENIZER_CONTEXT).contains(&n) => Some(n as u32),
                _ => None,
            }
        });
        if matches!(task, Task::Embed | Task::Rerank) || context == 0 {
            let shortest = claims.into_iter().flatten().chain((context > 0).then_some(context)).min();
            context = shortest.unwrap_or(0);
        }
        Ok(context)
    }

    /// The template in a file of its own, or that in the tokenizer's settings.
    fn chat_template(&self) -> Option<String> {
        let templates = || [&self.templates, &self.tokenizer].into_iter().find_map(template);
        self.template.clone().or_else(templates)
    }
}

impl Quantization {
    fn new(method: &str, bits: Option<u64>) -> Self {
        let name = bits.map_or_else(|| method.to_owned(), |bits| format!("{method} {bits}-bit"));
        Self { name, bits }
    }
}

/// The only template, the one named `default`, or the first.
fn template(settings: &Settings) -> Option<String> {
    let text = match settings.get("chat_template")? {
        Setting::Text(template) => Some(template.as_str()),
        Setting::List(templates) => {
            let objects: Vec<&Settings> = templates.iter().filter_map(Setting::object).collect();
            let default = objects.iter().find(|template| template.text("name") == Some("default"));
            default.or(objects.first())?.text("template")
        }
        _ => None,
    };
    text.map(str::to_owned)
}

fn bits(settings: &Settings) -> Option<u64> {
    let bits = settings.get("bits").or_else(|| settings.get("w_bit"))?;
    match bits {
        &Setting::Number(bits) if (1.0..=32.0).contains(&bits) => Some(bits as u64),
        _ => None,
    }
}

/// Whether a name is one that may become part of messages.
fn is_plain(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
}
