mod poison;
mod replay;
mod sharing;
mod waiting;

use futures::StreamExt;
use impetus_proto::Code;

use super::*;
use crate::fake::{
    ALIAS, Fake, MODEL, Step, accepted, completion, delta, finished, of_another_model, request,
};

/// Everything a request gives, as text, and the error it ends with.
async fn run(fake: &Fake) -> (String, Result<(), Error>) {
    told(generate(fake.upstream(), request())).await
}

/// What the events say together. No token is told twice or left out.
async fn told(mut events: Events) -> (String, Result<(), Error>) {
    let (mut text, mut n_accepted, mut n_told) = (String::new(), 0, 0);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Accepted { model, prompt_tokens }) => {
                assert_eq!((&*model, prompt_tokens), (MODEL, 5));
                n_accepted += 1;
            }
            Ok(Event::Delta(delta)) => {
                text.push_str(&delta.text());
                n_told += delta.n_tokens;
            }
            Ok(Event::Finished(finished)) => {
                text.push_str(&finished.rest.text());
                n_told += finished.rest.n_tokens;
                assert_eq!(finished.usage.completion_tokens as usize, n_told);
            }
            Ok(Event::Prompt(prompt)) => panic!("nobody asked for an echo: {prompt:?}"),
            Err(error) => return (text, Err(error)),
        }
        assert_eq!(n_accepted, 1, "accepted comes first, and once");
    }
    (text, Ok(()))
}

/// Each script is one worker's share; `expected` is the whole text, or the text so far and the error's code.
async fn check(scripts: Vec<Vec<Step>>, expected: Result<&str, (&str, Code)>) {
    let fake = Fake::start();
    let n_workers = scripts.len();
    let what = format!("{scripts:?}");
    for script in scripts {
        fake.script(script);
    }
    let (text, end) = run(&fake).await;
    let outcome = match &end {
        Ok(()) => Ok(text.as_str()),
        Err(error) => Err((text.as_str(), error.code())),
    };
    assert_eq!(outcome, expected, "{what}: {end:?}");
    let requests = fake.requests();
    assert_eq!(requests.len(), n_workers, "{what}");
    for asked in &requests {
        let same = GenerateRequest { resume: asked.resume.clone(), ..requests[0].clone() };
        assert_eq!(*asked, same, "every worker is asked the same");
    }
    fake.until_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_completion_passes_through() {
    check(vec![completion("one two three")], Ok("one two three")).await;
    let held_back = vec![accepted(), delta(0, &[1], ""), delta(1, &[2, 3], "ab"), finished(3, &[], "c")];
    check(vec![held_back], Ok("abc")).await;
}

#[tokio::test(start_paused = true)]
async fn before_the_first_token_another_worker_takes_over() {
    let ours = |code| Step::Fail(Error::new(code, "leaving"));
    for lost in [
        vec![Step::Die],
        vec![Step::Crash],
        vec![accepted(), Step::Die],
        vec![Step::End],
        vec![accepted(), Step::End],
        vec![ours(Code::Unavailable)],
        vec![accepted(), ours(Code::Unavailable)],
        vec![ours(Code::WorkerCrashed)],
        vec![ours(Code::WrongModel)],
        vec![of_another_model(accepted())],
        vec![accepted(), of_another_model(delta(0, &[1], "x"))],
        vec![accepted(), delta(1, &[1], "x")],
        vec![delta(0, &[1], "x")],
    ] {
        check(vec![lost.clone(), completion("yes")], Ok("yes")).await;
        check(vec![lost.clone(), lost, completion("yes")], Ok("yes")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_wrong_with_the_request_is_said_once() {
    for code in
        [Code::InvalidRequest, Code::ContextLengthExceeded, Code::UnsupportedParameter, Code::Internal]
    {
        check(vec![vec![Step::Fail(Error::new(code, "no"))]], Err(("", code))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_asked_for_its_model_under_the_requests_id() {
    let fake = Fake::start();
    let asked = Request { keep_alive: Some(-1), ..request() };
    told(generate(fake.upstream(), asked)).await.1.unwrap();
    assert_eq!(fake.requests()[0].model, MODEL, "the canonical name, not the alias");
    assert_eq!(fake.request_ids(), ["req-1", "req-1"], "supervisor and worker");
    assert_eq!(fake.acquire_requests()[0].keep_alive_s, Some(-1));
}

#[tokio::test(start_paused = true)]
async fn leaving_cancels_and_releases() {
    let fake = Fake::start();
    fake.script([accepted(), delta(0, &[1], "a"), Step::Stall]);
    let mut events = generate(fake.upstream(), request());
    for _ in 0..2 {
        events.next().await.unwrap().unwrap();
    }
    fake.until_busy().await;
    drop(events);
    fake.until_idle().await;
}

#[tokio::test(start_paused = true)]
async fn many_at_once_share_a_connection() {
    let fake = Fake::start();
    let upstream = fake.upstream();
    // Held open together: each has its lease and its worker's answer, and none has finished.
    let mut running = Vec::new();
    for _ in 0..300 {
        fake.script([
            accepted(),
            delta(0, &[1], "a"),
            Step::Wait(Duration::from_secs(1)),
            finished(1, &[], "b"),
        ]);
        let mut events = generate(upstream.clone(), request());
        assert!(matches!(events.next().await, Some(Ok(Event::Accepted { .. }))));
        running.push(events);
    }
    for events in running {
        let ends = events.map(|event| event.is_ok()).collect::<Vec<_>>().await;
        assert_eq!(ends, [true, true]);
    }
    assert_eq!(upstream.status().await.unwrap(), impetus_proto::supervisor::StatusReply::default());
}
