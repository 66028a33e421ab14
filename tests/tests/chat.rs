//! Answers, whole and streamed.

use serde_json::{Value, json};

use crate::harness::{Event, Server, chat, completion};

/// `1, 2, 3, …` up to `last`.
pub(crate) fn counted(last: u32) -> String {
    (1..=last).map(|n| n.to_string()).collect::<Vec<_>>().join(", ")
}

/// `body` with further fields.
pub(crate) fn with(mut body: Value, more: &Value) -> Value {
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

#[tokio::test]
async fn a_stream_and_a_whole_answer_are_equal() {
    let server = Server::plain().await;
    let seeded = json!({"temperature": 1.2, "top_p": 0.95, "seed": 7, "max_tokens": 60});
    let check = async |body: Value, text: Option<&str>| {
        let whole = server.http.ask(&body).await;
        let streamed = server.http.stream(&body).await.whole().await;
        assert_eq!((&streamed.text, &streamed.finish_reason), (&whole.text, &whole.finish_reason), "{body}");
        for count in ["prompt_tokens", "completion_tokens", "total_tokens"] {
            assert_eq!(streamed.usage[count], whole.usage[count], "{count} of {body}");
        }
        if let Some(text) = text {
            assert_eq!(whole.text, text, "{body}");
        }
    };
    check(chat("count from 1 to 20"), Some(&counted(20))).await;
    check(chat("Repeat after me: hello world"), Some("hello world")).await;
    check(with(chat("Tell me a long story"), &seeded), None).await;
    check(with(completion("Once upon a time"), &json!({"max_tokens": 24})), None).await;
    check(with(completion("Once upon a time"), &seeded), None).await;
    check(with(completion(""), &json!({"prompt": [100, 101, 102], "max_tokens": 5})), None).await;
}

#[tokio::test]
async fn chunks_have_openais_shape() {
    let server = Server::plain().await;
    let mut body = chat("count from 1 to 3");
    body["stream"] = json!(true);
    let response = server.http.post(&body).await;
    assert_eq!(response.headers()["cache-control"], "no-cache");
    let events = crate::harness::EventStream::of(response).rest().await;
    let Some((Event::Done, chunks)) = events.split_last() else { panic!("{events:?}") };
    let chunks: Vec<&Value> = chunks
        .iter()
        .map(|event| match event {
            Event::Chunk(chunk) => chunk,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    for chunk in &chunks {
        assert_eq!(chunk["object"], "chat.completion.chunk");
        assert_eq!((&chunk["id"], &chunk["model"]), (&chunks[0]["id"], &json!("impetus-tiny")));
        assert!(chunk.get("usage").is_none(), "nobody asked for the usage: {chunk}");
    }
    let last = chunks.last().unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!(last["choices"][0]["delta"], json!({}));
}

#[tokio::test]
async fn a_conversation_is_remembered_and_its_prefix_reused() {
    let server = Server::plain().await;
    let mut body = chat("My name is Ada.");
    let first = server.http.ask(&body).await;
    body["messages"].as_array_mut().unwrap().extend([
        json!({"role": "assistant", "content": first.text}),
        json!({"role": "user", "content": [{"type": "text", "text": "What is my name?"}]}),
    ]);
    let second = server.http.ask(&body).await;
    assert_eq!(second.text, "Your name is Ada.");
    let cached = second.usage["prompt_tokens_details"]["cached_tokens"].as_u64().unwrap();
    let prompt = first.usage["prompt_tokens"].as_u64().unwrap();
    assert!(cached >= prompt, "{cached} cached tokens, {prompt} tokens in the first prompt");
}
