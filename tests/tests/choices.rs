//! Several choices of one answer.

use serde_json::{Value, json};

use crate::{
    chat::{counted, with},
    harness::{Event, Server, Setup, chat, completion},
};

fn texts(answer: &Value) -> Vec<&str> {
    let choices = answer["choices"].as_array().unwrap_or_else(|| panic!("no choices: {answer}"));
    assert!(choices.iter().enumerate().all(|(idx, choice)| choice["index"] == idx), "{answer}");
    choices.iter().map(|choice| choice["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn choices_differ_by_their_seed_and_are_the_same_streamed() {
    let server = Server::plain().await;
    let body = with(completion("Xq vlurb"), &json!({"n": 4, "temperature": 2, "seed": 3, "max_tokens": 40}));
    let whole: Value = server.http.post(&body).await.json().await.unwrap();
    let whole_texts = texts(&whole);
    assert_eq!(whole_texts.len(), 4);
    let mut different = whole_texts.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), 4, "{whole_texts:?}");

    let events = server.http.stream(&body).await.rest().await;
    let Some((Event::Done, chunks)) = events.split_last() else { panic!("{events:?}") };
    let mut streamed = vec![String::new(); 4];
    let mut finished = [0; 4];
    for chunk in chunks {
        let Event::Chunk(chunk) = chunk else { panic!("{chunk:?}") };
        for choice in chunk["choices"].as_array().unwrap() {
            let index = choice["index"].as_u64().unwrap() as usize;
            streamed[index].push_str(choice["text"].as_str().unwrap_or_default());
            finished[index] += usize::from(choice["finish_reason"].is_string());
        }
    }
    assert_eq!((streamed, finished), (whole_texts.iter().map(ToString::to_string).collect(), [1; 4]));
    // The first choice is what one alone would be.
    let alone = server.http.ask(&with(body, &json!({"n": 1}))).await;
    assert_eq!(alone.text, whole_texts[0]);
}

#[tokio::test]
async fn more_choices_than_slots_take_their_turns() {
    let server = Setup::new().set("workers.gguf.slots=2").start().await;
    let body = with(chat("count from 1 to 12"), &json!({"n": 5}));
    let answer: Value = server.http.post(&body).await.json().await.unwrap();
    let choices = answer["choices"].as_array().unwrap();
    assert_eq!(choices.len(), 5);
    assert!(choices.iter().all(|choice| choice["message"]["content"] == counted(12)), "{answer}");
    let one = server.http.ask(&chat("count from 1 to 12")).await;
    let tokens = |usage: &Value, name: &str| usage[name].as_u64().unwrap();
    let usage = &answer["usage"];
    assert_eq!(tokens(usage, "completion_tokens"), 5 * tokens(&one.usage, "completion_tokens"));
    assert_eq!(tokens(usage, "prompt_tokens"), tokens(&one.usage, "prompt_tokens"), "one prompt for all");
}
