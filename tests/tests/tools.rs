//! Tool calls of the bundled model: as it likes, forced, forbidden, streamed, and their results back in.

use jsonschema::is_valid;
use serde_json::{Value, json};

use crate::{
    chat::with,
    harness::{BUNDLED, Event, EventStream, Server, Setup, chat},
};

/// A call, as a client sees it.
#[derive(Debug, Clone, Default, PartialEq)]
struct Call {
    id: String,
    name: String,
    arguments: String,
}

/// What came of a chat with tools.
#[derive(Debug, Clone, PartialEq)]
struct Called {
    text: String,
    calls: Vec<Call>,
    finish_reason: String,
}

impl Called {
    /// The same without ids, which are new each time.
    fn nameless(mut self) -> Self {
        self.calls.iter_mut().for_each(|call| call.id.clear());
        self
    }
}

fn tool(name: &str, description: &str, properties: &Value) -> Value {
    let required: Vec<&String> = properties.as_object().unwrap().keys().collect();
    json!({"type": "function", "function": {"name": name, "description": description,
        "parameters": {"type": "object", "properties": properties, "required": required}}})
}

fn tools() -> Value {
    let city = json!({"city": {"type": "string"}});
    json!([
        tool("get_weather", "Get the weather for a city", &city),
        tool("get_time", "Get the current time in a city", &city),
        tool("add", "Add two numbers", &json!({"a": {"type": "integer"}, "b": {"type": "integer"}})),
    ])
}

async fn ask(server: &Server, body: &Value) -> Called {
    let response = server.http.post(body).await;
    let status = response.status();
    let value: Value = response.json().await.unwrap();
    assert_eq!(status, 200, "{body}: {value}");
    let choice = &value["choices"][0];
    let call = |call: &Value| {
        assert_eq!(call["type"], "function", "{call}");
        Call {
            id: call["id"].as_str().unwrap().to_owned(),
            name: call["function"]["name"].as_str().unwrap().to_owned(),
            arguments: call["function"]["arguments"].as_str().unwrap().to_owned(),
        }
    };
    Called {
        text: choice["message"]["content"].as_str().unwrap_or_default().to_owned(),
        calls: choice["message"]["tool_calls"].as_array().into_iter().flatten().map(call).collect(),
        finish_reason: choice["finish_reason"].as_str().unwrap().to_owned(),
    }
}

async fn stream(server: &Server, body: &Value) -> Called {
    let response = server.http.post(&with(body.clone(), &json!({"stream": true}))).await;
    let mut called = Called { text: String::new(), calls: Vec::new(), finish_reason: String::new() };
    for event in EventStream::of(response).rest().await {
        let Event::Chunk(chunk) = event else { continue };
        let choice = &chunk["choices"][0];
        called.text += choice["delta"]["content"].as_str().unwrap_or_default();
        called.finish_reason += choice["finish_reason"].as_str().unwrap_or_default();
        for delta in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
            let index = delta["index"].as_u64().unwrap() as usize;
            if index == called.calls.len() {
                assert_eq!(delta["type"], "function", "the first piece of a call says all of it: {delta}");
                called.calls.push(Call::default());
            }
            let call = &mut called.calls[index];
            call.id += delta["id"].as_str().unwrap_or_default();
            call.name += delta["function"]["name"].as_str().unwrap_or_default();
            call.arguments += delta["function"]["arguments"].as_str().unwrap_or_default();
        }
    }
    called
}

fn asking(question: &str, more: &Value) -> Value {
    with(with(chat(question), &json!({"tools": tools()})), more)
}

