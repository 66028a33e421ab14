//! Waiting: what clients are told meanwhile, how long they wait at most, and that one model's crowd is no other's.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::{
    chat::{counted, with},
    harness::{Event, EventStream, Refusal, Setup, chat, eventually},
};

fn scripted(model: &str, max_tokens: u32) -> Value {
    with(chat("hello"), &json!({"model": model, "max_tokens": max_tokens}))
}

#[tokio::test]
async fn a_client_that_waits_for_a_load_gets_events_that_carry_nothing() {
    let setup = Setup::new().with_fake("slow", "load_ms = 2600").set("gateway.keep_alive_s=1");
    let server = setup.start().await;
    let mut body = scripted("slow", 4);
    body["stream"] = json!(true);
    let events = EventStream::of(server.http.post(&body).await).rest().await;
    let Some((Event::Done, chunks)) = events.split_last() else { panic!("{events:?}") };
    let content = |event: &&Event| match event {
        Event::Chunk(chunk) => {
            let choice = &chunk["choices"][0];
            choice["delta"]["content"].as_str().unwrap_or_default().is_empty()
                && choice["finish_reason"].is_null()
        }
        other => panic!("{other:?}"),
    };
    let empty = chunks.iter().filter(content).count();
    assert!(empty >= 2, "{empty} events carried nothing in two seconds and a half: {chunks:?}");
}

#[tokio::test]
async fn a_crowd_before_one_model_is_turned_away_and_no_other_model_notices() {
    let setup = Setup::new().with_fake("narrow", "step_ms = 10").set("workers.fake.slots=1");
    let server = setup.set("gateway.max_queue=3").start().await;
    // How many a worker takes at once is known when there is one.
    server.http.ask(&scripted("narrow", 1)).await;
    let body = scripted("narrow", 60);
    let crowd = join_all((0..10).map(|_| server.http.post(&body)));
    let other = chat("count from 1 to 10");
    let (crowd, other) = tokio::join!(crowd, server.http.ask(&other));
    assert_eq!(other.text, counted(10));
    let (mut answered, mut refused) = (0, 0);
    for response in crowd {
        if response.status() == 200 {
            answered += 1;
            continue;
        }
        let refusal = Refusal::of(response).await;
        assert_eq!((refusal.status, refusal.code.as_str()), (429, "queue_full"), "{}", refusal.message);
        assert!(refusal.headers.contains_key("retry-after"), "{:?}", refusal.headers);
        refused += 1;
    }
    // One is generated, another is with the worker, and three wait.
    assert!(
        answered >= 4 && refused >= 1 && answered + refused == 10,
        "{answered} answered, {refused} refused"
    );
}

#[tokio::test]
async fn a_request_past_its_time_gets_an_honest_error() {
    let setup = Setup::new().with_fake("slow", "step_ms = 20").set("gateway.request_timeout_s=1");
    let server = setup.start().await;
    let body = scripted("slow", 200);
    let response = server.http.post(&body).await;
    assert_eq!(response.status(), 504);
    let error: Value = response.json().await.unwrap();
    assert_eq!(
        (&error["error"]["code"], &error["error"]["retryable"]),
        (&json!("deadline_exceeded"), &json!(true)),
        "{error}"
    );
    let events = server.http.stream(&body).await.rest().await;
    let Some(Event::Error(error)) = events.last() else { panic!("no error at the end of {events:?}") };
    assert_eq!(error["error"]["retryable"], true, "{error}");
    assert!(events.len() > 5, "what came in time was passed on: {events:?}");
}

#[tokio::test]
async fn a_request_says_how_long_its_model_stays() {
    let server = Setup::new().with_fake("guest", "").start().await;
    server.http.ask(&scripted("guest", 3)).await;
    assert!(server.find_worker("guest").await.is_some_and(|worker| worker.state == "ready"));
    server.http.ask(&with(scripted("guest", 3), &json!({"keep_alive": 0}))).await;
    eventually("the model is gone", || async {
        server.find_worker("guest").await.is_none_or(|worker| worker.pid == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn more_tokens_than_there_is_room_for_are_as_many_as_there_is() {
    let server = Setup::new().with_fake("small", "").set("workers.fake.context=64").start().await;
    let answer = server.http.ask(&scripted("small", 1000)).await;
    let prompt = answer.usage["prompt_tokens"].as_u64().unwrap();
    assert_eq!((answer.finish_reason.as_str(), answer.text.len() as u64), ("length", 64 - prompt));
}
