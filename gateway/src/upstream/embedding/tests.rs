use std::time::Duration;

use impetus_proto::Code;

use super::{
    super::parts::{MAX_PART_BYTES, split},
    *,
};
use crate::fake::{
    ALIAS, Fake, MODEL,
    embedding::{Embed as Act, LIMIT, text, tokens, vector},
};

fn request(inputs: Vec<EmbedInput>) -> EmbeddingRequest {
    EmbeddingRequest { id: "req-1".into(), model: ALIAS.into(), inputs, ..EmbeddingRequest::default() }
}

/// As many inputs, each different.
fn inputs(n: usize) -> Vec<EmbedInput> {
    (0..n).map(|idx| text(format!("text {idx}"))).collect()
}

/// How often the worker was asked for the part that begins at `first_input`, and with how many inputs.
fn asked(fake: &Fake, first_input: u32) -> (usize, usize) {
    let requests = fake.embed_requests();
    let of_part: Vec<_> = requests.iter().filter(|request| request.first_input == first_input).collect();
    (of_part.len(), of_part.first().map_or(0, |request| request.inputs.len()))
}

/// What workers do with one part, one after the other; afterwards all is well.
type Script = (u32, Vec<Act>);

/// `expected` says of parts how often they are asked for and how many inputs they have.
async fn check(n_inputs: usize, scripts: &[Script], expected: &[(u32, (usize, usize))]) {
    let fake = Fake::start();
    let what = format!("{n_inputs}: {scripts:?}");
    for (first_input, embeds) in scripts {
        fake.script_embeds(*first_input, embeds.clone());
    }
    let inputs = inputs(n_inputs);
    let embedded = embed(&fake.upstream(), request(inputs.clone())).await.expect(&what);
    let vectors: Vec<Embedding> = inputs.iter().map(vector).collect();
    assert_eq!(embedded.embeddings, vectors, "{what}");
    assert_eq!(&*embedded.model, MODEL);
    assert_eq!(embedded.tokens(), vectors.iter().map(|vector| u64::from(vector.tokens)).sum::<u64>());
    for (first_input, expected) in expected {
        assert_eq!(asked(&fake, *first_input), *expected, "{first_input} of {what}");
    }
    fake.until_idle().await;
}

