//! What the JSON files of a folder say of a model: `config.json` as `transformers` writes it, `genai_config.json` as
//! onnxruntime-genai does, and what belongs to tokenizers and sentence-transformers.
//!
//! The names of settings differ between families and are tried in order. Little is required: what is absent is 0, and
//! what is there is held to the same bounds as in a GGUF header.

mod number;
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
    /// The keys of `config.json` and `genai_config.json` that are read.
    pub(crate) const KEYS: [&str; 58] = [
        "architectures",
        "attention_head_dim",
        "bits",
        "context_length",
        "d_kv",
        "d_model",
        "decoder",
        "dim",
        "dtype",
        "filename",
        "head_dim",
        "head_size",
        "hidden_dim",
        "hidden_size",
        "kv_channels",
        "language_config",
        "llm_config",
        "load_in_4bit",
        "load_in_8bit",
        "max_position_embeddings",
        "max_seq_len",
        "max_sequence_length",
        "mode",
        "model",
        "model_max_length",
        "model_type",
        "multi_query",
        "n_ctx",
        "n_embd",
        "n_head",
        "n_head_kv",
        "n_heads",
        "n_kv_heads",
        "n_layer",
        "n_layers",
        "n_positions",
        "new_decoder_architecture",
        "num_attention_heads",
        "num_decoder_layers",
        "num_heads",
        "num_hidden_layers",
        "num_key_value_heads",
        "num_kv_heads",
        "num_layers",
        "padded_vocab_size",
        "qk_nope_head_dim",
        "qk_rope_head_dim",
        "quant_method",
        "quantization",
        "quantization_config",
        "seq_length",
        "text_config",
        "torch_dtype",
        "type",
        "v_head_dim",
        "vocab_size",
        "vocabulary_size",
        "w_bit",
    ];
    /// The keys of `tokenizer_config.json` that are read.
    pub(crate) const TOKENIZER_KEYS: [&str; 4] = ["chat_template", "model_max_length", "name", "template"];
    /// The keys of `sentence_bert_config.json` that are read.
    pub(crate) const SENTENCE_KEYS: [&str; 1] = ["max_seq_length"];

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

    /// Tokens of context: what the model has positions for, and for one that embeds what its makers cut texts to.
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
        if task == Task::Embed || context == 0 {
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

impl Metadata {
    /// Takes the metadata from the settings of a model's folder and from what its weights say.
    pub(crate) fn from_config(config: &Config, weights: &Weights) -> Result<Self, Broken> {
        let task = config.task(weights);
        let numbers = config.numbers();
        let get = |names: &[&str], limit: u64, expected| numbers.get(names, 0..=limit, expected);
        let layers = ["num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_decoder_layers"];
        let layers = get(&layers, bounds::LAYERS, "0 to 10000")?.unwrap_or(0);
        if let Some(tensors) = weights.tensors.filter(|&tensors| u64::from(layers) > tensors) {
            return Err(Broken::LayersWithoutTensors { layers, tensors });
        }
        let heads = ["num_attention_heads", "n_head", "n_heads", "num_heads"];
        let heads = get(&heads, bounds::HEADS, "0 to 65536")?.unwrap_or(0);
        let width = ["hidden_size", "n_embd", "d_model", "dim", "hidden_dim"];
        let embedding_length = get(&width, bounds::LENGTH, "0 to 16777216")?.unwrap_or(0);
        let (key_length, value_length) = head_lengths(&numbers, embedding_length, heads)?;
        let vocabulary = ["vocab_size", "padded_vocab_size", "vocabulary_size"];
        Ok(Self {
            task,
            architecture: architecture(config)?,
            name: None,
            description: None,
            quantization: weights.quantization.clone().unwrap_or_else(|| "unknown".to_owned()),
            parameters: weights.parameters,
            tensor_bytes: weights.bytes,
            context_tokens: config.context_tokens(&numbers, task)?,
            layers,
            heads,
            kv_heads: kv_heads(config, &numbers, heads)?,
            key_length,
            value_length,
            embedding_length,
            vocabulary: get(&vocabulary, bounds::VOCABULARY, "0 to 67108864")?.filter(|&tokens| tokens > 0),
            chat_template: config.chat_template(),
        })
    }
}

fn architecture(config: &Config) -> Result<String, Broken> {
    let name = config.model_type().or_else(|| config.architectures().first().copied()).unwrap_or_default();
    if is_plain(name) {
        return Ok(name.to_owned());
    }
    Err(Broken::WrongType { key: "model_type".to_owned(), expected: "a short name" })
}

fn kv_heads(config: &Config, numbers: &Numbers, heads: u32) -> Result<u32, Broken> {
    // Falcon and its like had one head of keys and values before they could have several.
    if config.model.is_true("multi_query") && !config.model.is_true("new_decoder_architecture") {
        return Ok(heads.min(1));
    }
    let names = ["num_key_value_heads", "num_kv_heads", "n_head_kv", "n_kv_heads"];
    let limit = if heads == 0 { bounds::HEADS } else { u64::from(heads) };
    let expected = "no more than there are attention heads";
    Ok(numbers.get(&names, 0..=limit, expected)?.filter(|&kv_heads| kv_heads > 0).unwrap_or(heads))
}

/// Elements of a key and of a value of one head.
fn head_lengths(numbers: &Numbers, embedding_length: u32, heads: u32) -> Result<(u32, u32), Broken> {
    let get = |names: &[&str]| {
        let length = numbers.get(names, 0..=bounds::LENGTH, "0 to 16777216")?;
        Ok::<_, Broken>(length.filter(|&length| length > 0))
    };
    let both = get(&["head_dim", "head_size", "attention_head_dim", "kv_channels", "d_kv"])?;
    let both = both.unwrap_or_else(|| embedding_length.checked_div(heads).unwrap_or(0));
    // DeepSeek's keys are a part with positions and one without.
    let key = match (get(&["qk_nope_head_dim"])?, get(&["qk_rope_head_dim"])?) {
        (Some(plain), Some(rotated)) => plain + rotated,
        _ => both,
    };
    Ok((key, get(&["v_head_dim"])?.unwrap_or(both)))
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
