//! The requests of a mixed load.

use serde_json::{Value, json};

use super::{
    answer::{Answer, Choice},
    dialect::{Ask, Dialect},
    load::Case,
};
use crate::fake::oracle::{MARKER, greedy};

/// The bundled model, in each format.
pub(super) const BUNDLED: [&str; 3] = ["impetus-tiny", "impetus-tiny-safetensors", "impetus-tiny-onnx"];

/// Greedy, sampled, penalised and biased ones, with stop strings, with two choices, with schemas, tools and log
/// probabilities, streamed and whole, short and long.
pub(super) fn mixed(model: &str) -> Vec<Ask> {
    let openai = openai(model).into_iter().map(Ask::openai);
    openai.chain(ollama(model)).chain(anthropic(model)).collect()
}

fn openai(model: &str) -> Vec<Value> {
    let chat = |content: &str, more: Value| {
        let mut body = json!({"model": model, "messages": [{"role": "user", "content": content}]});
        merge(&mut body, &more);
        body
    };
    vec![
        chat("count from 1 to 60", json!({"temperature": 0, "stream": true})),
        chat("count from 1 to 60", json!({"temperature": 0})),
        chat("count from 1 to 40", json!({"temperature": 0, "stream": true, "stop": ["27"]})),
        chat("count from 1 to 30", json!({"temperature": 0, "stream": true, "n": 2})),
        chat(
            "Tell me a long story",
            json!({"temperature": 0.8, "seed": 11, "max_tokens": 90, "stream": true}),
        ),
        chat(
            "Tell me a story",
            json!({"temperature": 0.8, "seed": 5, "max_tokens": 60, "stream": true, "n": 2}),
        ),
        chat("What is your name?", json!({"temperature": 0.8, "seed": 3, "max_tokens": 60, "n": 2})),
        json!({"model": model, "prompt": "Once upon a time", "temperature": 1.1, "top_p": 0.95, "seed": 8,
            "frequency_penalty": 0.7, "presence_penalty": 0.3, "max_tokens": 70, "stream": true}),
        json!({"model": model, "prompt": "1, 2, 3, 4,", "temperature": 0.8, "seed": 21, "max_tokens": 80,
            "logit_bias": {"100": -5, "101": 2}, "stop": ["41", "zebra"], "stream": true}),
        chat(
            "count from 1 to 30",
            json!({"temperature": 0, "stream": true, "logprobs": true, "top_logprobs": 2}),
        ),
        chat(
            "Give me a person named Ada aged 36 as JSON.",
            json!({"temperature": 0.9, "seed": 4, "stream": true, "n": 2, "max_tokens": 120,
                "response_format": {"type": "json_schema", "json_schema": {"name": "person", "schema": person()}}}),
        ),
        chat(
            "What is the weather in Paris?",
            json!({"temperature": 0, "stream": true, "tools": [weather()]}),
        ),
        chat(
            "Tell me a story",
            json!({"temperature": 1, "seed": 6, "stream": true, "max_tokens": 120, "tools": [weather()],
                "tool_choice": "required"}),
        ),
    ]
}

/// Chats and prompts of Ollama's clients, whose lines have to be as gapless.
fn ollama(model: &str) -> Vec<Ask> {
    let user = |content: &str| json!([{"role": "user", "content": content}]);
    vec![
        Ask::ollama_chat(json!({"model": model, "messages": user("count from 1 to 60"),
            "options": {"temperature": 0, "num_predict": 240}})),
        Ask::ollama_chat(json!({"model": model, "messages": user("Tell me a long story"),
            "options": {"temperature": 0.8, "seed": 12, "num_predict": 90}})),
        Ask::ollama_generate(json!({"model": model, "prompt": "Tell me a story",
            "options": {"temperature": 0.8, "seed": 9, "num_predict": 80}})),
        Ask::ollama_generate(json!({"model": model, "prompt": "count from 1 to 40", "stream": false,
            "options": {"temperature": 0, "num_predict": 160}})),
    ]
}

/// Messages of Anthropic's clients.
fn anthropic(model: &str) -> Vec<Ask> {
    let user = |content: &str| json!([{"role": "user", "content": content}]);
    vec![
        Ask::anthropic(json!({"model": model, "messages": user("count from 1 to 60"), "max_tokens": 240,
            "temperature": 0, "stream": true})),
        Ask::anthropic(json!({"model": model, "messages": user("count from 1 to 40"), "max_tokens": 160,
            "temperature": 0, "stream": true, "system": "Be brief.", "stop_sequences": ["27"]})),
        Ask::anthropic(
            json!({"model": model, "messages": user("What is the weather in Paris?"), "max_tokens": 120,
            "temperature": 0, "stream": true, "tools": [messages_tool()]}),
        ),
        Ask::anthropic(json!({"model": model, "messages": user("count from 1 to 30"), "max_tokens": 120,
            "temperature": 0})),
    ]
}

/// The same with thoughts that are ended after a while, for a model that begins its answers with one. It does not know
/// how to go on from there, so that answers without a limit get one.
pub(super) fn thoughtful(mut asked: Vec<Ask>) -> Vec<Ask> {
    for ask in &mut asked {
        let (dialect, body) = (ask.dialect(), &mut ask.body);
        if dialect != Dialect::OpenAi || body.get("messages").is_none() {
            continue;
        }
        body["thinking_budget"] = json!(12);
        if body.get("max_tokens").is_none() {
            body["max_tokens"] = json!(120);
        }
    }
    asked
}

pub(super) fn person() -> Value {
    json!({"type": "object", "additionalProperties": false, "required": ["name", "age", "tags"], "properties": {
        "name": {"type": "string", "maxLength": 24}, "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "tags": {"type": "array", "maxItems": 4, "items": {"enum": ["a", "b", "c"]}}}})
}

pub(super) fn weather() -> Value {
    json!({"type": "function", "function": {"name": "get_weather", "description": "Get the current weather of a city.",
        "parameters": {"type": "object", "required": ["city"], "additionalProperties": false, "properties": {
            "city": {"type": "string", "description": "The name of the city.", "maxLength": 24}}}}})
}

/// The same as Anthropic's API has it.
pub(super) fn messages_tool() -> Value {
    let tool = &weather()["function"];
    json!({"name": tool["name"], "description": tool["description"], "input_schema": tool["parameters"]})
}

/// A greedy, streamed chat with a scripted model, and what it has to say.
pub(super) fn scripted(model: &str, content: &str, max_tokens: u32) -> Case {
    let body = json!({"model": model, "messages": [{"role": "user", "content": content}], "temperature": 0,
        "max_tokens": max_tokens, "stream": true});
    let text = greedy(&format!("user: {content}\n{MARKER}"), max_tokens as usize);
    let choice = Choice { text, finish_reason: "length".to_owned(), ..Choice::default() };
    let expected = Answer { choices: vec![choice], completion_tokens: max_tokens.into() };
    Case { model: model.to_owned(), ask: Ask::openai(body), expected }
}

/// The same, but answered as a whole.
pub(super) fn whole(case: Case) -> Case {
    let mut ask = case.ask;
    ask.body["stream"] = json!(false);
    Case { ask, ..case }
}

/// Several such chats, each with words of its own.
pub(super) fn talks(model: &str, n: u32, max_tokens: u32) -> Vec<Case> {
    (0..n).map(|idx| scripted(model, &format!("tell me about the number {idx}"), max_tokens)).collect()
}

fn merge(body: &mut Value, more: &Value) {
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name.as_str()] = value.clone();
    }
}