#[tokio::test(start_paused = true)]
async fn a_large_request_goes_in_parts_and_comes_back_in_order() {
    check(1, &[], &[(0, (1, 1))]).await;
    check(256, &[], &[(0, (1, 256))]).await;
    check(257, &[], &[(0, (1, 256)), (256, (1, 1))]).await;
    let parts: Vec<_> = (0..8).map(|part| (part * 256, (1, 256))).collect();
    check(2048, &[], &parts).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_worker_costs_only_the_parts_that_it_did_not_answer() {
    use crate::fake::Call::{Answer, Crash, Die, Fail};
    check(1, &[(0, vec![Die])], &[(0, (2, 1))]).await;
    check(1, &[(0, vec![Die, Die])], &[(0, (3, 1))]).await;
    check(1, &[(0, vec![Fail(Error::new(Code::Unavailable, "draining"))])], &[(0, (2, 1))]).await;
    check(600, &[(256, vec![Die])], &[(0, (1, 256)), (256, (2, 256))]).await;
    check(1, &[(0, vec![Die; 30])], &[(0, (31, 1))]).await;
    check(257, &[(0, vec![Crash, Crash, Answer]), (256, vec![Crash, Answer])], &[(0, (3, 256))]).await;
    let scripts = [(0, vec![Die, Die, Answer]), (256, vec![Fail(Error::new(Code::Unavailable, "late")); 2])];
    check(257, &scripts, &[(0, (3, 256))]).await;
    check(257, &[(256, vec![Die, Die])], &[(0, (1, 256)), (256, (3, 1))]).await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_something_else_is_not_believed() {
    let lies: [fn(&mut EmbedReply); 5] = [
        |reply| reply.model = "other".into(),
        |reply| drop(reply.embeddings.pop()),
        |reply| reply.embeddings.push(reply.embeddings[0].clone()),
        |reply| reply.embeddings.iter_mut().for_each(|embedding| embedding.values.clear()),
        |reply| reply.embeddings[1].values.push(0.5),
    ];
    for lie in lies {
        check(2, &[(0, vec![Act::Lie(lie)])], &[(0, (2, 2))]).await;
    }
    let wider: fn(&mut EmbedReply) =
        |reply| reply.embeddings.iter_mut().for_each(|embedding| embedding.values.push(0.5));
    check(257, &[(256, vec![Act::Lie(wider)])], &[(0, (1, 256)), (256, (2, 1))]).await;
    let fake = Fake::start();
    fake.script_embeds(0, [Act::Lie(wider)]);
    let short = EmbeddingRequest { dimensions: 2, ..request(inputs(1)) };
    let embedded = embed(&fake.upstream(), short).await.unwrap();
    assert_eq!(embedded.embeddings[0].values.len(), 2);
    assert_eq!(asked(&fake, 0), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_another_worker_would_say_too_is_the_answer() {
    let check = async |embeds: Vec<Act>, code: Code, n_asked: usize| {
        let fake = Fake::start();
        fake.script_embeds(0, embeds);
        let error = embed(&fake.upstream(), request(inputs(1))).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(asked(&fake, 0).0, n_asked);
        fake.until_idle().await;
    };
    for code in
        [Code::InvalidRequest, Code::ContextLengthExceeded, Code::UnsupportedParameter, Code::NoCapacity]
    {
        check(vec![Act::Fail(Error::new(code, "no"))], code, 1).await;
    }
    // Two crashes among others, one alone.
    check(vec![Act::Crash; 3], Code::WorkerCrashed, 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_told_what_the_client_asked_for() {
    let fake = Fake::start();
    let asked = EmbeddingRequest { dimensions: 2, truncate: true, ..request(inputs(300)) };
    embed(&fake.upstream(), asked).await.unwrap();
    for request in fake.embed_requests() {
        assert_eq!((request.model.as_str(), request.dimensions, request.truncate), (MODEL, 2, true));
    }
    assert_eq!(fake.request_ids(), ["req-1"; 3], "supervisor and worker");
}

#[tokio::test(start_paused = true)]
async fn leaving_cancels_and_releases() {
    let fake = Fake::start();
    fake.script_embeds(0, [Act::Stall]);
    let upstream = fake.upstream();
    let running = tokio::spawn(async move { embed(&upstream, request(inputs(1))).await.map(drop) });
    fake.until_busy().await;
    running.abort();
    fake.until_idle().await;
}

#[tokio::test(start_paused = true)]
async fn the_wait_for_a_model_is_bounded() {
    let fake = Fake::start();
    fake.delay_lease(Duration::from_hours(1));
    let error = embed(&fake.upstream(), request(inputs(1))).await.unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(fake.embed_requests().is_empty());
}

#[test]
fn parts_are_bounded_in_bytes() {
    let check = |inputs: Vec<EmbedInput>, expected: &[(usize, usize)]| {
        let parts = split(inputs.clone(), Embed::size_bytes);
        let sizes: Vec<_> = parts.iter().map(|part| (part.first, part.items.len())).collect();
        assert_eq!(sizes, expected);
        let joined: Vec<_> = parts.into_iter().flat_map(|part| part.items).collect();
        assert_eq!(joined, inputs);
    };
    let long = || text("x".repeat(MAX_PART_BYTES - 1));
    check(vec![], &[]);
    check(vec![long(), text("a"), text("b")], &[(0, 2), (2, 1)]);
    check(vec![long(), long(), long()], &[(0, 1), (1, 1), (2, 1)]);
    let tokens = tokens(&vec![1; MAX_PART_BYTES / 5]);
    check(vec![tokens.clone(), text("abcde"), tokens], &[(0, 1), (1, 1), (2, 1)]);
    check(inputs(LIMIT), &[(0, 256), (256, 256), (512, 256), (768, 232)]);
}
