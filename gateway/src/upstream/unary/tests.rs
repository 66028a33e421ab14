use std::time::Duration;

use impetus_proto::{Code, worker::tokenize_request::Input};

use super::*;
use crate::fake::{ALIAS, Call, Fake, MODEL, Step, call::BEGIN, request};

fn caller() -> Caller {
    Caller { id: "req-1".into(), model: ALIAS.into(), keep_alive: None }
}

fn text(text: &str) -> TokenizeRequest {
    TokenizeRequest { input: Some(Input::Text(text.into())), ..TokenizeRequest::default() }
}

/// What becomes of a question that workers answer as `script` says, one after the other; `n_asked` is how often it is
/// asked.
async fn check(script: Vec<Call<TokenizeReply>>, expected: Result<&[u32], Code>, n_asked: usize) {
    let fake = Fake::start();
    let what = format!("{script:?}");
    fake.script_tokenizes(script);
    let reply = tokenize(&fake.upstream(), caller(), text("ab")).await;
    let found = reply.as_ref().map(|reply| reply.tokens.as_slice()).map_err(Error::code);
    assert_eq!(found, expected, "{what}");
    let requests = fake.tokenize_requests();
    assert_eq!(requests.len(), n_asked, "{what}");
    assert!(requests.iter().all(|request| request.model == MODEL), "{requests:?}");
    fake.until_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_question_is_asked_until_a_worker_lives_to_answer_it() {
    let whole: Result<&[u32], Code> = Ok(&[BEGIN, 97, 98]);
    check(vec![], whole, 1).await;
    check(vec![Call::Die], whole, 2).await;
    check(vec![Call::Crash, Call::Crash], whole, 3).await;
    check(vec![Call::Fail(Error::new(Code::Unavailable, "draining"))], whole, 2).await;
    check(vec![Call::Lie(|reply| reply.model = "other".into())], whole, 2).await;
    check(vec![Call::Fail(Error::invalid("messages", "no"))], Err(Code::InvalidRequest), 1).await;
    check(vec![Call::Crash; 3], Err(Code::WorkerCrashed), 3).await;
}

#[tokio::test(start_paused = true)]
async fn whatever_is_asked_is_answered_for_the_model_that_was_meant() {
    let fake = Fake::start();
    let upstream = fake.upstream();
    let asked = DetokenizeRequest { tokens: vec![104, 105], ..DetokenizeRequest::default() };
    assert_eq!(detokenize(&upstream, caller(), asked).await.unwrap().text, "hi");
    let description = describe(&upstream, caller()).await.unwrap();
    assert_eq!((description.model.as_str(), description.slots), (MODEL, 2));
    assert_eq!(stats(&upstream, caller()).await.unwrap().slots_busy, 1);
    let ids = fake.request_ids();
    assert!(ids.len() >= 4 && ids.iter().all(|id| id == "req-1"), "supervisor and worker: {ids:?}");
    let unknown = Caller { model: "nobody".into(), ..caller() };
    assert_eq!(describe(&upstream, unknown).await.unwrap_err().code(), Code::ModelNotFound);
}

#[tokio::test(start_paused = true)]
async fn nobody_who_generates_is_waited_for() {
    use futures::StreamExt;

    let fake = Fake::start();
    fake.set_slots(1);
    let upstream = fake.upstream_with(|config| config.gateway.max_queue = 0);
    // Two for each slot is what the line lets to a worker at once.
    let mut running = Vec::new();
    for _ in 0..2 {
        fake.script([crate::fake::accepted(), Step::Stall]);
        let mut events = crate::upstream::generate(upstream.clone(), request());
        events.next().await.unwrap().unwrap();
        running.push(events);
    }
    let refused = crate::upstream::generate(upstream.clone(), request()).next().await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::QueueFull);
    let reply = tokio::time::timeout(Duration::from_secs(1), tokenize(&upstream, caller(), text("a"))).await;
    assert_eq!(reply.unwrap().unwrap().tokens, [BEGIN, 97]);
    drop(running);
    fake.until_idle().await;
}
