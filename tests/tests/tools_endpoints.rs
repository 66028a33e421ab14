//! Tokens, templates, holes, properties and slots, on the bundled model in every format.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{BUNDLED, Server, Setup, chat};

async fn post(server: &Server, path: &str, body: &Value) -> Value {
    let response = server.http.request(Method::POST, path).json(body).send().await.unwrap();
    let status = response.status();
    let value: Value = response.json().await.unwrap();
    assert_eq!(status, 200, "{path} {body}: {value}");
    value
}

#[tokio::test]
async fn tokens_are_the_same_in_every_format_and_become_their_text() {
    let server = Setup::in_all_formats().start().await;
    let text = "count from 1 to 5: ünïcödé and 日本語";
    let mut known = None;
    for model in BUNDLED {
        let tokenized =
            post(&server, "/tokenize", &json!({"model": model, "content": text, "with_pieces": true})).await;
        let tokens: Vec<u64> = tokenized["tokens"]
            .as_array()
            .unwrap()
            .iter()
            .map(|token| token["id"].as_u64().unwrap())
            .collect();
        assert_eq!(known.get_or_insert_with(|| tokens.clone()), &tokens, "{model}");
        let back = post(&server, "/detokenize", &json!({"model": model, "tokens": tokens})).await;
        assert_eq!((&back["content"], &back["prompt"]), (&json!(text), &json!(text)), "{model}");
        let counted =
            post(&server, "/tokenize", &json!({"model": model, "prompt": text, "add_special_tokens": false}))
                .await;
        assert_eq!(counted["count"], tokens.len(), "{model}");
    }
}

#[tokio::test]
async fn a_chat_is_counted_as_it_is_read() {
    let server = Setup::new().start().await;
    let mut body = chat("hello there");
    body["max_tokens"] = json!(1);
    let usage = server.http.ask(&body).await.usage;
    let counted = post(&server, "/v1/chat/completions/input_tokens", &body).await;
    assert_eq!(counted["input_tokens"], usage["prompt_tokens"]);
    let prompt = post(&server, "/apply-template", &body).await["prompt"].as_str().unwrap().to_owned();
    assert!(prompt.contains("hello there"), "{prompt}");
    let tokens = post(&server, "/tokenize", &json!({"content": prompt, "add_special": true})).await;
    assert_eq!(tokens["tokens"].as_array().unwrap().len() as u64, usage["prompt_tokens"].as_u64().unwrap());
}

#[tokio::test]
async fn a_hole_is_filled_as_editors_ask_for_it() {
    let server = Setup::new().start().await;
    let body = json!({"input_prefix": "count: one two ", "input_suffix": " four five", "n_predict": 8,
        "temperature": 0, "samplers": ["top_k", "top_p", "infill"], "cache_prompt": true, "id_slot": -1,
        "t_max_prompt_ms": 500, "t_max_predict_ms": 30_000, "n_indent": 0});
    let whole = post(&server, "/infill", &body).await;
    assert_eq!((&whole["stop"], &whole["model"]), (&json!(true), &json!("impetus-tiny")));
    assert!((1..=8).contains(&whole["tokens_predicted"].as_u64().unwrap()), "{whole}");
    let mut streamed = body.clone();
    streamed["stream"] = json!(true);
    let response = server.http.request(Method::POST, "/infill").json(&streamed).send().await.unwrap();
    let text = response.text().await.unwrap();
    let pieces = text.split_terminator("\n\n").map(|event| {
        serde_json::from_str::<Value>(event.strip_prefix("data: ").expect("it is an event")).unwrap()
    });
    let pieces: Vec<Value> = pieces.collect();
    let said: String = pieces.iter().map(|piece| piece["content"].as_str().unwrap()).collect();
    assert_eq!(json!(said), whole["content"]);
    assert_eq!(pieces.last().unwrap()["stop_type"], whole["stop_type"]);
}

#[tokio::test]
async fn a_model_and_its_slots_are_told() {
    let server = Setup::new().start().await;
    let props = server.http.get_json("/props").await;
    assert_eq!(props["model_alias"], "impetus-tiny");
    assert!(props["chat_template"].as_str().unwrap().contains("messages"), "{props}");
    assert!(props["default_generation_settings"]["n_ctx"].as_u64().unwrap() > 0);
    let slots = server.http.get_json("/slots").await;
    assert_eq!(json!(slots.as_array().unwrap().len()), props["total_slots"]);
    assert!(slots.as_array().unwrap().iter().all(|slot| slot["is_processing"] == false), "{slots}");
    let document = server.http.get_json("/openapi.json").await;
    assert_eq!(document["openapi"], "3.1.0");
    assert!(document["paths"]["/infill"]["post"]["requestBody"].is_object());
}
