//! The service over a scheduler with the fake engine, whose tokens are bytes.

use impetus_proto::{
    launch::PrefixSpec,
    worker::{
        FinishReason, Infill, Logprobs, Stopping, Tokens, generate_event::Event, generate_request::Input,
        tokenize_request,
    },
};

use super::*;
use crate::{
    engine::{
        Limits,
        fake::{ByteVocabulary, FakeEngine, Faults},
    },
    run::engine_thread::drive,
    sampling::Score,
    scheduler::{Prefixes, Scheduler, SchedulerSettings},
};

const LIMITS: Limits = Limits {
    slots: 2,
    context_tokens: 64,
    tokens_per_step: 16,
    chunk_rows: 16,
    chunks_per_step: 2,
    vocabulary: 257,
};

fn service() -> Service {
    service_of(LIMITS, None, Arc::default())
}

fn service_of(limits: Limits, prefixes: Option<Arc<Prefixes>>, counters: Arc<Counters>) -> Service {
    let (orders, ordered) = std::sync::mpsc::sync_channel(8);
    let (of_engine, kept) = (Arc::clone(&counters), prefixes.clone());
    std::thread::spawn(move || {
        let mut engine = FakeEngine::new(limits, Faults::default());
        let mut scheduler = Scheduler::new(limits, SchedulerSettings::default(), of_engine);
        if let Some(kept) = kept {
            scheduler = scheduler.keeping(kept);
        }
        drive(scheduler, &mut engine, ordered);
    });
    service_on(limits, Work::Generate { limits, orders, prefixes }, counters)
}

fn service_on(limits: Limits, work: Work, counters: Arc<Counters>) -> Service {
    let description = Description {
        model: "m".into(),
        context_tokens: limits.context_tokens,
        vocabulary: limits.vocabulary,
        ..Description::default()
    };
    let vocabulary = Arc::new(ByteVocabulary::default());
    let conversation = Conversation::absent(vocabulary.clone());
    Service::new(description, vocabulary, conversation, work, counters)
}

fn request(text: &str, max_tokens: u32) -> GenerateRequest {
    GenerateRequest {
        model: "m".into(),
        input: Some(Input::Text(text.to_owned())),
        stopping: Some(Stopping { max_tokens: Some(max_tokens), ..Stopping::default() }),
        ..GenerateRequest::default()
    }
}

async fn events(request: GenerateRequest) -> Vec<GenerateEvent> {
    service().start(request).await.unwrap().map(Result::unwrap).collect().await
}

/// The names of events, one letter each.
fn kinds(events: &[GenerateEvent]) -> String {
    let kind = |event: &GenerateEvent| match event.event.as_ref().unwrap() {
        Event::Accepted(_) => 'a',
        Event::Prompt(_) => 'p',
        Event::Delta(_) => 'd',
        Event::Finished(_) => 'f',
    };
    events.iter().map(kind).collect()
}

fn prompt(events: &[GenerateEvent]) -> Prompt {
    let prompt = events.iter().find_map(|event| match &event.event {
        Some(Event::Prompt(prompt)) => Some(prompt.clone()),
        _ => None,
    });
    prompt.expect("the prompt is said")
}

#[tokio::test]
async fn an_echo_comes_behind_the_acceptance() {
    let plain = events(GenerateRequest { echo: Some(Echo::default()), ..request("echo", 2) }).await;
    assert_eq!(kinds(&plain), "apdf");
    assert_eq!(prompt(&plain), Prompt { text: "echo".into(), logprobs: Vec::new() });

    let scored = Echo { top_logprobs: Some(1) };
    let scored = events(GenerateRequest { echo: Some(scored), ..request("echo", 0) }).await;
    assert_eq!(kinds(&scored), "apf");
    let said = prompt(&scored);
    assert_eq!(said.text, "echo");
    let history: Vec<_> = "echo".bytes().map(|byte| TokenId(byte.into())).collect();
    for (place, found) in said.logprobs.iter().enumerate().skip(1) {
        let row = FakeEngine::row_after(&history[..place], LIMITS.vocabulary);
        let expected = Score::of(&row, history[place], 1);
        assert_eq!((found.token, &found.text[..]), (history[place].0, &b"echo"[place..=place]));
        assert_eq!(found.logprob.to_bits(), expected.logprob.to_bits());
        assert_eq!((found.top.len(), found.top[0].token), (1, expected.top[0].0.0));
    }
    let Some(Event::Finished(finished)) = &scored[2].event else { panic!("{scored:?}") };
    assert_eq!(finished.reason(), FinishReason::Length);

    // Tokens are spelled; who has tokens of the completion has the prompt.
    let ids = Tokens { ids: vec![0x68, 0x69] };
    let tokens =
        GenerateRequest { input: Some(Input::Tokens(ids)), echo: Some(Echo::default()), ..request("", 1) };
    assert_eq!(prompt(&events(tokens.clone()).await).text, "hi");
    let resume = impetus_proto::worker::Resume { tokens: vec![1] };
    let resumed = GenerateRequest { resume: Some(resume), ..tokens };
    assert_eq!(kinds(&events(resumed).await), "af");
}

