use std::time::Duration;

use futures::StreamExt;

use super::*;
use crate::fake::{
    self, Fake, MODEL, Step, accepted, completion, delta, finished, of_another_model, request,
};

/// Everything a request gives, as text, and the error it ends with.
async fn run(fake: &Fake) -> (String, Result<(), Error>) {
    let mut events = generate(fake.upstream(), request());
    let (mut text, mut n_accepted) = (String::new(), 0);
    while let Some(event) = events.next().await {
        match event {
            Ok(Event::Accepted { model, prompt_tokens }) => {
                assert_eq!((&*model, prompt_tokens), (MODEL, 5));
                n_accepted += 1;
            }
            Ok(Event::Delta { text: delta, .. }) => text.push_str(&delta),
            Ok(Event::Finished(finished)) => text.push_str(&finished.text),
            Err(error) => return (text, Err(error)),
        }
        assert_eq!(n_accepted, 1, "accepted comes first, and once");
    }
    (text, Ok(()))
}

/// Each script is one worker's life; `expected` is the whole text, or the text so far and the error's code.
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
    assert!(requests.iter().all(|request| *request == requests[0]), "every worker is asked the same");
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
async fn three_lost_workers_are_enough() {
    let lost = vec![accepted(), Step::Die];
    check(vec![lost.clone(), lost.clone(), lost], Err(("", Code::WorkerCrashed))).await;
    let leaving = vec![Step::Fail(Error::new(Code::Unavailable, "draining"))];
    check(vec![leaving.clone(), leaving.clone(), leaving], Err(("", Code::Unavailable))).await;
}

#[tokio::test(start_paused = true)]
async fn after_the_first_token_the_answer_ends_with_an_error() {
    let begun = |last| vec![accepted(), delta(0, &[1, 2], "ab"), last];
    let failed = Err(("ab", Code::WorkerCrashed));
    check(vec![begun(Step::Die)], failed).await;
    check(vec![begun(Step::End)], failed).await;
    check(vec![begun(Step::Fail(Error::new(Code::Unavailable, "leaving")))], failed).await;
    check(vec![begun(delta(1, &[2], "repeated"))], failed).await;
    check(vec![begun(delta(3, &[4], "gap"))], failed).await;
    check(vec![begun(finished(1, &[], "repeated"))], failed).await;
    check(vec![begun(of_another_model(delta(2, &[3], "stranger")))], failed).await;
    // A token that has no text yet has been received all the same.
    check(vec![vec![accepted(), delta(0, &[1], ""), Step::Die]], Err(("", Code::WorkerCrashed))).await;
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
    run(&fake).await.1.unwrap();
    assert_eq!(fake.requests()[0].model, MODEL, "the canonical name, not the alias");
    assert_eq!(fake.request_ids(), ["req-1", "req-1"], "supervisor and worker");
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
async fn leaving_while_waiting_releases() {
    let fake = Fake::start();
    fake.delay_lease(Duration::from_mins(1));
    let mut events = generate(fake.upstream(), request());
    tokio::time::timeout(Duration::from_secs(1), events.next()).await.unwrap_err();
    drop(events);
    fake.until_idle().await;
    assert!(fake.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_supervisors_refusal_is_the_answer() {
    for code in [Code::ModelNotFound, Code::ModelLoadFailed, Code::NoCapacity] {
        let fake = Fake::start();
        let refusal = Error::new(code, "no").with_retry_after(7);
        fake.refuse_lease(refusal.clone());
        assert_eq!(run(&fake).await, (String::new(), Err(refusal)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_is_away_for_a_moment_is_waited_for() {
    let fake = Fake::start();
    for _ in 0..3 {
        fake.refuse_lease(Error::new(Code::Unavailable, "starting"));
    }
    assert_eq!(run(&fake).await, ("ok".to_owned(), Ok(())));
}

#[tokio::test(start_paused = true)]
async fn a_supervisor_that_stays_away_is_not() {
    let upstream = Arc::new(Upstream::new("/nonexistent/supervisor.sock", Duration::from_mins(10)));
    let started = tokio::time::Instant::now();
    let error = generate(upstream, request()).next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!((9..12).contains(&started.elapsed().as_secs()), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_model_is_bounded() {
    let fake = Fake::start();
    fake.delay_lease(Duration::from_hours(1));
    let upstream = Arc::new(Upstream::new(&fake.socket(), Duration::from_mins(10)));
    let error = generate(upstream, fake::request()).next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(error.message.contains("600 s"), "{error}");
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
