//! Ollama's dialect, on the bundled model: what its clients ask, and what they see of a worker that is killed: nothing.

use std::pin::pin;

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::{
    chat::{counted, with},
    crash::kill_worker,
    harness::{Server, Setup, eventually},
};

const CHAT: &str = "/api/chat";
const GENERATE: &str = "/api/generate";

/// The lines of a streamed answer, read as they come.
struct Lines {
    response: Response,
    buffer: Vec<u8>,
}

impl Lines {
    async fn of(server: &Server, path: &str, body: &Value) -> Self {
        let response = post(server, path, body).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/x-ndjson");
        Self { response, buffer: Vec::new() }
    }

    /// The next line; `None` at the end.
    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(serde_json::from_slice(&line).expect("a line is JSON"));
            }
            let Some(bytes) = self.response.chunk().await.expect("a stream ends by its own rules") else {
                assert!(self.buffer.is_empty(), "cut off: {:?}", String::from_utf8_lossy(&self.buffer));
                return None;
            };
            self.buffer.extend_from_slice(&bytes);
        }
    }

    /// The text of as many lines as bring some.
    async fn read_texts(&mut self, count: usize) -> String {
        let mut texts = Vec::new();
        while texts.len() < count {
            let line = self.next().await.expect("there is more to come");
            let text = text_of(&line).to_owned();
            texts.extend((!text.is_empty()).then_some(text));
        }
        texts.concat()
    }

    /// All of the text that comes, and the last line, which says that it is done.
    async fn rest(&mut self) -> (String, Value) {
        let mut text = String::new();
        loop {
            let line = self.next().await.expect("a stream ends with a line that says so");
            assert!(line.get("error").is_none(), "{line}");
            text += text_of(&line);
            if line["done"] == true {
                assert_eq!(self.next().await, None);
                return (text, line);
            }
            assert!(line.get("done_reason").is_none() && line.get("total_duration").is_none(), "{line}");
        }
    }
}

fn text_of(line: &Value) -> &str {
    let text = line.pointer("/message/content").or(line.get("response")).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("{line}"))
}

async fn post(server: &Server, path: &str, body: &Value) -> Response {
    server.http.request(Method::POST, path).json(body).send().await.unwrap()
}

/// The answer to a request that is not to be streamed.
async fn ask(server: &Server, path: &str, body: &Value) -> Value {
    let response = post(server, path, &with(body.clone(), &json!({"stream": false}))).await;
    let status = response.status();
    let value: Value = response.json().await.unwrap();
    assert_eq!(status, 200, "{path} {body}: {value}");
    value
}

/// The status and the message with which a request is refused.
async fn refused(server: &Server, path: &str, body: &Value) -> (u16, String) {
    let response = post(server, path, body).await;
    let status = response.status().as_u16();
    let value: Value = response.json().await.unwrap();
    assert_eq!(value.as_object().map(serde_json::Map::len), Some(1), "{value}");
    (status, value["error"].as_str().unwrap_or_else(|| panic!("{value}")).to_owned())
}

/// A greedy chat of one message.
fn chat(content: &str) -> Value {
    json!({"model": "impetus-tiny", "messages": [{"role": "user", "content": content}], "options": greedy()})
}

fn greedy() -> Value {
    json!({"temperature": 0, "repeat_penalty": 1})
}

