//! A walk over every parameter that the two endpoints define, and those of llama.cpp and vLLM that the page on the API
//! lists: each is honoured or refused by name, and none is left to be ignored.

use std::collections::BTreeSet;

use impetus_proto::{Code, Error};

use super::*;
use crate::dialect::{
    ignored::Ignored,
    openai::{
        chat_completions::ChatCompletions,
        completions::Completions,
        request::{Params, params},
        shape::Shape,
    },
};

/// What becomes of a parameter with a value that asks for something, and with what it needs beside it.
#[derive(Clone, Copy)]
enum Fate {
    /// The worker is asked for something else, or more often, or the answer is written in another way.
    Honoured,
    /// It has nothing to change here.
    Noted,
    /// By the name of the parameter, or of a field within it.
    Refused,
}

use Fate::{Honoured, Noted, Refused};

/// Of OpenAI's definition of chat completions.
const OPENAI_CHAT: &[(&str, &str, Fate)] = &[
    ("messages", r#"[{"role":"user","content":"other"}]"#, Honoured),
    ("model", r#""other""#, Honoured),
    ("audio", r#"{"voice":"alloy","format":"wav"}"#, Refused),
    ("frequency_penalty", "1", Honoured),
    ("function_call", r#""none","functions":[{"name":"f"}]"#, Honoured),
    ("functions", r#"[{"name":"f"}]"#, Honoured),
    ("logit_bias", r#"{"7":1}"#, Honoured),
    ("logprobs", "true", Honoured),
    ("max_completion_tokens", "7", Honoured),
    ("max_tokens", "7", Honoured),
    ("metadata", r#"{"k":"v"}"#, Noted),
    ("modalities", r#"["text","audio"]"#, Refused),
    ("n", "2", Honoured),
    ("parallel_tool_calls", r#"false,"tools":[{"type":"function","name":"f"}]"#, Honoured),
    ("prediction", r#"{"type":"content","content":"x"}"#, Noted),
    ("presence_penalty", "1", Honoured),
    ("prompt_cache_key", r#""k""#, Noted),
    ("prompt_cache_retention", r#""24h""#, Refused),
    ("reasoning_effort", r#""low""#, Honoured),
    ("response_format", r#"{"type":"json_object"}"#, Honoured),
    ("safety_identifier", r#""s""#, Noted),
    ("seed", "8", Honoured),
    ("service_tier", r#""auto""#, Honoured),
    ("stop", r#""x""#, Honoured),
    ("store", "true", Refused),
    ("stream", "true", Honoured),
    ("stream_options", r#"{"include_usage":true}"#, Honoured),
    ("temperature", "0.5", Honoured),
    ("tool_choice", r#""none","tools":[{"type":"function","name":"f"}]"#, Honoured),
    ("tools", r#"[{"type":"function","function":{"name":"f"}}]"#, Honoured),
    ("top_logprobs", r#"2,"logprobs":true"#, Honoured),
    ("top_p", "0.5", Honoured),
    ("user", r#""u""#, Noted),
    ("verbosity", r#""low""#, Refused),
    ("web_search_options", "{}", Refused),
];

/// Of OpenAI's definition of completions.
const OPENAI_COMPLETIONS: &[(&str, &str, Fate)] = &[
    ("model", r#""other""#, Honoured),
    ("prompt", r#""other""#, Honoured),
    ("best_of", "2", Honoured),
    ("echo", "true", Honoured),
    ("frequency_penalty", "1", Honoured),
    ("logit_bias", r#"{"7":1}"#, Honoured),
    ("logprobs", "0", Honoured),
    ("max_tokens", "7", Honoured),
    ("n", "2", Honoured),
    ("presence_penalty", "1", Honoured),
    ("seed", "8", Honoured),
    ("stop", r#"["x"]"#, Honoured),
    ("stream", "true", Honoured),
    ("stream_options", r#"{"include_usage":true}"#, Honoured),
    ("suffix", r#""x""#, Honoured),
    ("temperature", "0.5", Honoured),
    ("top_p", "0.5", Honoured),
    ("user", r#""u""#, Noted),
];

/// Additions of llama.cpp and vLLM to both.
const ADDED: &[(&str, &str, Fate)] = &[
    ("top_k", "5", Honoured),
    ("min_p", "0.1", Honoured),
    ("typical_p", "0.5", Honoured),
    ("typ_p", "0.5", Honoured),
    ("top_n_sigma", "1", Honoured),
    ("repetition_penalty", "1.1", Honoured),
    ("repeat_penalty", "1.1", Honoured),
    ("repeat_last_n", "9", Honoured),
    ("dry_multiplier", "1", Honoured),
    ("dry_base", r#"2,"dry_multiplier":1"#, Honoured),
    ("dry_allowed_length", r#"3,"dry_multiplier":1"#, Honoured),
    ("dry_penalty_last_n", r#"3,"dry_multiplier":1"#, Honoured),
    ("dry_sequence_breakers", r#"["x"],"dry_multiplier":1"#, Honoured),
    ("xtc_probability", "0.5", Honoured),
    ("xtc_threshold", r#"0.2,"xtc_probability":1"#, Honoured),
    ("mirostat", "2", Honoured),
    ("mirostat_tau", r#"4,"mirostat":1"#, Honoured),
    ("mirostat_eta", r#"0.2,"mirostat":1"#, Honoured),
    ("dynatemp_range", "0.5", Honoured),
    ("dynatemp_exponent", r#"2,"dynatemp_range":1"#, Honoured),
    ("n_predict", "7", Honoured),
    ("min_tokens", "3", Honoured),
    ("ignore_eos", "true", Honoured),
    ("stop_token_ids", "[7]", Honoured),
    ("grammar", r#""root ::= \"a\"""#, Honoured),
    ("json_schema", r#"{"type":"object"}"#, Honoured),
    ("structured_outputs", r#"{"regex":"a"}"#, Honoured),
    ("guided_json", r#"{"type":"object"}"#, Honoured),
    ("guided_regex", r#""a""#, Honoured),
    ("guided_choice", r#"["a"]"#, Honoured),
    ("guided_grammar", r#""start: \"a\"""#, Honoured),
    ("regex", r#""a""#, Honoured),
    ("choice", r#"["a"]"#, Honoured),
    ("keep_alive", "5", Honoured),
    ("use_beam_search", "true", Refused),
    ("length_penalty", "2", Refused),
    ("bad_words", r#"["x"]"#, Refused),
    ("allowed_token_ids", "[7]", Refused),
    ("include_stop_str_in_output", "true", Refused),
    ("skip_special_tokens", "false", Refused),
    ("spaces_between_special_tokens", "false", Refused),
    ("logits_processors", r#"["x"]"#, Refused),
    ("prompt_logprobs", "1", Refused),
    ("truncate_prompt_tokens", "7", Refused),
    ("return_tokens_as_token_ids", "true", Refused),
    ("return_token_ids", "true", Refused),
    ("cache_salt", r#""x""#, Refused),
    ("priority", "1", Refused),
    ("n_probs", "1", Refused),
    ("min_keep", "1", Refused),
    ("n_keep", "1", Refused),
    ("n_indent", "1", Refused),
    ("t_max_predict_ms", "9", Refused),
    ("samplers", r#"["top_k"]"#, Refused),
    ("return_tokens", "true", Refused),
    ("return_progress", "true", Refused),
    ("timings_per_token", "true", Honoured),
    ("response_fields", r#"["x"]"#, Refused),
    ("cache_prompt", "false", Refused),
    ("id_slot", "1", Refused),
    ("lora", r#"[{"id":0,"scale":1}]"#, Refused),
];

/// Additions of llama.cpp, vLLM and others to chat completions.
const ADDED_CHAT: &[(&str, &str, Fate)] = &[
    ("chat_template_kwargs", r#"{"x":1}"#, Honoured),
    ("chat_template", r#""x""#, Refused),
    ("add_generation_prompt", "false", Refused),
    ("continue_final_message", r#"true,"messages":[{"role":"assistant","content":"a"}]"#, Honoured),
    ("echo", r#"true,"messages":[{"role":"assistant","content":"a"}]"#, Honoured),
    ("enable_thinking", "false", Honoured),
    ("thinking", r#"{"type":"disabled"}"#, Honoured),
    ("reasoning", r#"{"effort":"low"}"#, Honoured),
    ("thinking_token_budget", "7", Honoured),
    ("thinking_budget_tokens", "7", Honoured),
    ("reasoning_budget", "7", Honoured),
    ("thinking_budget", "7", Honoured),
    ("reasoning_format", r#""none""#, Honoured),
    ("separate_reasoning", "false", Honoured),
    ("include_reasoning", "false", Honoured),
    ("best_of", "2", Refused),
    ("suffix", r#""x""#, Refused),
    ("add_special_tokens", "true", Refused),
    ("parse_tool_calls", "false", Refused),
];

/// The request with these fields, the later ones first: of two of one name the last counts.
fn read<S: Shape>(field: &str) -> Result<Params<S>, Error> {
    let given = r#""messages":[{"role":"user","content":"hi"}],"prompt":"x","seed":7"#;
    params(format!("{{{given}{field}}}").as_bytes())
}

fn walk<S: Shape>(parameters: &[(&str, &str, Fate)]) {
    let mut plain = read::<S>("").unwrap();
    // Each endpoint's own field stands beside the other's.
    let foreign = std::mem::take(&mut plain.ignored);
    for (name, value, fate) in parameters {
        let read = read::<S>(&format!(",\"{name}\":{value}"));
        match (fate, read) {
            (Refused, Err(error)) => {
                let code = error.code();
                assert!(
                    matches!(code, Code::UnsupportedParameter | Code::InvalidRequest),
                    "{name}: {error:?}"
                );
                assert!(error.param == *name || error.message.contains(name), "{name}: {error:?}");
            }
            (Refused, Ok(_)) => panic!("{name} is accepted"),
            (_, Err(error)) => panic!("{name} is refused: {error}"),
            (_, Ok(mut read)) => {
                assert_eq!(std::mem::take(&mut read.ignored), foreign, "{name} is ignored");
                assert_eq!(read != plain, matches!(fate, Honoured), "{name}: {read:?}");
            }
        }
    }
}

#[test]
fn every_parameter_is_honoured_or_refused_by_name() {
    walk::<ChatCompletions>(OPENAI_CHAT);
    walk::<ChatCompletions>(ADDED);
    walk::<ChatCompletions>(ADDED_CHAT);
    walk::<Completions>(OPENAI_COMPLETIONS);
    walk::<Completions>(ADDED);
}

#[test]
fn the_page_on_the_api_lists_every_parameter() {
    let page = include_str!("../../../../../docs/api.md");
    let listed: BTreeSet<&str> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| line.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    let walked = [OPENAI_CHAT, OPENAI_COMPLETIONS, ADDED, ADDED_CHAT].into_iter().flatten();
    let refused = [COMMON, CHAT, COMPLETION].into_iter().flatten();
    for name in walked.map(|(name, ..)| name).chain(refused.map(|(name, _)| name)) {
        assert!(listed.contains(name), "{name} is not in docs/api.md");
    }
}

#[test]
fn what_nobody_defines_is_named() {
    let named = |read: Ignored| format!("{read:?}");
    assert_eq!(
        named(read::<ChatCompletions>(r#","beta":1"#).unwrap().ignored),
        r#"Ignored(["prompt", "beta"])"#
    );
    assert_eq!(
        named(read::<Completions>(r#","beta":1"#).unwrap().ignored),
        r#"Ignored(["messages", "beta"])"#
    );
}
