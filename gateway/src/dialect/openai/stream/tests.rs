use std::sync::Arc;

use futures::stream;
use impetus_proto::{
    Code,
    worker::{FinishReason, Timings, Usage},
};

use super::*;
use crate::dialect::openai::{
    answer::{Envelope, Shape},
    chat_completions::ChatShape,
    completions::CompletionShape,
    fold::fold,
};

const KEEP_ALIVE: Duration = Duration::from_secs(10);

fn envelope(object: &'static str) -> Envelope {
    let (id, model) = ("id-1".to_owned(), "tiny".to_owned());
    Envelope { id, object, created: 1_700_000_000, model, system_fingerprint: "impetus-test" }
}

fn text(text: &str) -> Event {
    Event::Delta { text: text.into(), n_tokens: 1 }
}

fn end(reason: FinishReason, text: &str) -> Event {
    let usage = Usage { prompt_tokens: 12, cached_tokens: 10, completion_tokens: 3 };
    let timings = Timings { queue_us: 250, prefill_us: 4_000, decode_us: 10_000 };
    Event::Finished(Finished { reason, text: text.into(), n_tokens: 0, usage, timings })
}

fn accepted() -> Event {
    Event::Accepted { model: Arc::from("tiny"), prompt_tokens: 12 }
}

async fn written<S: Shape>(
    events: impl Stream<Item = Result<Event, Error>> + Send + Unpin + 'static,
    include_usage: bool,
) -> String {
    let chunks = S::chunks(envelope(S::CHUNK_OBJECT), include_usage);
    let frames: Vec<_> = body(chunks, events, KEEP_ALIVE).collect().await;
    frames.into_iter().map(|Ok(frame)| String::from_utf8(frame.to_vec()).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_chat_is_streamed() {
    let events = || {
        stream::iter([
            Ok(text("Hel")),
            Ok(text("")),
            Ok(text("lo \"x\"\n")),
            Ok(end(FinishReason::Stop, "!")),
        ])
    };
    insta::assert_snapshot!("chat", written::<ChatShape>(events(), false).await);
    insta::assert_snapshot!("chat_with_usage", written::<ChatShape>(events(), true).await);
}

#[tokio::test(start_paused = true)]
async fn a_completion_is_streamed() {
    let events = || stream::iter([Ok(text("one")), Ok(text(" two")), Ok(end(FinishReason::Length, ""))]);
    insta::assert_snapshot!("completion", written::<CompletionShape>(events(), false).await);
    insta::assert_snapshot!("completion_with_usage", written::<CompletionShape>(events(), true).await);
}

#[tokio::test(start_paused = true)]
async fn a_failure_ends_with_an_error_and_not_with_done() {
    let lost = Error::new(Code::WorkerCrashed, "the worker of \"tiny\" was lost after 1 tokens");
    insta::assert_snapshot!(
        "failure",
        written::<ChatShape>(stream::iter([Ok(text("Hel")), Err(lost)]), true).await
    );
    let unfinished = written::<ChatShape>(stream::iter([Ok(text("Hel"))]), false).await;
    assert!(unfinished.contains("internal_error") && !unfinished.contains("[DONE]"), "{unfinished}");
}

#[tokio::test(start_paused = true)]
async fn silence_is_filled_with_chunks_that_carry_nothing() {
    let slow = || {
        Box::pin(async_stream::stream! {
            tokio::time::sleep(KEEP_ALIVE * 5 / 2).await;
            yield Ok(accepted());
            // Tokens that have no text yet are silence to the client.
            for _ in 0..3 {
                tokio::time::sleep(KEEP_ALIVE * 2 / 5).await;
                yield Ok(text(""));
            }
            yield Ok(text("a"));
            tokio::time::sleep(KEEP_ALIVE / 2).await;
            yield Ok(text("b"));
            tokio::time::sleep(KEEP_ALIVE / 2).await;
            yield Ok(end(FinishReason::Stop, ""));
        })
    };
    insta::assert_snapshot!("silence", written::<ChatShape>(slow(), false).await);
    insta::assert_snapshot!("silence_completion", written::<CompletionShape>(slow(), false).await);
}

#[tokio::test]
async fn a_unary_answer_is_the_fold_of_the_same_events() {
    let events = stream::iter([
        Ok(accepted()),
        Ok(text("Hel")),
        Ok(text("")),
        Ok(text("lo")),
        Ok(end(FinishReason::Stop, "!")),
    ]);
    let completed = fold(events).await.unwrap();
    assert_eq!((&*completed.model, completed.text.as_str()), ("tiny", "Hello!"));
    let whole = |value| serde_json::to_string_pretty(&value).unwrap();
    let chat = ChatShape::whole(envelope(ChatShape::OBJECT), &completed);
    insta::assert_snapshot!("chat_whole", whole(serde_json::to_value(chat).unwrap()));
    let completion = CompletionShape::whole(envelope(CompletionShape::OBJECT), &completed);
    insta::assert_snapshot!("completion_whole", whole(serde_json::to_value(completion).unwrap()));

    let lost = Error::new(Code::WorkerCrashed, "lost");
    assert_eq!(fold(stream::iter([Ok(text("a")), Err(lost.clone())])).await, Err(lost));
    assert_eq!(fold(stream::iter([Ok(text("a"))])).await.unwrap_err().code(), Code::Internal);
}
