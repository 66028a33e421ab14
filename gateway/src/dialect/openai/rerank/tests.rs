use http_body_util::BodyExt;
use impetus_proto::{Code, worker::Score};
use serde_json::{Value, json};

use super::*;

fn with(fields: &str) -> Result<Params, Error> {
    params(format!(r#"{{"query":"q","documents":["a","b"],{fields}}}"#).as_bytes())
}

#[test]
fn documents_are_strings_or_objects_with_a_text() {
    let check = |documents: &str, expected: &[&str]| {
        let body = format!(r#"{{"query":"q","documents":{documents}}}"#);
        let documents = params(body.as_bytes()).expect(documents).documents;
        assert_eq!(documents.iter().map(|document| document.text.as_str()).collect::<Vec<_>>(), expected);
    };
    check(r#"["a"]"#, &["a"]);
    check(r#"["a","",{"text":"b","id":7}]"#, &["a", "", "b"]);
    check(&format!("[{}]", vec!["\"x\""; 2048].join(",")), &vec!["x"; 2048]);
}

#[test]
fn what_is_wrong_is_said_by_its_name() {
    let check = |body: &str, param: &str, words: &str| {
        let error = params(body.as_bytes()).expect_err(body);
        assert_eq!((error.code(), error.param.as_str()), (Code::InvalidRequest, param), "{body}: {error}");
        assert!(error.message.contains(words), "{body}: {error}");
    };
    check(r#"{"documents":["a"]}"#, "query", "missing");
    check(r#"{"query":"","documents":["a"]}"#, "query", "empty");
    check(r#"{"query":7,"documents":["a"]}"#, "query", "not a number");
    check(r#"{"query":"q"}"#, "documents", "missing");
    check(r#"{"query":"q","documents":[]}"#, "documents", "empty");
    check(r#"{"query":"q","documents":"a"}"#, "documents", "not a string");
    check(r#"{"query":"q","documents":["a",7]}"#, "documents[1]", "not a number");
    check(r#"{"query":"q","documents":[{"txt":"a"}]}"#, "documents[0].text", "missing");
    check(r#"{"query":"q","documents":[{"text":7}]}"#, "documents[0].text", "not a number");
    check(r#"{"query":"q","documents":["a"],"texts":["b"]}"#, "texts", "exclude");
    check(r#"{"query":"q","texts":["a",[]]}"#, "texts[1]", "not an array");
    check(r#"{"query":"q","documents":["\ud800"]}"#, "documents[0]", "Unicode");
    check(r#"{"query":"q","documents":["a"],"top_n":-1}"#, "top_n", "-1");
    check(r#"{"query":"q","documents":["a"],"return_documents":1}"#, "return_documents", "not a number");
    let many = vec!["\"x\""; 2049].join(",");
    check(&format!(r#"{{"query":"q","documents":[{many}]}}"#), "documents", "at most 2048");
}

#[test]
fn parameters_are_honoured_or_refused_by_name() {
    let found =
        with(r#""model":"m","top_n":1,"return_documents":true,"truncate":true,"raw_scores":true"#).unwrap();
    assert_eq!((found.model.as_str(), found.top_n, found.truncate), ("m", Some(1), Some(true)));
    assert!(found.return_documents && found.raw);
    let neutral =
        with(r#""top_n":0,"return_documents":false,"max_chunks_per_doc":10,"user":"u","keep_alive":"5m""#);
    let neutral = neutral.unwrap();
    assert_eq!((neutral.top_n, neutral.keep_alive, neutral.ignored), (None, Some(300), Ignored::default()));
    let refused = |fields: &str, param: &str| {
        let error = with(fields).expect_err(fields);
        assert_eq!((error.code(), error.param.as_str()), (Code::UnsupportedParameter, param), "{fields}");
    };
    refused(r#""max_chunks_per_doc":2"#, "max_chunks_per_doc");
    refused(r#""rank_fields":["title"]"#, "rank_fields");
    refused(r#""max_tokens_per_doc":99"#, "max_tokens_per_doc");
    refused(r#""truncation_direction":"Left""#, "truncation_direction");
    assert_ne!(with(r#""beta":1"#).unwrap().ignored, Ignored::default());
}

/// The answer's body for two documents of these scores.
async fn body(fields: &str, scores: [f32; 3]) -> Value {
    let request = format!(r#"{{"query":"q","documents":["a",{{"text":"b","id":7}},"c"],{fields}}}"#);
    of(params(request.as_bytes()).unwrap(), scores).await
}

async fn of(params: Params, scores: [f32; 3]) -> Value {
    let scores = scores.map(|value| Score { value, tokens: 5, truncated: false });
    let ranked = Ranked { model: "tiny".into(), scores: scores.into() };
    let bytes = answer(params, &ranked).into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap()
}

#[tokio::test]
async fn the_best_comes_first_and_says_where_it_stood() {
    let usage = json!({"prompt_tokens": 15, "total_tokens": 15});
    let expected = json!({"object": "list", "model": "tiny", "usage": usage, "results": [
        {"index": 1, "relevance_score": 0.75}, {"index": 0, "relevance_score": 0.5},
        {"index": 2, "relevance_score": 0.5}]});
    assert_eq!(body(r#""top_n":9"#, [0.5, 0.75, 0.5]).await, expected);
    let results = json!([
        {"index": 2, "relevance_score": 0.5, "document": {"text": "c"}},
        {"index": 1, "relevance_score": 0.25, "document": {"text": "b", "id": 7}}]);
    let found = body(r#""top_n":2,"return_documents":true"#, [0.125, 0.25, 0.5]).await;
    assert_eq!(found["results"], results);
}

#[tokio::test]
async fn texts_are_answered_with_a_list() {
    let request = br#"{"query":"q","texts":["a","b","c"],"return_text":true}"#;
    let expected = json!([{"index": 2, "score": 0.5, "text": "c"}, {"index": 1, "score": 0.25, "text": "b"},
        {"index": 0, "score": 0.125, "text": "a"}]);
    assert_eq!(of(params(request).unwrap(), [0.125, 0.25, 0.5]).await, expected);
}
