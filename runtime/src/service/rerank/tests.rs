use std::{sync::Arc, thread};

use impetus_proto::worker::{Description, EmbedRequest, GenerateRequest};

use super::*;
use crate::{
    embedding,
    engine::{
        Pair,
        fake::{ByteVocabulary, FakeRanking},
    },
    scheduler::Counters,
    service::Conversation,
};

const LIMITS: EmbeddingLimits = EmbeddingLimits {
    context_tokens: 8,
    tokens_per_step: 16,
    inputs_per_step: 4,
    padded: false,
    dimensions: 1,
    vocabulary: 200,
};

/// A service on an engine that refuses the byte `!`.
fn service() -> Service {
    let (inputs, submitted) = std::sync::mpsc::sync_channel(64);
    let counters = Arc::new(Counters::default());
    let of_engine = Arc::clone(&counters);
    thread::spawn(move || {
        let mut engine = FakeRanking::new(LIMITS);
        engine.reject = Some(TokenId(b'!'.into()));
        embedding::drive_ranking(&mut engine, &submitted, of_engine);
    });
    let description = Description { model: "m".into(), ..Description::default() };
    let (vocabulary, work) = (Arc::new(ByteVocabulary::default()), Work::Rerank { limits: LIMITS, inputs });
    let conversation = Conversation::absent(vocabulary.clone());
    Service::new(description, vocabulary, conversation, work, counters)
}

fn request(query: &str, documents: &[&str]) -> RerankRequest {
    let documents = documents.iter().map(|&document| document.to_owned()).collect();
    RerankRequest { model: "m".into(), query: query.into(), documents, ..RerankRequest::default() }
}

fn logit(query: &str, document: &str) -> f32 {
    let tokens: Vec<_> = query.bytes().chain(document.bytes()).map(|byte| TokenId(byte.into())).collect();
    FakeRanking::logit_of(Pair { tokens: &tokens, first_tokens: query.len() })
}

#[tokio::test]
async fn scores_come_in_the_order_of_the_documents() {
    let documents = ["c", "de", "", "fgh"];
    let scores = |raw: bool| async move {
        let request = RerankRequest { raw, ..request("ab", &documents) };
        let reply = service().rerank(request).await.unwrap();
        assert_eq!(reply.model, "m");
        assert_eq!(reply.scores.iter().map(|score| score.tokens).collect::<Vec<_>>(), [3, 4, 2, 5]);
        assert!(reply.scores.iter().all(|score| !score.truncated));
        reply.scores.into_iter().map(|score| score.value).collect::<Vec<_>>()
    };
    let logits: Vec<f32> = documents.iter().map(|document| logit("ab", document)).collect();
    assert_eq!(scores(true).await, logits);
    let shares: Vec<f32> = logits.iter().map(|&logit| sigmoid(logit)).collect();
    assert_eq!(scores(false).await, shares);
    assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
}

#[tokio::test]
async fn what_cannot_be_ranked_is_named_as_the_caller_counts() {
    let check = async |query: &str, documents: &[&str], code: Code, param: &str, words: &str| {
        let request = RerankRequest { first_document: 256, ..request(query, documents) };
        let error = service().rerank(request).await.unwrap_err();
        assert_eq!((error.code(), error.param.as_str()), (code, param), "{error}");
        assert!(error.message.contains(words), "{error}");
    };
    let (invalid, long) = (Code::InvalidRequest, Code::ContextLengthExceeded);
    check("", &["a"], invalid, "query", "empty").await;
    check("a", &[], invalid, "documents", "0 documents").await;
    check("a", &vec!["x"; 2049], invalid, "documents", "2049 documents").await;
    check("12345678", &["a"], long, "query", "8 tokens. However, query has 8").await;
    check("abc", &["a", "123456"], long, "documents[257]", "8 tokens. However, documents[257] has 9").await;
    check("abc", &["a", "b", "c!"], invalid, "documents[258]", "rejected by the test").await;
}

#[tokio::test]
async fn it_is_the_document_that_is_cut() {
    let request = RerankRequest { truncate: true, raw: true, ..request("abc", &["12345", "123456789", "1"]) };
    let scores = service().rerank(request).await.unwrap().scores;
    let found: Vec<_> = scores.iter().map(|score| (score.tokens, score.truncated)).collect();
    assert_eq!(found, [(8, false), (8, true), (4, false)]);
    let values: Vec<f32> = scores[..2].iter().map(|score| score.value).collect();
    assert_eq!(values, [logit("abc", "12345"); 2]);
}

#[tokio::test]
async fn a_cross_encoder_does_nothing_else() {
    let check = |error: Error, words: &str| {
        assert_eq!((error.code(), error.param.as_str()), (Code::UnsupportedParameter, "model"));
        assert!(error.message.contains(words), "{error}");
    };
    let generate = GenerateRequest { model: "m".into(), ..GenerateRequest::default() };
    check(service().start(generate).await.map(drop).unwrap_err(), "`m` ranks documents");
    let embed = EmbedRequest { model: "m".into(), ..EmbedRequest::default() };
    check(service().embed(embed).await.unwrap_err(), "`m` ranks documents");
    let other = RerankRequest { model: "other".into(), ..request("a", &["b"]) };
    assert_eq!(service().rerank(other).await.unwrap_err().code(), Code::WrongModel);
}

#[test]
fn logits_become_shares() {
    let check = |logit: f32, expected: f32| {
        let share = sigmoid(logit);
        assert!((share - expected).abs() < 1e-6, "{logit}: {share}");
    };
    check(0.0, 0.5);
    check(f32::MAX, 1.0);
    check(f32::MIN, 0.0);
    check(1.0, 0.731_058_6);
    check(-1.0, 0.268_941_43);
}
