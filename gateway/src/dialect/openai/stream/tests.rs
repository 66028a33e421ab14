use std::sync::Arc;

use futures::stream;
use impetus_proto::{
    Code,
    worker::{self, FinishReason},
};

use super::*;
use crate::dialect::frames::PADDED_BYTES;
use crate::{
    dialect::{
        fold::{Completed, fold},
        openai::{answer, chat_completions::ChatCompletions, completions::Completions},
    },
    upstream::{Delta, Finished, Part},
};

mod allocation;
mod part;

const KEEP_ALIVE: Duration = Duration::from_secs(10);

fn envelope(object: &'static str) -> Envelope {
    let (id, model) = ("id-1".to_owned(), "tiny".to_owned());
    Envelope {
        id,
        object,
        created: 1_700_000_000,
        model,
        system_fingerprint: "impetus-test",
        service_tier: None,
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it stands beside errors in a stream")]
fn of(index: u32, event: Event) -> Result<ChoiceEvent, Error> {
    Ok(ChoiceEvent { index, event })
}

fn accepted(index: u32) -> Result<ChoiceEvent, Error> {
    of(index, Event::Accepted { model: Arc::from("tiny"), prompt_tokens: 12 })
}

fn saying(text: &str) -> Delta {
    let parts = if text.is_empty() { Vec::new() } else { vec![Part::Text(text.into())] };
    Delta { parts, ..Delta::default() }
}

fn text(index: u32, text: &str) -> Result<ChoiceEvent, Error> {
    of(index, Event::Delta(Delta { n_tokens: 1, ..saying(text) }))
}

fn end(index: u32, reason: FinishReason, text: &str) -> Result<ChoiceEvent, Error> {
    // Each later choice has found more of the prompt and has taken longer.
    let usage = worker::Usage {
        prompt_tokens: 12,
        cached_tokens: 10 + index,
        completion_tokens: 3 + index,
        reasoning_tokens: 0,
    };
    let timings = worker::Timings {
        queue_us: 250,
        prefill_us: 4_000 - 1_000 * u64::from(index),
        decode_us: 10_000 + 10_000 * u64::from(index),
        tokenize_us: 500,
    };
    let lease = Duration::from_micros(750);
    let rest = saying(text);
    of(index, Event::Finished(Finished { reason, rest, usage, timings, lease, ..Finished::default() }))
}

fn lost() -> Error {
    Error::new(Code::WorkerCrashed, "the request crashes the workers of \"tiny\"")
}

fn count(n_each: u32) -> Count {
    Count { n_prompts: 1, n_each }
}

fn head<S: Shape + Default>(n_choices: u32, delivery: Delivery) -> Head<S> {
    let (envelope, shape) = (envelope(S::CHUNK_OBJECT), S::default());
    Head { envelope, shape, delivery, count: count(n_choices), keep_alive: KEEP_ALIVE }
}

async fn written<S: Shape + Default>(
    n_choices: u32,
    include_usage: bool,
    events: impl Stream<Item = Result<ChoiceEvent, Error>> + Send + Unpin + 'static,
) -> String {
    let usage = if include_usage { UsageAsked::AtTheEnd } else { UsageAsked::Never };
    let delivery = Delivery { is_streamed: true, usage, ..Delivery::default() };
    let frames: Vec<_> = body(head::<S>(n_choices, delivery), events).collect().await;
    frames.into_iter().map(|Ok(frame)| String::from_utf8(frame.to_vec()).unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_chat_is_streamed() {
    let events = || {
        stream::iter([text(0, "Hel"), text(0, ""), text(0, "lo \"x\"\n"), end(0, FinishReason::Stop, "!")])
    };
    insta::assert_snapshot!("chat", written::<ChatCompletions>(1, false, events()).await);
    insta::assert_snapshot!("chat_with_usage", written::<ChatCompletions>(1, true, events()).await);
}

#[tokio::test(start_paused = true)]
async fn a_completion_is_streamed() {
    let events = || stream::iter([text(0, "one"), text(0, " two"), end(0, FinishReason::Length, "")]);
    insta::assert_snapshot!("completion", written::<Completions>(1, false, events()).await);
    insta::assert_snapshot!("completion_with_usage", written::<Completions>(1, true, events()).await);
}

#[tokio::test(start_paused = true)]
async fn choices_are_streamed_side_by_side() {
    let events = || {
        stream::iter([
            text(0, "one"),
            accepted(1),
            text(1, "uno"),
            end(1, FinishReason::Stop, " dos"),
            text(0, " two"),
            end(0, FinishReason::Length, ""),
        ])
    };
    insta::assert_snapshot!("chat_choices", written::<ChatCompletions>(2, true, events()).await);
    insta::assert_snapshot!("completion_choices", written::<Completions>(2, false, events()).await);
}

#[tokio::test(start_paused = true)]
async fn what_is_at_hand_leaves_together_and_waits_for_nothing() {
    let events = Box::pin(async_stream::stream! {
        yield text(0, "a");
        yield text(0, "b");
        tokio::time::sleep(Duration::from_millis(1)).await;
        yield text(0, "c");
        tokio::time::sleep(Duration::from_millis(1)).await;
        for _ in 0..1000 {
            yield text(0, "flood");
        }
        yield end(0, FinishReason::Stop, "");
    });
    let frames: Vec<Bytes> =
        body(head::<Completions>(1, Delivery::default()), events).map(|Ok(frame)| frame).collect().await;
    let counts: Vec<usize> =
        frames.iter().map(|frame| frame.windows(6).filter(|window| window == b"data: ").count()).collect();
    assert_eq!((counts[0], counts[1], counts.iter().sum()), (2, 1, 2 + 1 + 1000 + 2), "{counts:?}");
    assert!(counts.len() > 4 && frames.iter().all(|frame| frame.len() < 17 << 10), "{counts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_failure_ends_with_an_error_and_not_with_done() {
    insta::assert_snapshot!(
        "failure",
        written::<ChatCompletions>(1, true, stream::iter([text(0, "Hel"), Err(lost())])).await
    );
    let ended = [end(1, FinishReason::Stop, ""), Err(lost()), text(0, "more")];
    insta::assert_snapshot!(
        "failure_of_one_choice",
        written::<Completions>(2, false, stream::iter(ended)).await
    );
    for (n_choices, events) in [(1, vec![text(0, "Hel")]), (2, vec![end(0, FinishReason::Stop, "")])] {
        let unfinished = written::<ChatCompletions>(n_choices, false, stream::iter(events)).await;
        assert!(unfinished.contains("internal_error") && !unfinished.contains("[DONE]"), "{unfinished}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_choice_that_fails_cancels_the_others_before_it_is_told() {
    let (held, is_dropped) = tokio::sync::oneshot::channel::<()>();
    let events = Box::pin(async_stream::stream! {
        let _held = held;
        yield Err(lost());
        std::future::pending::<()>().await;
    });
    let mut frames = Box::pin(body(head::<Completions>(2, Delivery::default()), events));
    let Some(Ok(error)) = frames.next().await else { panic!("there is an error to tell") };
    assert!(error.windows(14).any(|window| window == b"worker_crashed"), "{error:?}");
    assert!(is_dropped.await.is_err(), "nobody holds the other choices");
}

#[tokio::test(start_paused = true)]
async fn silence_is_filled_with_chunks_that_carry_nothing() {
    let slow = || {
        Box::pin(async_stream::stream! {
            tokio::time::sleep(KEEP_ALIVE * 5 / 2).await;
            yield accepted(0);
            // Tokens that have no text yet are silence to the client.
            for _ in 0..3 {
                tokio::time::sleep(KEEP_ALIVE * 2 / 5).await;
                yield text(0, "");
            }
            yield text(0, "a");
            tokio::time::sleep(KEEP_ALIVE / 2).await;
            yield text(0, "b");
            tokio::time::sleep(KEEP_ALIVE / 2).await;
            yield end(0, FinishReason::Stop, "");
        })
    };
    insta::assert_snapshot!("silence", written::<ChatCompletions>(1, false, slow()).await);
    insta::assert_snapshot!("silence_completion", written::<Completions>(1, false, slow()).await);
}

#[tokio::test(start_paused = true)]
async fn a_sign_of_life_is_given_for_a_choice_that_goes_on() {
    let slow = Box::pin(async_stream::stream! {
        yield end(0, FinishReason::Stop, "");
        tokio::time::sleep(KEEP_ALIVE * 3 / 2).await;
        yield end(1, FinishReason::Stop, "");
    });
    let written = written::<Completions>(2, false, slow).await;
    let indices = written.matches(r#""index":0"#).count()..written.matches(r#""index":1"#).count();
    assert_eq!(indices, 1..2, "{written}");
}

#[tokio::test]
async fn a_unary_answer_is_the_fold_of_the_same_events() {
    let events = [accepted(0), text(0, "Hel"), text(0, ""), text(0, "lo"), end(0, FinishReason::Stop, "!")];
    let completed = fold(stream::iter(events), count(1)).await.unwrap();
    insta::assert_snapshot!("chat_whole", whole::<ChatCompletions>(completed.clone()));
    insta::assert_snapshot!("completion_whole", whole::<Completions>(completed));

    let events =
        [accepted(0), accepted(1), end(1, FinishReason::Length, "uno"), end(0, FinishReason::Stop, "one")];
    let completed = fold(stream::iter(events), count(2)).await.unwrap();
    let told: Vec<_> = completed.choices.iter().map(|choice| (choice.text.as_str(), choice.reason)).collect();
    assert_eq!(told, [("one", FinishReason::Stop), ("uno", FinishReason::Length)]);
    insta::assert_snapshot!("chat_choices_whole", whole::<ChatCompletions>(completed));

    assert_eq!(fold(stream::iter([text(0, "a"), Err(lost())]), count(1)).await, Err(lost()));
    assert_eq!(
        fold(stream::iter([end(0, FinishReason::Stop, ""), Err(lost())]), count(2)).await,
        Err(lost())
    );
    for (n_choices, said) in [(1, text(0, "a")), (2, end(0, FinishReason::Stop, ""))] {
        assert_eq!(fold(stream::iter([said]), count(n_choices)).await.unwrap_err().code(), Code::Internal);
    }
}

fn whole<S: Shape + Default>(completed: Completed) -> String {
    let whole = answer::whole(envelope(S::OBJECT), &S::default(), completed);
    serde_json::to_string_pretty(&serde_json::to_value(whole).unwrap()).unwrap()
}
