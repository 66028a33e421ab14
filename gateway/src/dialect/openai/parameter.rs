//! The parameters that are defined but not offered, by OpenAI or by servers that clients also speak to. Each is
//! accepted with the values that mean the same as leaving it out, and refused by name with any other: none is
//! ever ignored.

pub(super) use crate::dialect::parameter::{Parameter, refuse, unsupported};

/// Of both completion endpoints.
pub(super) const COMMON: &[Parameter] = &[
    ("store", &["false"]),
    // Of vLLM.
    ("use_beam_search", &["false"]),
    ("length_penalty", &["1"]),
    ("bad_words", &["[]"]),
    ("allowed_token_ids", &[]),
    ("include_stop_str_in_output", &["false"]),
    ("skip_special_tokens", &["true"]),
    ("spaces_between_special_tokens", &["true"]),
    ("logits_processors", &["[]"]),
    ("prompt_logprobs", &[]),
    ("truncate_prompt_tokens", &[]),
    ("prompt_embeds", &[]),
    ("return_tokens_as_token_ids", &["false"]),
    ("return_token_ids", &["false"]),
    ("cache_salt", &[]),
    ("priority", &["0"]),
    ("kv_transfer_params", &[]),
    ("vllm_xargs", &[]),
    ("mm_processor_kwargs", &[]),
    ("documents", &["[]"]),
    // Of llama.cpp.
    ("n_probs", &["0"]),
    ("post_sampling_probs", &["false"]),
    ("min_keep", &["0"]),
    ("n_keep", &["0"]),
    ("n_discard", &["0"]),
    ("n_indent", &["0"]),
    ("t_max_predict_ms", &["-1", "0"]),
    ("t_max_prompt_ms", &["-1", "0"]),
    ("samplers", &[]),
    ("return_tokens", &["false"]),
    ("return_progress", &["false"]),
    ("response_fields", &[]),
    ("cache_prompt", &["true"]),
    ("n_cache_reuse", &["0"]),
    ("id_slot", &["-1"]),
    ("lora", &["[]"]),
    ("image_data", &["[]"]),
    ("top_a", &["0"]),
    ("tfs_z", &["1"]),
];

/// Of chat completions.
pub(super) const CHAT: &[Parameter] = &[
    ("best_of", &["1"]),
    ("suffix", &[r#""""#]),
    ("modalities", &[r#"["text"]"#]),
    ("audio", &[]),
    ("verbosity", &[r#""medium""#]),
    ("web_search_options", &[]),
    ("prompt_cache_retention", &[r#""in_memory""#, r#""in-memory""#]),
    ("chat_template", &[]),
    ("add_special_tokens", &["false"]),
    ("parse_tool_calls", &["true"]),
];

/// Of completions.
pub(super) const COMPLETION: &[Parameter] = &[("add_special_tokens", &["true"])];

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

/// Of llama.cpp's own completions.
pub(super) const NATIVE: &[Parameter] = &[
    ("n_probs", &["0"]),
    ("post_sampling_probs", &["false"]),
    ("min_keep", &["0"]),
    ("n_keep", &["0"]),
    ("n_discard", &["0"]),
    ("return_tokens", &["false"]),
    ("return_progress", &["false"]),
    ("timings_per_token", &["false"]),
    ("cache_prompt", &["true"]),
    ("n_cache_reuse", &["0"]),
    ("lora", &["[]"]),
    ("image_data", &["[]"]),
    ("multimodal_data", &["[]"]),
    ("n", &["1"]),
    ("n_cmpl", &["1"]),
    ("logprobs", &["0", "false"]),
    ("penalize_nl", &["false"]),
    ("tfs_z", &["1"]),
    ("top_a", &["0"]),
];

/// Of ranking: what other servers define that would change the scores if it were honoured.
pub(super) const RERANK: &[Parameter] = &[
    ("stream", &["false"]),
    // A document is scored as one piece, so that no bound on its pieces can bind.
    ("max_chunks_per_doc", &["1", "10"]),
    ("max_tokens_per_doc", &["4096"]),
    ("truncation_direction", &[r#""Right""#, r#""right""#]),
    ("truncate_prompt_tokens", &[]),
    ("rank_fields", &[]),
    ("return_embeddings", &["false"]),
    ("priority", &["0"]),
    ("lora", &["[]"]),
];

#[cfg(test)]
mod tests;
