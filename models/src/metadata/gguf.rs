//! What a GGUF header says of a model.
//!
//! The checks are those that keep an engine from aborting on a crafted file; the keys are listed in
//! <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

mod number;
#[cfg(test)]
mod tests;

use super::{Metadata, bounds, task};
use crate::{
    broken::Broken,
    gguf::{Header, Tensors, Value, quantization_of_file_type},
};
use number::Numbers;

const CHAT_TEMPLATE_KEY: &str = "tokenizer.chat_template";
const TOKENS_KEY: &str = "tokenizer.ggml.tokens";
const SHOWN_CHARACTERS: usize = 1_024;

impl Metadata {
    /// Takes the metadata from the header of a model's first or only file; `tensors` are those of all its files.
    pub fn from_header(header: &Header, tensors: &Tensors) -> Result<Self, Broken> {
        let architecture = architecture(header)?;
        companion(header, architecture)?;
        if tensors.count == 0 {
            return Err(Broken::NoTensors);
        }
        let numbers = Numbers::new(header, architecture);
        let layers = numbers.required("block_count", 1..=bounds::LAYERS, "1 to 10000")?;
        if u64::from(layers) > tensors.count {
            return Err(Broken::LayersWithoutTensors { layers, tensors: tensors.count });
        }
        let context_tokens =
            numbers.required("context_length", 1..=u64::from(u32::MAX), "1 to 4294967295")?;
        let embedding_length = numbers.required("embedding_length", 1..=bounds::LENGTH, "1 to 16777216")?;
        let heads = numbers.largest("attention.head_count", 0..=bounds::HEADS, "0 to 65536")?.unwrap_or(0);
        let kv_heads = numbers
            .largest(
                "attention.head_count_kv",
                0..=u64::from(heads),
                "no more than \"attention.head_count\"",
            )?
            .unwrap_or(heads);
        let head_length = embedding_length.checked_div(heads).unwrap_or(0);
        let length = |key| numbers.largest(key, 0..=bounds::LENGTH, "0 to 16777216");
        let key_length = length("attention.key_length")?.unwrap_or(head_length);
        let value_length = length("attention.value_length")?.unwrap_or(head_length);
        let feed_forward_length = feed_forward_length(&numbers, experts_of_token(&numbers)?)?;
        let all_kv_heads = numbers.sum("attention.head_count_kv", layers);
        let pooling = numbers.largest("pooling_type", 0..=u64::from(u32::MAX), "0 to 4294967295")?;
        numbers.epsilon("attention.layer_norm_rms_epsilon")?;
        numbers.epsilon("attention.layer_norm_epsilon")?;
        numbers.epsilon("attention.group_norm_epsilon")?;
        numbers.finite("rope.freq_base")?;
        Ok(Self {
            task: task::of_gguf(architecture, pooling),
            architecture: architecture.to_owned(),
            name: shown(header, "general.name"),
            description: shown(header, "general.description"),
            quantization: quantization(header, tensors),
            parameters: tensors.elements,
            tensor_bytes: tensors.bytes,
            repacked_bytes: tensors.repacked_bytes,
            context_tokens,
            layers,
            heads,
            kv_heads,
            all_kv_heads: all_kv_heads.unwrap_or_else(|| u64::from(kv_heads) * u64::from(layers)),
            key_length,
            value_length,
            embedding_length,
            feed_forward_length,
            vocabulary: vocabulary(header, &numbers)?,
            chat_template: chat_template(header)?,
        })
    }
}

fn architecture(header: &Header) -> Result<&str, Broken> {
    let key = "general.architecture";
    let value = header.values.get(key).ok_or_else(|| Broken::MissingKey { key: key.to_owned() })?;
    // It becomes the prefix of keys and part of messages.
    let plain = |text: &&String| {
        (1..=64).contains(&text.len())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
    };
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
    .filter(plain)
    .map(String::as_str)
    .ok_or_else(|| Broken::WrongType { key: key.to_owned(), expected: "a short name" })
}

/// Refuses projectors, adapters and the like.
fn companion(header: &Header, architecture: &str) -> Result<(), Broken> {
    let kind = header.text("general.type").unwrap_or("model");
    let kind = if architecture == "clip" { architecture } else { kind };
    match kind {
        "adapter" | "mmproj" | "clip" | "imatrix" | "vocab" => {
            Err(Broken::Companion { kind: kind.to_owned() })
        }
        _ => Ok(()),
    }
}

/// How many experts a token goes through; 0 without experts.
fn experts_of_token(numbers: &Numbers) -> Result<u32, Broken> {
    let Some(experts) = numbers.largest("expert_count", 0..=bounds::EXPERTS, "0 to 65536")? else {
        return Ok(0);
    };
    let least = u64::from(experts > 0);
    let expected = "1 to \"expert_count\", or 0 without experts,";
    Ok(numbers.largest("expert_used_count", least..=u64::from(experts), expected)?.unwrap_or(0))
}

fn feed_forward_length(numbers: &Numbers, experts: u32) -> Result<u32, Broken> {
    let length = |key| numbers.largest(key, 0..=bounds::LENGTH, "0 to 16777216");
    let dense = length("feed_forward_length")?.unwrap_or(0);
    let expert = length("expert_feed_forward_length")?.unwrap_or(if experts > 0 { dense } else { 0 });
    let shared = length("expert_shared_feed_forward_length")?.unwrap_or(0);
    Ok(dense.max(expert.saturating_mul(experts).saturating_add(shared)))
}

fn quantization(header: &Header, tensors: &Tensors) -> String {
    let file_type = header.values.get("general.file_type").and_then(Value::unsigned);
    let named = file_type.and_then(quantization_of_file_type);
    let dominant = || tensors.dominant_type().map_or("unknown", |kind| kind.name());
    named.unwrap_or_else(dominant).to_owned()
}

fn vocabulary(header: &Header, numbers: &Numbers) -> Result<Option<u32>, Broken> {
    match header.values.get(TOKENS_KEY).and_then(Value::count) {
        Some(count) => number::checked(TOKENS_KEY, count, 1..=bounds::VOCABULARY, "1 to 67108864").map(Some),
        None => numbers.largest("vocab_size", 1..=bounds::VOCABULARY, "1 to 67108864"),
    }
}

fn chat_template(header: &Header) -> Result<Option<String>, Broken> {
    match header.values.get(CHAT_TEMPLATE_KEY) {
        None => Ok(None),
        Some(Value::Text(text)) => Ok(Some(text.clone())),
        Some(_) => {
            Err(Broken::WrongType { key: CHAT_TEMPLATE_KEY.to_owned(), expected: "a text of at most 1 MiB" })
        }
    }
}

/// A text for people: bounded, on one line, without control characters.
fn shown(header: &Header, key: &str) -> Option<String> {
    let text = header.text(key)?;
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let line: String = line.trim().chars().take(SHOWN_CHARACTERS).collect();
    (!line.is_empty()).then_some(line)
}
