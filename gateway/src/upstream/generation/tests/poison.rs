//! A request that crashes its workers, among others that do not.

use impetus_proto::worker::generate_request::Input;

use super::*;
use crate::{fake::rest, upstream::Asked};

const TEXT: &str = "one two three";

fn prompt(id: usize, text: &str) -> Request {
    let generate = GenerateRequest { input: Some(Input::Text(text.into())), ..GenerateRequest::default() };
    let asked = Asked { id: format!("req-{id}").into(), ..request().asked };
    Request { asked, generate, ..request() }
}

/// Workers that a request with the prompt "poison" crashes after `n_tokens`.
fn vulnerable(n_tokens: usize) -> Fake {
    let fake = Fake::start();
    fake.answer_with(move |request| {
        let n_resumed = request.resume.as_ref().map_or(0, |resume| resume.tokens.len());
        let mut steps = rest(request, TEXT);
        if request.input == Some(Input::Text("poison".into())) {
            steps.truncate(1 + n_tokens.saturating_sub(n_resumed));
            steps.push(Step::Crash);
        } else {
            steps.insert(1, Step::Wait(Duration::from_millis(20)));
        }
        steps
    });
    fake
}

#[tokio::test(start_paused = true)]
async fn one_poison_among_many_fails_alone_and_is_refused_from_then_on() {
    for n_tokens in [0, 2] {
        let fake = vulnerable(n_tokens);
        let upstream = fake.upstream();
        let run = |id: usize, text: &str| tokio::spawn(told(generate(upstream.clone(), prompt(id, text))));
        let poison = run(0, "poison");
        let good: Vec<_> = (1..32).map(|id| run(id, &format!("good {id}"))).collect();
        for good in good {
            assert_eq!(good.await.unwrap(), (TEXT.to_owned(), Ok(())));
        }
        let error = poison.await.unwrap().1.unwrap_err();
        assert_eq!(error.code(), Code::WorkerCrashed);
        assert!(error.message.contains("3 workers") && error.message.contains("SIGSEGV"), "{error}");
        let n_asked = fake.acquire_requests().len();
        let refused = run(99, "poison").await.unwrap().1.unwrap_err();
        assert_eq!(refused.code(), Code::WorkerCrashed);
        assert!(refused.message.contains("refused for another"), "{refused}");
        assert_eq!(fake.acquire_requests().len(), n_asked, "nobody is asked for a worker");
        assert_eq!(run(100, "good").await.unwrap(), (TEXT.to_owned(), Ok(())));
        fake.until_idle().await;
    }
}

#[tokio::test(start_paused = true)]
async fn when_the_poison_is_found_nobody_else_has_to_be_alone() {
    let fake = vulnerable(0);
    fake.leave_alone("req-0");
    fake.set_slots(2);
    let upstream = fake.upstream();
    let run = |id: usize, text: &str| tokio::spawn(told(generate(upstream.clone(), prompt(id, text))));
    let mut good: Vec<_> = (1..4).map(|id| run(id, &format!("good {id}"))).collect();
    let poison = run(0, "poison");
    // Those that waited for their turn go first, while the suspects wait to be tried.
    good.extend((4..12).map(|id| run(id, &format!("good {id}"))));
    assert_eq!(poison.await.unwrap().1.unwrap_err().code(), Code::WorkerCrashed);
    for good in good {
        assert_eq!(good.await.unwrap(), (TEXT.to_owned(), Ok(())));
    }
    let asked = fake.acquire_requests();
    assert!(asked.iter().any(|request| request.alone && request.request_id == "req-1"), "{asked:?}");
    fake.until_idle().await;
}

#[tokio::test(start_paused = true)]
async fn who_was_near_two_crashes_is_served_alone_and_well() {
    let fake = Fake::start();
    fake.script([accepted(), Step::Crash]);
    fake.script([accepted(), Step::Crash]);
    fake.script([accepted(), Step::Die]);
    assert_eq!(run(&fake).await, ("ok".to_owned(), Ok(())));
    let alone: Vec<bool> = fake.acquire_requests().iter().map(|request| request.alone).collect();
    assert_eq!(alone, [false, false, true, true]);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_gets_further_alone_may_try_again_but_not_for_ever() {
    let fake = Fake::start();
    fake.answer_with(|request| {
        let mut steps = rest(request, "a b c d e f g h i j k l m n");
        steps.truncate(2);
        steps.push(Step::Crash);
        steps
    });
    let (text, end) = run(&fake).await;
    assert_eq!((text.as_str(), end.unwrap_err().code()), ("a b c d e f g h ", Code::WorkerCrashed));
}

#[tokio::test(start_paused = true)]
async fn a_crash_that_found_a_request_still_waiting_is_none_of_its_doing() {
    let fake = Fake::start();
    fake.set_slots(1);
    let upstream = fake.upstream();
    fake.answer_with(|request| {
        let crashes = request.input == Some(Input::Text("poison".into()));
        let crash = || vec![accepted(), Step::Wait(Duration::from_secs(1)), Step::Crash];
        if crashes { crash() } else { rest(request, TEXT) }
    });
    let mut poisons = [0, 1].map(|id| generate(upstream.clone(), prompt(id, "poison")));
    for poison in &mut poisons {
        poison.next().await.unwrap().unwrap();
    }
    let run = |id: usize, text: &str| tokio::spawn(told(generate(upstream.clone(), prompt(id, text))));
    let good: Vec<_> = (2..8).map(|id| run(id, &format!("good {id}"))).collect();
    let [first, second] = poisons.map(|poison| tokio::spawn(poison.collect::<Vec<_>>()));
    for poison in [first, second] {
        let error = poison.await.unwrap().pop().unwrap().unwrap_err();
        assert_eq!(error.code(), Code::WorkerCrashed);
    }
    for good in good {
        assert_eq!(good.await.unwrap(), (TEXT.to_owned(), Ok(())));
    }
    let is_poison = |id: &str| ["req-0", "req-1"].contains(&id);
    let asked = fake.acquire_requests();
    assert!(asked.iter().all(|request| !request.alone || is_poison(&request.request_id)), "{asked:?}");
}
