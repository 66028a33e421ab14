use impetus_proto::Code;

use super::*;
use crate::fake::{ALIAS, Call, Fake, MODEL, call::score};

fn request(n_documents: usize) -> RankingRequest {
    let documents = (0..n_documents).map(|idx| format!("document {idx}")).collect();
    let model = ALIAS.into();
    RankingRequest {
        id: "req-1".into(),
        model,
        query: "2 or 7".into(),
        documents,
        ..RankingRequest::default()
    }
}

/// What becomes of a request whose first calls do what `script` says; `n_asked` is how often workers are asked.
async fn check(n_documents: usize, script: Vec<Call<RerankReply>>, n_asked: usize) {
    let fake = Fake::start();
    let what = format!("{n_documents}: {script:?}");
    fake.script_reranks(script);
    let asked = request(n_documents);
    let ranked = rerank(&fake.upstream(), asked.clone()).await.expect(&what);
    let expected: Vec<Score> = asked.documents.iter().map(|document| score("2 or 7", document)).collect();
    assert_eq!((&*ranked.model, &ranked.scores), (MODEL, &expected), "{what}");
    assert_eq!(ranked.tokens(), expected.iter().map(|score| u64::from(score.tokens)).sum::<u64>());
    let requests = fake.rerank_requests();
    assert_eq!(requests.len(), n_asked, "{what}");
    assert!(requests.iter().all(|request| request.model == MODEL && request.query == "2 or 7"));
    fake.until_idle().await;
}

#[tokio::test(start_paused = true)]
async fn scores_come_back_in_order_whatever_becomes_of_workers() {
    check(1, vec![], 1).await;
    check(300, vec![], 2).await;
    check(1, vec![Call::Die], 2).await;
    check(1, vec![Call::Crash, Call::Crash], 3).await;
    check(1, vec![Call::Fail(Error::new(Code::Unavailable, "draining"))], 2).await;
    check(2, vec![Call::Lie(|reply| reply.model = "other".into())], 2).await;
    check(2, vec![Call::Lie(|reply| reply.scores.truncate(1))], 2).await;
    check(2, vec![Call::Lie(|reply| reply.scores[1].value = f32::NAN)], 2).await;
}

#[tokio::test(start_paused = true)]
async fn what_another_worker_would_say_too_is_the_answer() {
    let check = async |script: Vec<Call<RerankReply>>, code: Code, n_asked: usize| {
        let fake = Fake::start();
        fake.script_reranks(script);
        let error = rerank(&fake.upstream(), request(1)).await.unwrap_err();
        assert_eq!(error.code(), code, "{error}");
        assert_eq!(fake.rerank_requests().len(), n_asked);
        fake.until_idle().await;
    };
    check(vec![Call::Fail(Error::invalid("query", "no"))], Code::InvalidRequest, 1).await;
    check(vec![Call::Crash; 3], Code::WorkerCrashed, 3).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_is_told_what_the_client_asked_for() {
    let fake = Fake::start();
    let asked = RankingRequest { truncate: true, raw: true, ..request(300) };
    rerank(&fake.upstream(), asked).await.unwrap();
    let requests = fake.rerank_requests();
    assert!(requests.iter().all(|request| request.truncate && request.raw));
    let mut firsts: Vec<u32> = requests.iter().map(|request| request.first_document).collect();
    firsts.sort_unstable();
    assert_eq!(firsts, [0, 256]);
    assert_eq!(fake.request_ids(), ["req-1"; 3], "supervisor and worker");
}
