//! Many requests at once: each gets the answer that it would get alone, and they share the engine's steps.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    chat::{counted, with},
    harness::{Answer, BUNDLED, MODEL, Server, Setup, chat, eventually},
};

const PROMPTS: [&str; 8] = [
    "count from 1 to 40",
    "count from 1 to 45",
    "count from 1 to 50",
    "count from 1 to 55",
    "count from 1 to 60",
    "Tell me a long story",
    "count from 1 to 35",
    "What happens when a worker crashes?",
];

fn bodies(model: &str) -> [Value; 8] {
    PROMPTS.map(|prompt| with(chat(prompt), &json!({"model": model})))
}

async fn alone(server: &Server, model: &str) -> Vec<Answer> {
    let mut answers = Vec::new();
    for body in bodies(model) {
        answers.push(server.http.ask(&body).await);
    }
    answers
}

async fn together(server: &Server, model: &str) -> Vec<Answer> {
    let bodies = bodies(model);
    join_all(bodies.iter().map(async |body| server.http.stream(body).await.whole().await)).await
}

fn texts(answers: &[Answer]) -> Vec<&str> {
    answers.iter().map(|answer| answer.text.as_str()).collect()
}

#[tokio::test]
async fn eight_chats_at_once_are_correct_and_share_steps() {
    let eight = |setup: Setup, format| setup.set(&format!("workers.{format}.slots=8"));
    let server = ["gguf", "candle", "onnx"].into_iter().fold(Setup::in_all_formats(), eight).start().await;
    for model in BUNDLED {
        let expected = alone(&server, model).await;
        assert_eq!(expected[2].text, counted(50));
        let before = server.control.stats(model).await;
        let answers = together(&server, model).await;
        assert_eq!(texts(&answers), texts(&expected), "{model}");
        let after = server.control.stats(model).await;
        let (steps, tokens) =
            (after.steps - before.steps, after.completion_tokens - before.completion_tokens);
        // Were they perfectly together, there would be as many steps as the longest answer has tokens: about a sixth.
        assert!(tokens > 800 && steps * 3 < tokens, "{model}: {steps} steps for {tokens} tokens");
    }
}

#[tokio::test]
async fn more_chats_than_slots_wait_their_turn() {
    let server = Setup::new().set("workers.gguf.slots=2").start().await;
    let expected = alone(&server, MODEL).await;
    assert_eq!(texts(&together(&server, MODEL).await), texts(&expected));
    // An answer is out a moment before it is counted.
    let counted = async || Some(server.control.stats(MODEL).await).filter(|stats| stats.finished == 16);
    let stats = eventually("all are counted", counted).await;
    assert_eq!((stats.cancelled, stats.waiting, stats.slots_total), (0, 0, 2));
}

#[tokio::test]
async fn a_client_that_leaves_frees_its_slot() {
    let server = Setup::new().set("workers.gguf.slots=1").start().await;
    let endless = crate::crash::endless();
    let mut stream = server.http.stream(&endless).await;
    stream.read_texts(2).await;
    server.worker_when("the slot is busy", |worker| worker.slots_busy == 1 && worker.leases == 1).await;
    drop(stream);
    server.worker_when("the slot is free", |worker| worker.slots_busy == 0 && worker.leases == 0).await;
    assert_eq!(server.control.stats("impetus-tiny").await.cancelled, 1);

    {
        // One that waits for its whole answer.
        let whole = server.http.post(&endless);
        let busy = server.worker_when("the slot is busy", |worker| worker.slots_busy == 1);
        tokio::select! {
            response = whole => panic!("too early: {response:?}"),
            _ = busy => {}
        }
    }
    server.worker_when("the slot is free", |worker| worker.slots_busy == 0 && worker.leases == 0).await;
    let stats = server.control.stats("impetus-tiny").await;
    assert_eq!((stats.cancelled, stats.finished), (2, 0));
    assert_eq!(server.http.ask(&chat("count from 1 to 10")).await.text, counted(10));
}
