//! Requests that make sense, one at least for every endpoint, from which mutated ones are made.

use serde_json::{Value, json};

use super::mix::{messages_tool, person, weather};

/// A request as it goes over the wire.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) body: Value,
}

/// All of them, for this model. Answers are short.
pub(super) fn requests(model: &str) -> Vec<Request> {
    let hello = json!([{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hello"}]);
    let get = |path: &str| Request { method: "GET", path: path.to_owned(), body: Value::Null };
    let post = |path: &str, mut body: Value| {
        body["model"] = json!(model);
        Request { method: "POST", path: path.to_owned(), body }
    };
    let chat = |mut body: Value| {
        body["messages"] = hello.clone();
        body["max_tokens"] = json!(8);
        post("/v1/chat/completions", body)
    };
    vec![
        get("/health"),
        get("/ready"),
        get("/v1/models"),
        get(&format!("/v1/models/{model}")),
        get("/openapi.json"),
        get("/props"),
        get("/slots"),
        get("/v1/responses/resp_0123456789"),
        get("/v1/responses/resp_0123456789/input_items?limit=2&order=asc"),
        chat(json!({"stream": true, "stream_options": {"include_usage": true}})),
        chat(
            json!({"temperature": 0.7, "top_p": 0.9, "top_k": 20, "min_p": 0.05, "typical_p": 0.9, "seed": 1,
            "frequency_penalty": 0.1, "presence_penalty": 0.1, "repetition_penalty": 1.1, "n": 2,
            "logit_bias": {"5": 1.5}, "stop": ["x", "\n\n"], "user": "u", "metadata": {"a": "b"}}),
        ),
        chat(
            json!({"dry_multiplier": 0.8, "dry_base": 1.75, "dry_sequence_breakers": ["\n"], "xtc_probability": 0.5,
            "xtc_threshold": 0.1, "mirostat": 2, "mirostat_tau": 5.0, "dynatemp_range": 0.3, "top_n_sigma": 2.0}),
        ),
        chat(json!({"logprobs": true, "top_logprobs": 3, "reasoning_effort": "low", "service_tier": "auto"})),
        chat(json!({"tools": [weather()], "tool_choice": "required", "parallel_tool_calls": false})),
        chat(json!({"tools": [weather()], "stream": true, "tool_choice": {"type": "function",
            "function": {"name": "get_weather"}}})),
        chat(json!({"response_format": {"type": "json_schema",
            "json_schema": {"name": "p", "strict": true, "schema": person()}}})),
        chat(
            json!({"response_format": {"type": "json_object"}, "chat_template_kwargs": {"enable_thinking": false}}),
        ),
        chat(json!({"structured_outputs": {"choice": ["yes", "no"]}})),
        chat(json!({"grammar": "root ::= \"a\" | [b-d]+"})),
        post(
            "/v1/chat/completions",
            json!({"max_tokens": 4, "messages": [
                {"role": "user", "content": [{"type": "text", "text": "weather?"}]},
                {"role": "assistant", "content": null, "tool_calls": [{"id": "c1", "type": "function",
                    "function": {"name": "get_weather", "arguments": "{\"city\":\"Paris\"}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "sunny"}]}),
        ),
        post("/v1/completions", json!({"prompt": "1, 2, 3,", "max_tokens": 6, "echo": true, "logprobs": 2})),
        post("/v1/completions", json!({"prompt": ["a", "b"], "max_tokens": 3, "n": 2, "best_of": 2})),
        post(
            "/v1/completions",
            json!({"prompt": "def f(", "suffix": "return x", "max_tokens": 4, "stream": true}),
        ),
        post("/v1/embeddings", json!({"input": ["a", "b"], "encoding_format": "base64", "dimensions": 4})),
        post("/v1/responses", json!({"input": "hello", "max_output_tokens": 6, "stream": true})),
        post(
            "/v1/responses",
            json!({"max_output_tokens": 6, "store": true, "instructions": "Be brief.",
            "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "1"}],
            "text": {"format": {"type": "json_object"}}, "reasoning": {"effort": "low"}}),
        ),
        get("/api/tags"),
        get("/api/ps"),
        post("/api/show", json!({})),
        post(
            "/api/chat",
            json!({"options": {"num_predict": 6, "temperature": 0.5, "top_k": 20, "stop": ["x"], "num_ctx": 256},
            "messages": hello, "tools": [weather()], "keep_alive": "5m", "think": false}),
        ),
        post(
            "/api/chat",
            json!({"options": {"num_predict": 6}, "stream": false, "format": person(), "messages": [
                {"role": "user", "content": "weather?"},
                {"role": "assistant", "content": "", "tool_calls": [
                    {"function": {"name": "get_weather", "arguments": {"city": "Paris"}}}]},
                {"role": "tool", "tool_name": "get_weather", "content": "sunny"}]}),
        ),
        post(
            "/api/generate",
            json!({"prompt": "1, 2, 3,", "system": "Be brief.", "options": {"num_predict": 6, "seed": 1}}),
        ),
        post(
            "/api/generate",
            json!({"prompt": "1, 2,", "raw": true, "stream": false, "options": {"num_predict": 4}}),
        ),
        post("/api/embed", json!({"input": ["a", "b"], "truncate": true})),
        post(
            "/v1/messages",
            json!({"max_tokens": 6, "stream": true, "system": [{"type": "text", "text": "Be brief.",
                "cache_control": {"type": "ephemeral"}}], "messages": [{"role": "user", "content": "hello"}],
            "temperature": 0.5, "top_p": 0.9, "stop_sequences": ["x"], "metadata": {"user_id": "u"}}),
        ),
        post(
            "/v1/messages",
            json!({"max_tokens": 6, "tools": [messages_tool()], "tool_choice": {"type": "any"}, "messages": [
                {"role": "user", "content": [{"type": "text", "text": "weather?"}]},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "t1", "name": "get_weather", "input": {"city": "Paris"}}]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "content": "sunny"}]}]}),
        ),
        post("/v1/messages/count_tokens", json!({"messages": [{"role": "user", "content": "hello"}]})),
        post("/v1/rerank", json!({"query": "q", "documents": ["a", {"text": "b"}], "top_n": 1})),
        post("/tokenize", json!({"content": "hello", "add_special": true, "with_pieces": true})),
        post("/tokenize", json!({"messages": hello, "return_token_strs": true})),
        post("/detokenize", json!({"tokens": [1, 2, 3]})),
        post("/apply-template", json!({"messages": hello})),
        post("/v1/chat/completions/input_tokens", json!({"messages": hello})),
        post(
            "/infill",
            json!({"input_prefix": "def f(", "input_suffix": "\n", "n_predict": 4,
            "input_extra": [{"filename": "a.py", "text": "x = 1"}]}),
        ),
    ]
}
