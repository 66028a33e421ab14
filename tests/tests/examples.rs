//! The examples that the bundled model comes with: their answers are what its card promises.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::harness::{MODEL, Server};

fn examples() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundled/tiny/examples.json");
    let text = fs::read_to_string(path).expect("the bundled model has examples");
    let mut file: Value = serde_json::from_str(&text).expect("the examples are JSON");
    let Value::Array(examples) = file["examples"].take() else { panic!("a list of examples") };
    examples
}

#[tokio::test]
async fn the_bundled_model_answers_as_its_examples_say() {
    let server = Server::plain().await;
    for example in examples() {
        let name = &example["name"];
        let mut body = json!({"model": MODEL, "temperature": 0});
        for field in ["messages", "tools", "prompt", "suffix"] {
            if let Some(value) = example.get(field) {
                body[field] = value.clone();
            }
        }
        let Some(expected) = example.get("tool_calls") else {
            assert_eq!(server.http.ask(&body).await.text, example["expected"], "{name}");
            continue;
        };
        let answer: Value = server.http.post(&body).await.json().await.unwrap();
        let calls = answer["choices"][0]["message"]["tool_calls"].as_array().cloned().unwrap_or_default();
        let call = |call: &Value| {
            let arguments = call["function"]["arguments"].as_str().unwrap_or_default();
            json!({"name": call["function"]["name"], "arguments": serde_json::from_str::<Value>(arguments).ok()})
        };
        assert_eq!(&calls.iter().map(call).collect::<Value>(), expected, "{name}: {answer}");
    }
}
