//! From settings to metadata: layers, heads, lengths and vocabulary.

use super::{Config, Metadata, Weights, bounds, is_plain, number::Numbers};
use crate::broken::Broken;

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
        let kv_heads = kv_heads(config, &numbers, heads)?;
        let vocabulary = ["vocab_size", "padded_vocab_size", "vocabulary_size"];
        Ok(Self {
            task,
            architecture: architecture(config)?,
            name: None,
            description: None,
            quantization: weights.quantization.clone().unwrap_or_else(|| "unknown".to_owned()),
            parameters: weights.parameters,
            tensor_bytes: weights.bytes,
            repacked_bytes: 0,
            context_tokens: config.context_tokens(&numbers, task)?,
            layers,
            heads,
            kv_heads,
            all_kv_heads: u64::from(kv_heads) * u64::from(layers),
            key_length,
            value_length,
            embedding_length,
            feed_forward_length: feed_forward_length(&numbers)?,
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

/// Elements inside a feed-forward network, of all experts together that a token goes through.
fn feed_forward_length(numbers: &Numbers) -> Result<u32, Broken> {
    let get = |names: &[&str]| {
        Ok::<_, Broken>(numbers.get(names, 0..=bounds::LENGTH, "0 to 16777216")?.unwrap_or(0))
    };
    let dense = get(&["intermediate_size", "n_inner", "ffn_dim", "d_ff", "ffn_hidden_size"])?;
    let expert = get(&["moe_intermediate_size"])?;
    let experts = numbers.get(
        &["num_experts_per_tok", "num_experts_per_token", "moe_topk"],
        0..=bounds::EXPERTS,
        "0 to 65536",
    )?;
    let expert = if expert == 0 { dense } else { expert };
    Ok(dense.max(expert.saturating_mul(experts.unwrap_or(0))))
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
