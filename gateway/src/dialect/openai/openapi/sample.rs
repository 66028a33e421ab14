//! Bodies that lead each parser through all that it reads: what stands within an object is asked for only where there is
//! one.

use impetus_proto::Error;

use crate::dialect::{
    ollama,
    openai::{
        chat_completions::ChatCompletions, completions::Completions, embeddings, llama, request, rerank,
        responses,
    },
};

pub(super) const CHAT: &str = r#"{
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What is the weather?"}], "name": "somebody"},
        {"role": "assistant", "content": null, "reasoning_content": "A call.", "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "Rain."}],
    "tools": [{"type": "function", "function": {"name": "weather", "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {}}, "strict": false}}],
    "tool_choice": "auto",
    "stream_options": {"include_usage": true}, "stream": true,
    "thinking": {"type": "enabled"}, "reasoning": {"enabled": true},
    "prediction": {"type": "content", "content": "Rain."}}"#;

pub(super) const COMPLETION: &str =
    r#"{"prompt": "Once upon a time", "stream": true, "stream_options": {"include_usage": true}}"#;
pub(super) const EMBEDDING: &str = r#"{"input": ["a text", "another one"]}"#;
pub(super) const RERANK: &str =
    r#"{"query": "What does a fox eat?", "documents": ["Mice.", {"text": "It rains."}], "top_n": 1}"#;
pub(super) const TOKENIZE: &str = r#"{"content": "a text", "with_pieces": true}"#;
pub(super) const DETOKENIZE: &str = r#"{"tokens": [1, 2]}"#;
pub(super) const INFILL: &str = r#"{"input_prefix": "fn a() {", "input_suffix": "}", "input_extra": [{"filename": "b.rs", "text": "fn b() {}"}]}"#;
pub(super) const NATIVE: &str = r#"{"prompt": "Once upon a time"}"#;
pub(super) const RESPONSE: &str = r#"{"input": "Hello", "reasoning": {}, "text": {}, "metadata": {}}"#;
pub(super) const OLLAMA_CHAT: &str = r#"{
    "model": "impetus-tiny",
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is the weather?", "images": []},
        {"role": "assistant", "content": "", "thinking": "A call.", "tool_calls": [
            {"function": {"index": 0, "name": "weather", "arguments": {"city": "Ulm"}}}]},
        {"role": "tool", "tool_name": "weather", "content": "Rain."}],
    "tools": [{"type": "function", "function": {"name": "weather", "description": "Tells the weather.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}],
    "options": {"temperature": 0.5, "num_ctx": 2048}, "format": "json", "think": "low", "keep_alive": "5m"}"#;
pub(super) const OLLAMA_GENERATE: &str = r#"{"model": "impetus-tiny", "prompt": "Why?", "system": "Be brief.", "options": {}, "context": [], "think": true}"#;
pub(super) const OLLAMA_EMBED: &str =
    r#"{"model": "minilm", "input": ["a text", "another one"], "truncate": true, "options": {}}"#;
pub(super) const OLLAMA_EMBEDDING: &str = r#"{"model": "minilm", "prompt": "a text", "options": {}}"#;
pub(super) const OLLAMA_SHOW: &str = r#"{"model": "impetus-tiny", "verbose": false}"#;

pub(super) fn chat() -> Result<(), Error> {
    request::params::<ChatCompletions>(CHAT.as_bytes()).map(drop)
}

pub(super) fn completion() -> Result<(), Error> {
    request::params::<Completions>(COMPLETION.as_bytes()).map(drop)
}

pub(super) fn embedding() -> Result<(), Error> {
    embeddings::check(EMBEDDING.as_bytes())
}

pub(super) fn rerank() -> Result<(), Error> {
    rerank::check(RERANK.as_bytes())
}

pub(super) fn tokenize() -> Result<(), Error> {
    llama::check_tokenize(TOKENIZE.as_bytes())
}

pub(super) fn detokenize() -> Result<(), Error> {
    llama::check_detokenize(DETOKENIZE.as_bytes())
}

pub(super) fn infill() -> Result<(), Error> {
    llama::check_infill(INFILL.as_bytes())
}

pub(super) fn native() -> Result<(), Error> {
    llama::check_completion(NATIVE.as_bytes())
}

pub(super) fn response() -> Result<(), Error> {
    responses::check(RESPONSE.as_bytes())
}

pub(super) fn ollama_chat() -> Result<(), Error> {
    ollama::check::<ollama::Chat>(OLLAMA_CHAT.as_bytes())
}

pub(super) fn ollama_generate() -> Result<(), Error> {
    ollama::check::<ollama::Generate>(OLLAMA_GENERATE.as_bytes())
}

pub(super) fn ollama_embed() -> Result<(), Error> {
    ollama::check_embed(OLLAMA_EMBED.as_bytes())
}

pub(super) fn ollama_embedding() -> Result<(), Error> {
    ollama::check_embedding(OLLAMA_EMBEDDING.as_bytes())
}

pub(super) fn ollama_show() -> Result<(), Error> {
    ollama::check_show(OLLAMA_SHOW.as_bytes())
}
