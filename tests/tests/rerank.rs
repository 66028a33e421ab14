//! Cross-encoders on both engines that have them, against logits that the Python `transformers` package computes.

use std::{fs, path::Path};

use impetus_proto::worker::RerankRequest;
use serde_json::{Value, json};

use crate::harness::{Refusal, Server, Setup, chat};

/// The small models of `tests/reference/cross_encoder.py`.
const MODELS: [&str; 4] = ["bert", "bert-onnx", "xlm-roberta", "xlm-roberta-onnx"];
/// What a score may differ from the reference's.
const TOLERANCE: f64 = 1e-4;

fn folder(model: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/cross_encoder").join(model)
}

async fn server() -> Server {
    let setup = MODELS.iter().fold(Setup::new(), |setup, model| setup.with_folder(model, folder(model)));
    setup.set("gateway.truncate_inputs=true").start().await
}

/// Pairs of a query and a document with the model's logit.
fn cases(model: &str) -> Vec<(String, String, f64)> {
    let text = fs::read_to_string(folder(model).join("logits.json")).unwrap();
    let file: Value = serde_json::from_str(&text).unwrap();
    let string = |value: &Value| value.as_str().unwrap().to_owned();
    let case =
        |case: &Value| (string(&case["query"]), string(&case["document"]), case["logit"].as_f64().unwrap());
    file["cases"].as_array().unwrap().iter().map(case).collect()
}

async fn post(server: &Server, path: &str, body: &Value) -> reqwest::Response {
    server.http.request(reqwest::Method::POST, path).json(body).send().await.unwrap()
}

#[tokio::test]
async fn scores_are_those_of_transformers_on_every_engine() {
    let server = server().await;
    for model in MODELS {
        let cases = cases(model);
        let logits: Vec<f64> = cases.iter().map(|(_, _, logit)| *logit).collect();
        for (query, document, logit) in &cases {
            let body = json!({"model": model, "query": query, "documents": [document]});
            let answer: Value = post(&server, "/v1/rerank", &body).await.json().await.unwrap();
            let score = answer["results"][0]["relevance_score"]
                .as_f64()
                .unwrap_or_else(|| panic!("{model}: {answer}"));
            let expected = 1.0 / (1.0 + (-logit).exp());
            assert!((score - expected).abs() < TOLERANCE, "{model}: {score} instead of {expected}");
        }
        // All at once, and as logits.
        let (query, _, _) = &cases[0];
        let same: Vec<&(String, String, f64)> = cases.iter().filter(|case| case.0 == *query).collect();
        let documents: Vec<&String> = same.iter().map(|case| &case.1).collect();
        assert!(documents.len() > 2 && logits.len() > documents.len());
        let body = json!({"model": model, "query": query, "documents": documents, "raw_scores": true});
        let answer: Value = post(&server, "/rerank", &body).await.json().await.unwrap();
        let results = answer["results"].as_array().unwrap();
        assert_eq!((results.len(), &answer["model"]), (documents.len(), &json!(model)));
        let scores: Vec<f64> = results.iter().map(|item| item["relevance_score"].as_f64().unwrap()).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "{scores:?}");
        for item in results {
            let expected = same[item["index"].as_u64().unwrap() as usize].2;
            let score = item["relevance_score"].as_f64().unwrap();
            assert!((score - expected).abs() < TOLERANCE, "{model}: {score} instead of {expected}");
        }
    }
}

#[tokio::test]
async fn documents_are_cut_and_counted() {
    let server = server().await;
    for model in MODELS {
        let long = "the fox is at sea ".repeat(30);
        let body = json!({"model": model, "query": "who", "documents": ["the sun", long], "top_n": 1});
        let response = post(&server, "/v1/rerank", &body).await;
        assert_eq!(response.headers()["x-impetus-truncated"], "1", "{model}");
        let answer: Value = response.json().await.unwrap();
        assert_eq!(answer["results"].as_array().unwrap().len(), 1, "{model}");
        assert!(answer["usage"]["prompt_tokens"].as_u64().unwrap() > 40, "{model}: {answer}");
        let request = RerankRequest {
            model: model.to_owned(),
            query: "who ".repeat(60),
            documents: vec!["a".into()],
            truncate: true,
            ..RerankRequest::default()
        };
        let error = server.control.worker(model).await.rerank(request).await.unwrap_err();
        assert!(error.message().contains("query has"), "{model}: {error}");
    }
}

#[tokio::test]
async fn a_model_is_asked_for_what_it_does() {
    let server = server().await;
    let body = json!({"model": "impetus-tiny", "query": "a", "documents": ["b"]});
    let refusal = Refusal::of(post(&server, "/v1/rerank", &body).await).await;
    assert_eq!((refusal.status, refusal.param.as_deref()), (400, Some("model")), "{}", refusal.message);
    for model in ["bert", "bert-onnx"] {
        let mut body = chat("hello");
        body["model"] = json!(model);
        let refusal = server.http.refused(&body).await;
        assert_eq!((refusal.status, refusal.param.as_deref()), (400, Some("model")), "{}", refusal.message);
        assert!(refusal.message.contains("ranks documents"), "{}", refusal.message);
        let listed = server.http.get_json(&format!("/v1/models/{model}")).await;
        assert_eq!(listed["impetus"]["task"], "rerank", "{listed}");
    }
}
