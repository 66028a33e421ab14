use std::time::Duration;

use futures::StreamExt;
use impetus_proto::Code;
use tokio::time::Instant;
use tracing::Span;

use super::*;
use crate::fake::{self, Fake, Step, accepted, completion, delta, finished};

fn choices(fake: &Fake, n_choices: u32) -> ChoiceEvents {
    of(fake.upstream(), n_choices)
}

fn of(upstream: Arc<Upstream>, n_choices: u32) -> ChoiceEvents {
    let record = Record::open("req-1".into(), "/choices", Span::none());
    generate(upstream, record, vec![fake::request()], n_choices)
}

/// What each choice said, and how many of them ended.
async fn said(events: ChoiceEvents, n_choices: u32) -> (Vec<String>, usize) {
    let mut texts = vec![String::new(); n_choices as usize];
    let mut n_finished = 0;
    events
        .for_each(|said| {
            let ChoiceEvent { index, event } = said.unwrap();
            let text = &mut texts[index as usize];
            match event {
                Event::Delta(delta) => text.push_str(&delta.text()),
                Event::Finished(finished) => {
                    text.push_str(&finished.rest.text());
                    n_finished += 1;
                }
                Event::Accepted { .. } | Event::Prompt(_) => {}
            }
            std::future::ready(())
        })
        .await;
    (texts, n_finished)
}

#[tokio::test]
async fn each_choice_is_a_sequence_of_its_own() {
    let fake = Fake::start();
    fake.script(completion("one two three"));
    fake.script(completion("uno dos"));
    let told = said(choices(&fake, 2), 2).await;
    assert_eq!(told, (vec!["one two three".to_owned(), "uno dos".to_owned()], 2));
    let asked = fake.requests();
    assert_eq!(asked.iter().map(|request| request.choice).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(GenerateRequest { choice: 0, ..asked[1].clone() }, asked[0]);
}

#[tokio::test]
async fn the_most_choices_that_can_be_asked_for_are_answered() {
    let fake = Fake::start();
    let (texts, n_finished) = said(choices(&fake, 128), 128).await;
    assert_eq!((texts, n_finished), (vec!["ok".to_owned(); 128], 128));
    let mut asked: Vec<u32> = fake.requests().iter().map(|request| request.choice).collect();
    asked.sort_unstable();
    assert_eq!(asked, (0..128).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_refuses_the_first_is_asked_once() {
    let fake = Fake::start();
    fake.script([Step::Fail(Error::new(Code::ContextLengthExceeded, "long"))]);
    let all: Vec<_> = choices(&fake, 8).collect().await;
    assert!(matches!(all.as_slice(), [Err(error)] if error.code() == Code::ContextLengthExceeded), "{all:?}");
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn a_choice_that_fails_ends_all() {
    let fake = Fake::start();
    fake.script([accepted(), delta(0, &[1], "a"), Step::Stall]);
    fake.script([accepted(), Step::Fail(Error::new(Code::Internal, "no"))]);
    let all: Vec<_> = choices(&fake, 2).collect().await;
    assert_eq!(all.last().unwrap().as_ref().unwrap_err().code(), Code::Internal);
    fake.until_idle().await;
}

#[tokio::test]
async fn choices_that_nobody_wants_any_more_are_cancelled() {
    let fake = Fake::start();
    for _ in 0..3 {
        fake.script([accepted(), Step::Stall]);
    }
    let mut events = choices(&fake, 3);
    for _ in 0..3 {
        events.next().await.unwrap().unwrap();
    }
    drop(events);
    fake.until_idle().await;
}

#[tokio::test]
async fn no_choice_keeps_another_waiting() {
    let fake = Fake::start();
    fake.script([accepted(), delta(0, &[1], "a"), Step::Stall]);
    fake.script([accepted(), delta(0, &[1], "b"), finished(1, &[2], "")]);
    let mut events = choices(&fake, 2);
    loop {
        let said = events.next().await.expect("the first goes on").unwrap();
        if said.index == 1 && matches!(said.event, Event::Finished(_)) {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn choices_that_lose_their_worker_go_on_where_they_stood() {
    let fake = Fake::start();
    fake.answer_with(|request| {
        let text = ["one two three ", "uno dos tres "][request.choice as usize];
        let mut steps = fake::rest(request, text);
        if request.resume.is_none() {
            // Each is at another place when the worker ends.
            steps.truncate(2 + request.choice as usize);
            steps.push(if request.choice == 0 { Step::Stall } else { Step::Die });
        }
        steps
    });
    let told = said(choices(&fake, 2), 2).await;
    assert_eq!(told, (vec!["one two three ".to_owned(), "uno dos tres ".to_owned()], 2));
    let mut resumed: Vec<(u32, usize)> = fake
        .requests()
        .iter()
        .filter_map(|request| Some((request.choice, request.resume.as_ref()?.tokens.len())))
        .collect();
    resumed.sort_unstable();
    assert_eq!(resumed, [(0, 1), (1, 2)]);
}

#[tokio::test(start_paused = true)]
async fn the_time_for_all_choices_is_that_of_the_request() {
    let fake = Fake::start();
    let wait = || Step::Wait(Duration::from_secs(4));
    fake.answer_with(move |_| vec![wait(), accepted(), wait(), finished(0, &[1], "")]);
    let started = Instant::now();
    let last = of(fake.upstream_with(|config| config.gateway.request_timeout_s = 10), 2)
        .fold(None, async |_, said| Some(said))
        .await;
    assert_eq!(last.unwrap().unwrap_err().code(), Code::DeadlineExceeded);
    assert_eq!(started.elapsed().as_secs(), 10);
}