/// What an answer cost, but for what differs each time.
fn counts(end: &Value) -> (&Value, &Value, &Value) {
    for name in ["total_duration", "load_duration", "prompt_eval_duration", "eval_duration"] {
        assert!(end[name].is_u64(), "{name} of {end}");
    }
    assert!(end["created_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{end}");
    (&end["done_reason"], &end["prompt_eval_count"], &end["eval_count"])
}

#[tokio::test]
async fn streamed_and_whole_say_the_same() {
    let server = Server::plain().await;
    let body = chat("count from 1 to 10");
    let whole = ask(&server, CHAT, &body).await;
    assert_eq!((&whole["model"], &whole["message"]["role"]), (&json!("impetus-tiny"), &json!("assistant")));
    assert_eq!((text_of(&whole), &whole["done"]), (counted(10).as_str(), &json!(true)));
    let (text, end) = Lines::of(&server, CHAT, &body).await.rest().await;
    assert_eq!((text, counts(&end)), (counted(10), counts(&whole)));
    assert_eq!(counts(&whole).0, "stop");

    let body = json!({"model": "impetus-tiny:latest", "prompt": "count from 1 to 10", "options": greedy()});
    let whole = ask(&server, GENERATE, &body).await;
    assert_eq!((text_of(&whole), &whole["model"]), (counted(10).as_str(), &json!("impetus-tiny:latest")));
    let (text, end) = Lines::of(&server, GENERATE, &body).await.rest().await;
    assert_eq!((text, counts(&end)), (counted(10), counts(&whole)));

    let short = with(body, &json!({"options": {"temperature": 0, "num_predict": 3}}));
    let whole = ask(&server, GENERATE, &short).await;
    assert_eq!((counts(&whole).0, counts(&whole).2), (&json!("length"), &json!(3)));
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_when_its_worker_was_killed() {
    let server = Server::plain().await;
    for (path, body) in [
        (CHAT, chat("count from 1 to 100")),
        (GENERATE, json!({"model": "impetus-tiny", "prompt": "count from 1 to 100", "options": greedy()})),
    ] {
        let alone = ask(&server, path, &body).await;
        let mut lines = Lines::of(&server, path, &body).await;
        let text = lines.read_texts(8).await;
        kill_worker(&server, "impetus-tiny").await;
        // A fast engine may have said it all by now, and nobody asks for another worker.
        let mut rest = pin!(lines.rest());
        let (rest, end) = tokio::select! {
            rest = &mut rest => rest,
            _ = kill_worker(&server, "impetus-tiny") => rest.await,
        };
        assert_eq!((text + &rest, counts(&end)), (text_of(&alone).to_owned(), counts(&alone)), "{path}");
    }
}

#[tokio::test]
async fn calls_are_made_and_answered() {
    let server = Server::plain().await;
    let tool = json!({"type": "function", "function": {"name": "get_weather",
        "description": "Get the weather for a city",
        "parameters": {"type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}}});
    let mut body = with(chat("What is the weather in Paris?"), &json!({"tools": [tool]}));
    let whole = ask(&server, CHAT, &body).await;
    let calls = whole["message"]["tool_calls"].as_array().unwrap_or_else(|| panic!("{whole}"));
    let [call] = &calls[..] else { panic!("{whole}") };
    let function = json!({"index": 0, "name": "get_weather", "arguments": {"city": "Paris"}});
    assert_eq!((&call["function"], &whole["done_reason"]), (&function, &json!("stop")));

    let mut lines = Lines::of(&server, CHAT, &body).await;
    let mut streamed = Vec::new();
    while let Some(line) = lines.next().await {
        streamed.extend(line["message"]["tool_calls"].as_array().into_iter().flatten().cloned());
    }
    let functions: Vec<&Value> = streamed.iter().map(|call| &call["function"]).collect();
    assert_eq!(functions, [&function]);

    body["messages"].as_array_mut().unwrap().extend([
        whole["message"].clone(),
        json!({"role": "tool", "tool_name": "get_weather", "content": "{\"temperature\": 21}"}),
    ]);
    let answer = ask(&server, CHAT, &body).await;
    assert!(text_of(&answer).contains("21"), "{answer}");
}

#[tokio::test]
async fn an_answer_is_held_to_its_format() {
    let server = Server::plain().await;
    let schema = json!({"type": "object", "properties": {"city": {"enum": ["Ulm", "Bonn"]}},
        "required": ["city"], "additionalProperties": false});
    for (path, body) in [
        (CHAT, chat("What is your name?")),
        (GENERATE, json!({"prompt": "What is your name?", "options": greedy()})),
    ] {
        let answer = ask(&server, path, &with(body, &json!({"format": schema}))).await;
        let value: Value = serde_json::from_str(text_of(&answer)).unwrap_or_else(|_| panic!("{answer}"));
        assert!(["Ulm", "Bonn"].contains(&value["city"].as_str().unwrap()), "{value}");
    }
}

#[tokio::test]
async fn prompts_are_raw_or_have_holes() {
    let server = Server::plain().await;
    let raw = json!({"prompt": "1, 2, 3,", "raw": true, "options": {"temperature": 0, "num_predict": 4}});
    let plain = json!({"model": "impetus-tiny", "prompt": "1, 2, 3,", "temperature": 0, "max_tokens": 4,
        "top_k": 40, "top_p": 0.9, "repeat_penalty": 1.1, "repeat_last_n": 64});
    assert_eq!(text_of(&ask(&server, GENERATE, &raw).await), server.http.ask(&plain).await.text);
    let hole = json!({"prompt": "count: one two ", "suffix": " four five", "options": {"num_predict": 8, "seed": 1}});
    let filled = ask(&server, GENERATE, &hole).await;
    assert!((1..=8).contains(&filled["eval_count"].as_u64().unwrap()), "{filled}");
    let likely = json!({"prompt": "1, 2, 3,", "raw": true, "logprobs": true, "top_logprobs": 2,
        "options": {"temperature": 0, "num_predict": 2}});
    let logprobs = ask(&server, GENERATE, &likely).await["logprobs"].take();
    let logprobs = logprobs.as_array().unwrap();
    assert_eq!(logprobs.len(), 2);
    assert_eq!(logprobs[0]["top_logprobs"][0]["token"], logprobs[0]["token"]);
}

#[tokio::test]
async fn models_are_listed_loaded_and_let_go() {
    let server = Setup::new().with_copy("other.gguf").start().await;
    let names = async |path: &str| -> Vec<String> {
        let listed = server.http.get_json(path).await;
        let models = listed["models"].as_array().unwrap().clone();
        let mut names: Vec<String> =
            models.iter().map(|model| model["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names("/api/tags").await, ["impetus-tiny:latest", "other:latest"]);
    assert_eq!(names("/api/ps").await, [""; 0]);
    let shown = ask(&server, "/api/show", &json!({"name": "other"})).await;
    assert_eq!(shown["capabilities"], json!(["completion", "tools"]));
    assert_eq!(shown["details"]["format"], "gguf");
    let architecture = shown["model_info"]["general.architecture"].as_str().unwrap().to_owned();
    let context = &shown["model_info"][format!("{architecture}.context_length")];
    assert!(context.as_u64().unwrap() > 0, "{shown}");
    assert_eq!(names("/api/ps").await, [""; 0], "nothing was loaded to be described");

    let loaded = ask(&server, GENERATE, &json!({"model": "other", "keep_alive": "10m"})).await;
    assert_eq!(
        (&loaded["done_reason"], &loaded["done"], &loaded["response"]),
        (&json!("load"), &json!(true), &json!(""))
    );
    assert_eq!(names("/api/ps").await, ["other:latest"]);
    let running = server.http.get_json("/api/ps").await["models"][0].take();
    assert!(running["size"].as_u64().unwrap() > 0 && running["expires_at"].is_string(), "{running}");
    assert_eq!(&running["context_length"], context);
    let shown = ask(&server, "/api/show", &json!({"model": "other"})).await;
    assert_eq!(shown["capabilities"], json!(["completion", "tools", "insert"]));
    // The template that is told may be said.
    let own = json!({"model": "other", "prompt": "count from 1 to 5", "template": shown["template"], "options": greedy()});
    assert_eq!(text_of(&ask(&server, GENERATE, &own).await), counted(5));

    let gone = ask(&server, CHAT, &json!({"model": "other", "messages": [], "keep_alive": 0})).await;
    assert_eq!(gone["done_reason"], "unload");
    eventually("the model is unloaded", || async { names("/api/ps").await.is_empty().then_some(()) }).await;
}

#[tokio::test]
async fn what_cannot_be_had_is_refused() {
    let server = Server::plain().await;
    let (status, message) = refused(&server, CHAT, &json!({"model": "nobody", "messages": []})).await;
    assert_eq!((status, message.as_str()), (404, r#"model "nobody" not found, try pulling it first"#));
    let check = async |path: &str, more: Value, said: &[&str]| {
        let body = if path == CHAT { chat("hi") } else { json!({"prompt": "hi"}) };
        let (status, message) = refused(&server, path, &with(body, &more)).await;
        assert!(status == 400 && said.iter().all(|said| message.contains(said)), "{status} {message}");
    };
    let held = ask(&server, "/api/show", &json!({"model": "impetus-tiny"})).await["model_info"].take();
    let held = held["llama.context_length"].as_u64().unwrap();
    let numbers = [(held + 1).to_string(), held.to_string()];
    check(CHAT, json!({"options": {"num_ctx": held + 1}}), &[&numbers[0], &numbers[1], "num_ctx"]).await;
    check(CHAT, json!({"options": {"num_ctx": 4}}), &["maximum context length is 4 tokens"]).await;
    check(CHAT, json!({"think": true}), &["\"impetus-tiny\" does not support thinking"]).await;
    check(GENERATE, json!({"template": "{{ prompt }}"}), &["template"]).await;
    check(GENERATE, json!({"context": [1, 2]}), &["context"]).await;
    check(GENERATE, json!({"images": ["aGk="]}), &["images"]).await;
    let (status, _) = refused(&server, "/api/embed", &json!({"model": "impetus-tiny", "input": "a"})).await;
    assert_eq!(status, 400);
    // Within the slot it is kept to: the answer ends where the context is full.
    let small = with(
        chat("count from 1 to 100"),
        &json!({"options": {"num_ctx": 64, "temperature": 0, "repeat_penalty": 1}}),
    );
    let answer = ask(&server, CHAT, &small).await;
    let (reason, prompt, answered) = counts(&answer);
    assert_eq!((reason, prompt.as_u64().unwrap() + answered.as_u64().unwrap()), (&json!("length"), 64));
}