#[tokio::test]
async fn every_format_calls_streams_and_is_answered() {
    let server = Setup::in_all_formats().start().await;
    for model in BUNDLED {
        let check = async |question: &str, name: &str, arguments: Value| {
            let body = asking(question, &json!({"model": model}));
            let whole = ask(&server, &body).await;
            let [call] = whole.calls.as_slice() else { panic!("{model} {question}: {whole:?}") };
            assert_eq!((call.name.as_str(), whole.finish_reason.as_str()), (name, "tool_calls"), "{model}");
            assert_eq!(serde_json::from_str::<Value>(&call.arguments).unwrap(), arguments, "{model}");
            assert!(!call.id.is_empty() && whole.text.is_empty(), "{whole:?}");
            assert_eq!(stream(&server, &body).await.nameless(), whole.nameless(), "{model} {question}");
        };
        check("What time is it in Tokyo?", "get_time", json!({"city": "Tokyo"})).await;
        check("What is the weather in Paris?", "get_weather", json!({"city": "Paris"})).await;
        check("add 12 and 30", "add", json!({"a": 12, "b": 30})).await;

        let mut body = asking("What is the weather in Paris?", &json!({"model": model}));
        let call = ask(&server, &body).await.calls.remove(0);
        body["messages"].as_array_mut().unwrap().extend([
            json!({"role": "assistant", "content": null, "tool_calls": [{"id": call.id, "type": "function",
                "function": {"name": call.name, "arguments": call.arguments}}]}),
            json!({"role": "tool", "tool_call_id": call.id,
                "content": "{\"temperature\": 18, \"condition\": \"sunny\"}"}),
        ]);
        let answer = ask(&server, &body).await;
        assert_eq!(answer.text, "It is sunny and 18 degrees in Paris.", "{model}");
        assert_eq!((answer.calls.len(), answer.finish_reason.as_str()), (0, "stop"), "{model}");
    }
}

#[tokio::test]
async fn choices_of_tools_are_kept_to() {
    let server = Setup::new().start().await;
    let named = |name: &str| json!({"type": "function", "function": {"name": name}});
    // What nobody would call a tool for, drawn at random: whatever comes has to be a call that keeps to its schema.
    for seed in 0..6 {
        let wild = json!({"temperature": 1.5, "seed": seed, "max_tokens": 200});
        for (choice, names) in [
            (json!("required"), vec!["get_weather", "get_time", "add"]),
            (named("add"), vec!["add"]),
            (
                json!({"type": "allowed_tools", "allowed_tools":
                    {"mode": "required", "tools": [named("get_time"), named("add")]}}),
                vec!["get_time", "add"],
            ),
        ] {
            let more = json!({"tool_choice": choice, "parallel_tool_calls": false});
            let called = ask(&server, &with(asking("Say PONG", &wild), &more)).await;
            if called.finish_reason == "length" {
                continue;
            }
            let [call] = called.calls.as_slice() else { panic!("{choice}: {called:?}") };
            assert!(names.contains(&call.name.as_str()), "{choice}: {called:?}");
            let arguments: Value = serde_json::from_str(&call.arguments).unwrap();
            let tools = tools();
            let tool = tools.as_array().unwrap().iter().find(|tool| tool["function"]["name"] == call.name);
            assert!(is_valid(&tool.unwrap()["function"]["parameters"], &arguments), "{called:?}");
        }
    }
    let none = asking("What time is it in Tokyo?", &json!({"tool_choice": "none", "max_tokens": 40}));
    let called = ask(&server, &none).await;
    assert_eq!(called.calls, [], "{called:?}");
    assert_ne!(called.finish_reason, "tool_calls");
}

#[tokio::test]
async fn a_call_that_is_cut_off_says_so() {
    let server = Setup::new().start().await;
    let body = asking("What time is it in Tokyo?", &json!({"max_tokens": 12}));
    let called = ask(&server, &body).await;
    assert_eq!(called.finish_reason, "length", "{called:?}");
    assert_eq!(stream(&server, &body).await.nameless(), called.nameless());
}

#[tokio::test]
async fn an_output_format_that_nobody_knows_is_refused_with_those_that_are() {
    let table = "[[model]]\nname = \"impetus-tiny\"\noutput_format = \"nonsense\"";
    let server = Setup::new().table(table).start().await;
    let refusal = server.http.refused(&chat("Say PONG")).await;
    assert!(refusal.message.contains("`nonsense`") && refusal.message.contains("hermes"), "{refusal:?}");
}
