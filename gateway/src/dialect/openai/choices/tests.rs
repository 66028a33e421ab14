use futures::StreamExt;
use impetus_proto::Code;
use tracing::Span;

use super::*;
use crate::fake::{self, Fake, Step, accepted, completion, delta, finished};

fn choices(fake: &Fake, n_choices: u32) -> ChoiceEvents {
    let record = Record::open("req-1".into(), "/choices", Span::none());
    generate(fake.upstream(), record, fake::request(), n_choices)
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
                Event::Delta { text: delta, .. } => text.push_str(&delta),
                Event::Finished(finished) => {
                    text.push_str(&finished.text);
                    n_finished += 1;
                }
                Event::Accepted { .. } => {}
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
