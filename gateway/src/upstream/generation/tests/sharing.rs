//! Requests that share a hold.

use std::sync::Arc;

use super::*;

const OK: (&str, Result<(), Error>) = ("ok", Ok(()));

/// A request that is under way; the next ones are answered at once.
async fn begun(fake: &Fake) -> (Arc<Upstream>, Events) {
    fake.script([
        accepted(),
        delta(0, &[100], "o"),
        Step::Stall,
        delta(1, &[101], "k"),
        finished(2, &[2], ""),
    ]);
    let upstream = fake.upstream();
    let mut first = generate(upstream.clone(), request());
    first.next().await.unwrap().unwrap();
    (upstream, first)
}

async fn ask(upstream: &Arc<Upstream>, request: Request) {
    let (text, end) = told(generate(upstream.clone(), request)).await;
    assert_eq!((text.as_str(), end), OK);
}

#[tokio::test(start_paused = true)]
async fn requests_for_the_same_share_a_hold_which_is_given_back() {
    let fake = Fake::start();
    let (upstream, first) = begun(&fake).await;
    ask(&upstream, request()).await;
    ask(&upstream, request()).await;
    assert_eq!(fake.acquire_requests().len(), 1);
    drop(first);
    fake.until_idle().await;
    ask(&upstream, request()).await;
    assert_eq!(fake.acquire_requests().len(), 2);
    fake.until_idle().await;
}

#[tokio::test(start_paused = true)]
async fn another_name_or_a_wish_for_the_models_stay_is_told_to_the_supervisor() {
    let fake = Fake::start();
    let (upstream, first) = begun(&fake).await;
    ask(&upstream, Request { model: MODEL.into(), ..request() }).await;
    ask(&upstream, Request { keep_alive: Some(60), ..request() }).await;
    let asked = fake.acquire_requests();
    let told: Vec<_> = asked.iter().map(|request| (request.model.as_str(), request.keep_alive_s)).collect();
    assert_eq!(told, [(ALIAS, None), (MODEL, None), (ALIAS, Some(60))]);
    drop(first);
    fake.until_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_hold_that_retires_serves_whom_it_has_and_nobody_new() {
    let fake = Fake::start();
    let (upstream, mut first) = begun(&fake).await;
    fake.retire_holds();
    // Some may come before the word is there.
    while fake.acquire_requests().len() == 1 {
        ask(&upstream, request()).await;
    }
    assert!(matches!(first.next().await, Some(Ok(Event::Delta(_)))), "it goes on");
    drop(first);
    fake.until_idle().await;
}
