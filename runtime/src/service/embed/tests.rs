use std::{sync::Arc, thread};

use impetus_proto::worker::{Description, GenerateRequest, Tokens as TokenList};

use super::*;
use crate::{
    embedding,
    engine::{
        Limits,
        fake::{ByteVocabulary, FakeEmbedding},
    },
    scheduler::Counters,
    service::Conversation,
};

const LIMITS: EmbeddingLimits = EmbeddingLimits {
    context_tokens: 8,
    tokens_per_step: 16,
    inputs_per_step: 4,
    padded: false,
    dimensions: 5,
    vocabulary: 200,
};

/// A service on an engine that refuses the byte `!`.
fn service() -> Service {
    let (inputs, submitted) = std::sync::mpsc::sync_channel(64);
    let counters = Arc::new(Counters::default());
    let of_engine = Arc::clone(&counters);
    thread::spawn(move || {
        let mut engine = FakeEmbedding::new(LIMITS);
        engine.reject = Some(TokenId(b'!'.into()));
        embedding::drive(&mut engine, &submitted, of_engine);
    });
    of_work(Work::Embed { limits: LIMITS, inputs }, counters)
}

fn of_work(work: Work, counters: Arc<Counters>) -> Service {
    let description = Description { model: "m".into(), ..Description::default() };
    let vocabulary = Arc::new(ByteVocabulary::default());
    let conversation = Conversation::absent(vocabulary.clone());
    Service::new(description, vocabulary, conversation, work, counters)
}

fn text(text: &str) -> EmbedInput {
    EmbedInput { input: Some(embed_input::Input::Text(text.into())) }
}

fn tokens(ids: &[u32]) -> EmbedInput {
    EmbedInput { input: Some(embed_input::Input::Tokens(TokenList { ids: ids.to_vec() })) }
}

fn request(inputs: Vec<EmbedInput>) -> EmbedRequest {
    EmbedRequest { model: "m".into(), inputs, ..EmbedRequest::default() }
}

fn expected(text: &str) -> Vec<f32> {
    let tokens: Vec<_> = text.bytes().map(|byte| TokenId(byte.into())).collect();
    FakeEmbedding::vector_of(&tokens, LIMITS.dimensions)
}

#[tokio::test]
async fn vectors_come_in_the_order_of_the_inputs() {
    let reply = service().embed(request(vec![text("abc"), tokens(&[100]), text("e")])).await.unwrap();
    let found: Vec<_> =
        reply.embeddings.iter().map(|embedding| (embedding.values.clone(), embedding.tokens)).collect();
    assert_eq!(found, [(expected("abc"), 3), (expected("d"), 1), (expected("e"), 1)]);
    assert!(reply.embeddings.iter().all(|embedding| !embedding.truncated));
    assert_eq!(reply.model, "m");
}

#[tokio::test]
async fn what_cannot_be_embedded_is_named_as_the_caller_counts() {
    let check = async |inputs: Vec<EmbedInput>, code: Code, param: &str, words: &str| {
        let request = EmbedRequest { first_input: 256, ..request(inputs) };
        let error = service().embed(request).await.unwrap_err();
        assert_eq!((error.code(), error.param.as_str()), (code, param), "{error}");
        assert!(error.message.contains(words), "{error}");
    };
    let (invalid, long) = (Code::InvalidRequest, Code::ContextLengthExceeded);
    check(vec![], invalid, "input", "0 inputs").await;
    check(vec![text("a"); 2049], invalid, "input", "2049 inputs").await;
    check(vec![text("a"), text("")], invalid, "input[257]", "empty").await;
    check(vec![tokens(&[])], invalid, "input[256]", "empty").await;
    check(vec![text("a"), tokens(&[1, 200])], invalid, "input[257]", "200").await;
    check(vec![EmbedInput::default()], invalid, "input[256]", "neither").await;
    check(vec![text("a"), text("123456789")], long, "input[257]", "8 tokens. However, input[257] has 9")
        .await;
    check(vec![text("a"), text("b"), text("c!")], invalid, "input[258]", "rejected by the test").await;
}

#[tokio::test]
async fn an_input_that_is_too_long_is_cut_where_that_is_asked_for() {
    let request = EmbedRequest { truncate: true, ..request(vec![text("12345678"), text("123456789")]) };
    let reply = service().embed(request).await.unwrap();
    let found: Vec<_> = reply.embeddings.iter().map(|embedding| embedding.truncated).collect();
    assert_eq!(found, [false, true]);
    assert_eq!(reply.embeddings[0].values, reply.embeddings[1].values);
    assert_eq!(reply.embeddings[1].tokens, 8);
}

#[tokio::test]
async fn fewer_dimensions_are_a_shorter_vector_of_length_one() {
    let of = async |dimensions: u32| {
        let request = EmbedRequest { dimensions, ..request(vec![text("abc")]) };
        service().embed(request).await.map(|mut reply| reply.embeddings.remove(0).values)
    };
    let mut short = expected("abc")[..3].to_vec();
    normalise(&mut short);
    assert_eq!(of(3).await.unwrap(), short);
    assert_eq!(of(5).await.unwrap(), expected("abc"));
    assert_eq!(of(6).await.unwrap_err().param, "dimensions");
}

#[tokio::test]
async fn a_model_is_asked_for_what_it_is_for() {
    let error = service().start(GenerateRequest { model: "m".into(), ..GenerateRequest::default() }).await;
    let error = error.map(drop).unwrap_err();
    assert_eq!((error.code(), error.param.as_str()), (Code::UnsupportedParameter, "model"));
    assert!(error.message.contains("`m` is an embedding model"), "{error}");

    let (orders, _ordered) = std::sync::mpsc::sync_channel(1);
    let limits = Limits {
        slots: 1,
        context_tokens: 8,
        tokens_per_step: 8,
        chunk_rows: 8,
        chunks_per_step: 1,
        vocabulary: 200,
    };
    let generating = of_work(Work::Generate { limits, orders, prefixes: None }, Arc::default());
    let error = generating.embed(request(vec![text("a")])).await.unwrap_err();
    assert_eq!((error.code(), error.param.as_str()), (Code::UnsupportedParameter, "model"));
    assert!(error.message.contains("`m` generates texts"), "{error}");
    let other = EmbedRequest { model: "other".into(), ..request(vec![text("a")]) };
    assert_eq!(service().embed(other).await.unwrap_err().code(), Code::WrongModel);
}

#[test]
fn a_cut_input_keeps_its_edges() {
    let check = |ids: &[u32], limit: usize, frame: &[u32], expected: &[u32]| {
        let tokens = |ids: &[u32]| ids.iter().copied().map(TokenId).collect::<Vec<_>>();
        assert_eq!(cut(tokens(ids), limit, &tokens(frame)), tokens(expected), "{ids:?} {frame:?}");
    };
    check(&[1, 5, 6, 7, 2], 4, &[1, 2], &[1, 5, 6, 2]);
    check(&[1, 5, 6, 7, 8], 4, &[1], &[1, 5, 6, 7]);
    check(&[5, 6, 7, 2], 3, &[2], &[5, 6, 2]);
    check(&[5, 6, 7, 8], 3, &[], &[5, 6, 7]);
    check(&[1, 5, 2], 1, &[1, 2], &[1]);
}
