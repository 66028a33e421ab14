use std::sync::mpsc::sync_channel;

use super::*;
use crate::engine::fake::FakeEmbedding;

const LIMITS: EmbeddingLimits = EmbeddingLimits {
    context_tokens: 16,
    tokens_per_step: 32,
    inputs_per_step: 4,
    padded: false,
    dimensions: 5,
    vocabulary: 100,
};

type Reply = oneshot::Receiver<Result<Vec<f32>, Error>>;

fn input(tokens: &[u32]) -> (Input, Reply) {
    let (reply, receiver) = oneshot::channel();
    let tokens: Vec<_> = tokens.iter().copied().map(TokenId).collect();
    (Input { first_tokens: tokens.len(), tokens, reply }, receiver)
}

/// Everything that is given to an engine, at once; the queue is empty in the end.
fn embed(engine: &mut FakeEmbedding, inputs: &[&[u32]]) -> (Vec<Reply>, Arc<Counters>) {
    let (sender, receiver) = sync_channel(inputs.len());
    let counters = Arc::new(Counters::default());
    let mut replies = Vec::new();
    for tokens in inputs {
        let (input, reply) = input(tokens);
        sender.try_send(input).unwrap();
        replies.push(reply);
    }
    drop(sender);
    drive(engine, &receiver, Arc::clone(&counters));
    (replies, counters)
}

fn expected(tokens: &[u32]) -> Vec<f32> {
    let tokens: Vec<_> = tokens.iter().copied().map(TokenId).collect();
    FakeEmbedding::vector_of(&tokens, LIMITS.dimensions)
}

#[test]
fn batches_are_filled_by_tokens_in_order() {
    let check = |limits: EmbeddingLimits, lengths: &[usize], expected_calls: &[usize]| {
        let mut engine = FakeEmbedding::new(limits);
        let inputs: Vec<Vec<u32>> = lengths.iter().zip(1..).map(|(&n, token)| vec![token; n]).collect();
        let inputs: Vec<&[u32]> = inputs.iter().map(Vec::as_slice).collect();
        let (replies, counters) = embed(&mut engine, &inputs);
        assert_eq!(engine.calls, expected_calls, "{lengths:?}");
        for (mut reply, tokens) in replies.into_iter().zip(&inputs) {
            assert_eq!(reply.try_recv().unwrap().unwrap(), expected(tokens));
        }
        let stats = counters.stats("m");
        assert_eq!(stats.prompt_tokens as usize, lengths.iter().sum::<usize>());
        assert_eq!((stats.finished as usize, stats.waiting, stats.slots_busy), (lengths.len(), 0, 0));
    };
    check(LIMITS, &[1], &[1]);
    check(LIMITS, &[1, 2, 3, 4, 5, 6], &[4, 2]);
    check(LIMITS, &[16, 16, 16, 1, 1], &[2, 3]);
    check(EmbeddingLimits { padded: true, ..LIMITS }, &[16, 1, 1, 16, 8, 8], &[2, 2, 2]);
}

#[test]
fn only_the_culprit_is_refused() {
    let mut engine = FakeEmbedding::new(LIMITS);
    engine.reject = Some(TokenId(9));
    let (mut replies, _) = embed(&mut engine, &[&[1], &[9, 2], &[3]]);
    assert_eq!(engine.calls, [3, 1, 1, 1]);
    assert_eq!(replies[0].try_recv().unwrap().unwrap(), expected(&[1]));
    let error = replies[1].try_recv().unwrap().unwrap_err();
    assert_eq!(error.code(), Code::InvalidRequest);
    assert_eq!(replies[2].try_recv().unwrap().unwrap(), expected(&[3]));
}

#[test]
fn a_dead_engine_ends_the_drive_and_nobody_waits_for_ever() {
    let mut engine = FakeEmbedding::new(LIMITS);
    engine.fatal = Some(TokenId(9));
    let (mut replies, _) = embed(&mut engine, &[&[9], &[1]]);
    assert!(replies.iter_mut().all(|reply| reply.try_recv().is_err()));
}

#[test]
fn what_nobody_waits_for_is_not_computed() {
    let (sender, receiver) = sync_channel(2);
    let (kept, mut reply) = input(&[1]);
    let (cancelled, dropped) = input(&[2]);
    drop(dropped);
    sender.try_send(cancelled).unwrap();
    sender.try_send(kept).unwrap();
    drop(sender);
    let (mut engine, counters) = (FakeEmbedding::new(LIMITS), Arc::new(Counters::default()));
    drive(&mut engine, &receiver, Arc::clone(&counters));
    assert_eq!(engine.calls, [1]);
    assert_eq!(reply.try_recv().unwrap().unwrap(), expected(&[1]));
    assert_eq!(counters.stats("m").cancelled, 1);
}

#[test]
fn numbers_that_no_api_can_say_are_errors() {
    for vector in [[1.0, f32::NAN], [f32::INFINITY, 0.0]] {
        assert_eq!(finite(&vector).unwrap_err().code(), Code::Internal);
    }
}
