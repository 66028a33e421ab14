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

/// The parameter that this example needs and the server does not offer yet.
fn lacking(example: &Value) -> Option<&'static str> {
    ["tools", "suffix"].into_iter().find(|name| example.get(name).is_some())
}

#[tokio::test]
async fn the_bundled_model_answers_as_its_examples_say() {
    let server = Server::plain().await;
    let examples = examples();
    let n_chats = examples.iter().filter(|example| lacking(example).is_none()).count();
    assert!(n_chats >= 10, "{n_chats} examples are plain chats");
    for mut example in examples {
        let name = example["name"].clone();
        let expected = example["expected"].take();
        let lacking = lacking(&example);
        let mut body = json!({"model": MODEL, "temperature": 0});
        for field in ["messages", "tools", "prompt", "suffix"] {
            if let Some(value) = example.get_mut(field) {
                body[field] = value.take();
            }
        }
        if let Some(param) = lacking {
            let refusal = server.http.refused(&body).await;
            assert_eq!(
                (refusal.code.as_str(), refusal.param.as_deref()),
                ("unsupported_parameter", Some(param))
            );
        } else {
            assert_eq!(server.http.ask(&body).await.text, expected, "{name}");
        }
    }
}
