//! The parameters that are defined but not offered, by OpenAI or by servers that clients also speak to. Each is
//! accepted with the values that mean the same as leaving it out, and refused by name with any other: none is
//! ever ignored.

use std::collections::BTreeMap;

use impetus_proto::{Code, Error};
use serde_json::{Value, value::RawValue};

use super::field::{Fields, wrong_type};

/// A parameter and the values, as JSON, that ask for nothing.
pub(super) type Parameter = (&'static str, &'static [&'static str]);

/// Of both completion endpoints.
pub(super) const COMMON: &[Parameter] = &[
    ("best_of", &["1"]),
    ("echo", &["false"]),
    ("suffix", &[r#""""#]),
    ("store", &["false"]),
    ("service_tier", &[r#""auto""#, r#""default""#]),
    ("response_format", &[r#"{"type":"text"}"#]),
    // Of llama.cpp and vLLM: what would change the text if it were honoured.
    ("grammar", &[r#""""#]),
    ("json_schema", &["{}"]),
    ("structured_outputs", &[]),
    ("guided_json", &[]),
    ("guided_regex", &[]),
    ("guided_choice", &[]),
    ("guided_grammar", &[]),
    ("regex", &[]),
    ("choice", &[]),
    ("use_beam_search", &["false"]),
    ("length_penalty", &["1"]),
    ("min_tokens", &["0"]),
    ("n_predict", &["-1"]),
    ("stop_token_ids", &["[]"]),
    ("bad_words", &["[]"]),
    ("include_stop_str_in_output", &["false"]),
    ("skip_special_tokens", &["true"]),
    ("spaces_between_special_tokens", &["true"]),
    ("logits_processors", &["[]"]),
    ("prompt_logprobs", &[]),
    ("n_probs", &["0"]),
    ("top_a", &["0"]),
    ("tfs_z", &["1"]),
    ("mirostat", &["0"]),
    ("dynatemp_range", &["0"]),
    ("dry_multiplier", &["0"]),
    ("xtc_probability", &["0"]),
    ("samplers", &[]),
    ("lora", &["[]"]),
];

/// Of chat completions.
pub(super) const CHAT: &[Parameter] = &[
    ("tools", &["[]"]),
    ("tool_choice", &[r#""none""#, r#""auto""#]),
    ("parallel_tool_calls", &["true", "false"]),
    ("functions", &["[]"]),
    ("function_call", &[r#""none""#, r#""auto""#]),
    ("logprobs", &["false"]),
    ("top_logprobs", &["0"]),
    ("modalities", &[r#"["text"]"#]),
    ("audio", &[]),
    ("prediction", &[]),
    ("reasoning_effort", &[r#""none""#]),
    ("verbosity", &[r#""medium""#]),
    ("web_search_options", &[]),
    ("prompt_cache_retention", &[r#""in_memory""#, r#""in-memory""#]),
    ("chat_template", &[]),
    ("chat_template_kwargs", &["{}"]),
    ("continue_final_message", &["false"]),
    ("add_generation_prompt", &["true"]),
];

/// Of completions, where `logprobs` is a number and 0 asks for something.
pub(super) const COMPLETION: &[Parameter] = &[("logprobs", &["false"])];

/// Of embeddings: what other servers define that would change the vectors if it were honoured.
pub(super) const EMBEDDING: &[Parameter] = &[
    ("stream", &["false"]),
    ("messages", &[]),
    ("content", &[]),
    ("input_type", &[]),
    ("task", &[]),
    ("prompt_name", &[]),
    ("add_special_tokens", &["true"]),
    ("truncate", &["false", r#""NONE""#]),
    ("truncate_prompt_tokens", &[]),
    ("late_chunking", &["false"]),
    ("normalize", &[]),
    ("embd_normalize", &[]),
    ("embedding_type", &[r#""float""#]),
    ("output_dtype", &[r#""float""#]),
    ("output_dimension", &[]),
    ("lora", &["[]"]),
];

/// The longest value, in bytes, that can be one of the above.
const MAX_NEUTRAL_BYTES: usize = 256;

/// Takes `parameters` and refuses the first that asks for something.
pub(super) fn refuse(fields: &mut Fields<'_>, parameters: &[Parameter]) -> Result<(), Error> {
    for (name, neutral) in parameters {
        let Some(value) = fields.raw(name) else { continue };
        if neutral.iter().any(|neutral| is_same(value, neutral)) {
            continue;
        }
        let message = match neutral {
            [] => format!("{name} is not supported by this server; leave it out"),
            [only] => format!("{name} is not supported by this server with any value but {only}"),
            several => {
                format!("{name} is not supported by this server with any value but {}", several.join(" or "))
            }
        };
        return Err(unsupported(*name, message));
    }
    Ok(())
}

/// Takes the parameters that are about the caller or OpenAI's own bookkeeping. There is nothing here for them to
/// change, so that accepting them honours them.
pub(super) fn accept_bookkeeping(fields: &mut Fields<'_>) -> Result<(), Error> {
    for name in ["user", "safety_identifier", "prompt_cache_key"] {
        fields.text(name)?;
    }
    if let Some(metadata) = fields.raw("metadata")
        && serde_json::from_str::<BTreeMap<String, String>>(metadata.get()).is_err()
    {
        return Err(wrong_type("metadata", "an object of strings", metadata));
    }
    Ok(())
}

/// A parameter, or a value of it, that is valid but not offered.
pub(super) fn unsupported(param: impl Into<String>, message: impl Into<String>) -> Error {
    Error::new(Code::UnsupportedParameter, message).with_param(param)
}

fn is_same(value: &RawValue, neutral: &str) -> bool {
    if value.get().len() > MAX_NEUTRAL_BYTES {
        return false;
    }
    match (serde_json::from_str(value.get()), serde_json::from_str(neutral)) {
        (Ok(Value::Number(value)), Ok(Value::Number(neutral))) => value.as_f64() == neutral.as_f64(),
        (Ok::<Value, _>(value), Ok::<Value, _>(neutral)) => value == neutral,
        _ => false,
    }
}