#[tokio::test]
async fn log_probabilities_come_with_their_tokens() {
    let events = events(GenerateRequest { logprobs: Some(Logprobs { top: 3 }), ..request("x", 3) }).await;
    assert_eq!(kinds(&events), "addf");
    for event in &events[1..] {
        let delta = match event.event.clone().unwrap() {
            Event::Delta(delta) => delta,
            Event::Finished(finished) => finished.rest.unwrap(),
            other => panic!("{other:?}"),
        };
        let tokens: Vec<_> = delta.logprobs.iter().map(|token| token.token).collect();
        assert_eq!(tokens, event.tokens);
        assert_eq!((delta.logprobs[0].top.len(), delta.logprobs[0].top[0].token), (3, event.tokens[0]));
    }
}

#[tokio::test]
async fn what_cannot_be_honoured_is_refused_by_name() {
    let service = service();
    let check = async |request: GenerateRequest, code: Code, param: &str| {
        let Err(error) = service.start(request.clone()).await else { panic!("{request:?} was accepted") };
        assert_eq!((error.code(), error.param.as_str()), (code, param), "{error}");
    };
    let stopping = |stopping: Stopping| GenerateRequest { stopping: Some(stopping), ..request("x", 1) };
    let invalid = Code::InvalidRequest;
    check(
        stopping(Stopping { max_tokens: Some(3), min_tokens: 4, ..Stopping::default() }),
        invalid,
        "min_tokens",
    )
    .await;
    check(stopping(Stopping { stop_tokens: vec![257], ..Stopping::default() }), invalid, "stop_token_ids")
        .await;
    let many = vec![1; 257];
    check(stopping(Stopping { stop_tokens: many, ..Stopping::default() }), invalid, "stop_token_ids").await;
    let logprobs = Some(Logprobs { top: 21 });
    check(GenerateRequest { logprobs, ..request("x", 1) }, invalid, "top_logprobs").await;
    let echo = Some(Echo { top_logprobs: Some(21) });
    check(GenerateRequest { echo, ..request("x", 1) }, invalid, "top_logprobs").await;
    let hole = Some(Input::Infill(Infill::default()));
    check(GenerateRequest { input: hole, ..request("x", 1) }, Code::Unprocessable, "suffix").await;
    assert!(request::check_echo(1 << 20, 0).is_ok() && request::check_echo(1 << 16, 15).is_ok());
    assert!(request::check_echo(1 << 16, 16).is_err());
}

#[tokio::test]
async fn texts_become_tokens_and_tokens_texts() {
    let service = service();
    let input = Some(tokenize_request::Input::Text("\u{e9}!".into()));
    let request = TokenizeRequest { model: "m".into(), input, bare: true, plain: true };
    let reply = Worker::tokenize(&service, Request::new(request)).await.unwrap().into_inner();
    assert_eq!((reply.tokens, reply.prompt.as_str()), (vec![0xc3, 0xa9, 0x21], "\u{e9}!"));
    assert_eq!(reply.pieces, [&[0xc3_u8][..], &[0xa9], b"!"]);

    let detokenize = async |tokens: &[u32]| {
        let request = DetokenizeRequest { model: "m".into(), tokens: tokens.to_vec() };
        service.detokenize(Request::new(request)).await
    };
    assert_eq!(detokenize(&[0xc3, 0xa9, 0x21]).await.unwrap().into_inner().text, "\u{e9}!");
    assert_eq!(detokenize(&[]).await.unwrap().into_inner().text, "");
    assert!(detokenize(&[300]).await.unwrap_err().message().contains("300"));
}

#[tokio::test]
async fn an_engine_that_has_much_to_hear_is_told_to_save_when_it_listens() {
    let (orders, ordered) = std::sync::mpsc::sync_channel(1);
    orders.try_send(Order::Save(oneshot::channel().0)).unwrap();
    let service =
        service_on(LIMITS, Work::Generate { limits: LIMITS, orders, prefixes: None }, Arc::default());
    let draining = tokio::spawn(async move { service.drain().await });
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!draining.is_finished(), "it tries again");
    drop(ordered.try_recv().unwrap());
    let saved = loop {
        match ordered.try_recv() {
            Ok(Order::Save(saved)) => break saved,
            Ok(Order::Generate(_)) => panic!("nobody asked for anything"),
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert!(!draining.is_finished());
    saved.send(()).unwrap();
    draining.await.unwrap();
}

#[tokio::test]
async fn what_was_computed_is_saved_before_the_process_ends() {
    let limits = Limits { context_tokens: 256, ..LIMITS };
    let file = tempfile::NamedTempFile::new().unwrap();
    let spec = PrefixSpec { ram_bytes: 1 << 20, file_bytes: 1 << 20, fingerprint: Vec::new() };
    let text = "a prompt that is longer than sixty-four tokens, or it would not be worth keeping at all";
    let mut cached = Vec::new();
    for _ in 0..2 {
        let open = || std::fs::File::options().read(true).write(true).open(file.path()).unwrap();
        // A process that ends gives the file up at once; threads take a moment.
        while open().try_lock().is_err() {
            tokio::task::yield_now().await;
        }
        let file = open();
        let counters = Arc::default();
        let prefixes = Prefixes::new(&spec, Some(file), &counters);
        let service = service_of(limits, Some(prefixes), counters);
        let answered: Vec<_> =
            service.start(request(text, 3)).await.unwrap().map(Result::unwrap).collect().await;
        cached.push(answered.iter().find_map(|event| match &event.event {
            Some(Event::Finished(finished)) => finished.usage.map(|usage| usage.cached_tokens),
            _ => None,
        }));
        service.drain().await;
        let error = service.start(request(text, 3)).await.map(drop).unwrap_err();
        assert_eq!(error.code(), Code::Unavailable);
    }
    assert_eq!(cached, [Some(0), Some(text.len() as u32 - 1)]);
}
