//! A worker that this project knows nothing of, added by configuration alone.

use impetus_runtime::engine::{TokenId, fake::FakeEngine};
use serde_json::json;

use crate::{
    chat::{counted, with},
    harness::{Setup, chat},
};

fn toy_server() -> Setup {
    let worker = env!("CARGO_BIN_EXE_worker-toy");
    let table =
        format!("[workers.toy]\ncommand = '{worker}'\npatterns = [\"*.toy\"]\nslots = 3\ncontext = 200");
    Setup::new().table(&table).with_file("blocks.toy", "toy\n").with_file("fake.toy", "no such thing")
}

/// What the toy's engine says greedily after `prompt`, told from the definition of the engine alone.
fn expected(prompt: &str, max_tokens: usize) -> String {
    let mut history: Vec<TokenId> = prompt.bytes().map(|byte| TokenId(byte.into())).collect();
    let mut text = Vec::new();
    while text.len() < max_tokens {
        let next = FakeEngine::greedy_after(&history, 257);
        let Ok(byte) = u8::try_from(next.0) else { break };
        history.push(next);
        text.push(byte);
    }
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn a_third_partys_worker_serves_its_format() {
    let server = toy_server().start().await;
    let models = server.ctl(&["models", "--json"]).await.json();
    let models = models["models"].as_array().unwrap();
    let blocks = models.iter().find(|model| model["name"] == "blocks").expect("the pattern finds it");
    assert_eq!((&blocks["format"], &blocks["state"]), (&json!("toy"), &json!("available")));

    let body = with(chat("hello"), &json!({"model": "blocks", "max_tokens": 24}));
    let whole = server.http.ask(&body).await;
    assert_eq!(whole.text, expected("user: hello\nassistant: ", 24));
    let streamed = server.http.stream(&body).await.whole().await;
    assert_eq!((&streamed.text, &streamed.finish_reason), (&whole.text, &whole.finish_reason));
    let raw = json!({"model": "blocks", "temperature": 0, "prompt": "abc", "max_tokens": 9});
    assert_eq!(server.http.ask(&raw).await.text, expected("abc", 9));

    let worker = server.find_worker("blocks").await.unwrap();
    assert_eq!((worker.format.as_str(), worker.slots_total), ("toy", 3));
    let refusal = server.http.refused(&with(body.clone(), &json!({"model": "fake"}))).await;
    assert_eq!((refusal.status, refusal.code.as_str()), (503, "model_load_failed"));
    assert!(refusal.message.contains("it does not begin with `toy`"), "{}", refusal.message);
    assert_eq!(server.http.ask(&chat("count from 1 to 5")).await.text, counted(5), "beside it, as ever");
    assert_eq!(server.http.ask(&body).await.text, whole.text);
}
