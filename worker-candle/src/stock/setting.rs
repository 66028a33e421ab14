//! `config.json` as candle's models read it: complete, bounded, and in the older of its two ways to write rotary
//! embeddings.

use serde_json::{Map, Value, json};

use super::family::Family;
use crate::{config::Sizes, error::ModelError};

/// Bounds what any model says of its sizes.
pub(super) fn sizes(config: &Value) -> Result<Sizes, ModelError> {
    Sizes::of(config)
}

/// The settings for a model of `family` whose sequences have up to `context_tokens`.
pub(super) fn complete(config: &Value, family: &Family, context_tokens: u32) -> Result<Value, ModelError> {
    let mut settings: Map<String, Value> = config.as_object().cloned().unwrap_or_default();
    settings.retain(|_, value| !value.is_null());
    flatten_rope(&mut settings)?;
    for (name, assumed) in family.assumed {
        let assumed: Value = (*assumed).into();
        if settings.get(*name).is_some_and(|found| *found != assumed) {
            let problem = format!("is not {assumed}, which is not supported for `{}`", family.model_type);
            return Err(ModelError::config(*name, problem));
        }
    }
    for (new, old) in family.renamed {
        if let Some(value) = settings.get(*new).cloned() {
            settings.entry(*old).or_insert(value);
        }
    }
    let heads = settings.get("num_attention_heads").cloned().unwrap_or_default();
    for (name, default) in [
        ("rope_theta", json!(10_000.0)),
        ("attention_bias", json!(false)),
        ("mlp_bias", json!(false)),
        ("tie_word_embeddings", json!(family.tied)),
        ("num_key_value_heads", heads),
        ("pad_vocab_size_multiple", json!(1)),
    ] {
        settings.entry(name).or_insert(default);
    }
    // Tables of angles are as long as this says.
    for name in ["max_position_embeddings", "max_seq_len"] {
        settings.insert(name.into(), json!(context_tokens));
    }
    Ok(Value::Object(settings))
}

/// Moves the plain rotary embedding's settings to where they were before they had an object of their own. Candle's
/// models know no other rotary embedding.
fn flatten_rope(settings: &mut Map<String, Value>) -> Result<(), ModelError> {
    for name in ["rope_parameters", "rope_scaling"] {
        let Some(rope) = settings.remove(name) else { continue };
        let kind = rope["rope_type"].as_str().or(rope["type"].as_str()).unwrap_or("default");
        if kind != "default" {
            return Err(ModelError::config(
                name,
                format!("asks for `{kind}`; only default is supported here"),
            ));
        }
        for name in ["rope_theta", "partial_rotary_factor"] {
            if let Some(value) = rope.get(name) {
                settings.insert(name.into(), value.clone());
            }
        }
    }
    Ok(())
}
