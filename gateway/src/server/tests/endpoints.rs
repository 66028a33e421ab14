//! The endpoints beside OpenAI's, through the whole server.

use serde_json::json;

use super::*;
use crate::fake::{Call, MODEL, finished};

async fn ask(fake: &Fake, path: &str, body: &str) -> Answer {
    send(fake, post(path, body.to_owned())).await
}

#[tokio::test]
async fn documents_are_ranked_under_every_name() {
    let fake = Fake::start();
    let body = r#"{"query":"abc","documents":["xyz","cab"],"beta":1,"return_documents":true}"#;
    for path in ["/v1/rerank", "/rerank", "/v1/reranking", "/reranking"] {
        let answer = ask(&fake, path, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.headers["x-impetus-ignored"].as_bytes()),
            (200, &b"beta"[..])
        );
        let results = json!([
            {"index": 1, "relevance_score": 1.0, "document": {"text": "cab"}},
            {"index": 0, "relevance_score": 0.0, "document": {"text": "xyz"}}]);
        let usage = json!({"prompt_tokens": 12, "total_tokens": 12});
        let expected = json!({"object": "list", "model": MODEL, "results": results, "usage": usage});
        assert_eq!(answer.json(), expected, "{path}");
    }
    fake.script_reranks([Call::Fail(Error::invalid("documents[1]", "too long"))]);
    let refused = ask(&fake, "/rerank", r#"{"query":"abc","texts":["xyz","cab"]}"#).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["param"]), (400, &json!("texts[1]")));
    let long = format!(r#"{{"query":"abc","documents":["a","{}"]}}"#, "x".repeat(2000));
    assert_eq!(ask(&fake, "/rerank", &long).await.headers["x-impetus-truncated"], "1");
    fake.until_idle().await;
}

#[tokio::test]
async fn texts_become_tokens_and_tokens_text() {
    let fake = Fake::start();
    let check = async |path: &str, body: &str, expected: Value| {
        let answer = ask(&fake, path, body).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, expected), "{path} {body}");
    };
    check("/tokenize", r#"{"content":"ab"}"#, json!({"tokens": [97, 98]})).await;
    check("/tokenize", r#"{"content":"ab","add_special":true}"#, json!({"tokens": [1, 97, 98]})).await;
    let pieces = json!({"tokens": [{"id": 97, "piece": "a"}]});
    check("/tokenize", r#"{"content":"a","with_pieces":true}"#, pieces).await;
    let counted = json!({"count": 2, "max_model_len": 2048, "tokens": [1, 97], "token_strs": ["", "a"]});
    check("/tokenize", r#"{"model":"small","prompt":"a","return_token_strs":true}"#, counted).await;
    let text = json!({"content": "hi", "prompt": "hi"});
    check("/detokenize", r#"{"tokens":[104,105]}"#, text).await;
    let chat = r#"{"messages":[{"role":"user","content":"hi"}],"temperature":0}"#;
    check("/apply-template", chat, json!({"prompt": "user: hi\nassistant:"})).await;
    let count = json!({"object": "chat.completion.input_tokens", "input_tokens": 20});
    check("/v1/chat/completions/input_tokens", chat, count).await;
    let tokens = ask(&fake, "/tokenize", chat).await.json();
    assert_eq!(tokens["count"], 20);
    let refused = ask(&fake, "/tokenize", r#"{"content":"a","model":"nobody"}"#).await;
    assert_eq!(refused.error(), (404, "model_not_found".to_owned()));
    fake.until_idle().await;
}

#[tokio::test]
async fn a_hole_is_filled_streamed_and_whole() {
    let fake = Fake::start();
    let script = || [accepted(), delta(0, &[7], "let x"), delta(1, &[8], " = 1;"), finished(2, &[2], "")];
    fake.script(script());
    let body = r#"{"input_prefix":"fn a() {","input_suffix":"}","prompt":"    ","n_predict":8}"#;
    let whole = ask(&fake, "/infill", body).await.json();
    assert_eq!((&whole["content"], &whole["stop"]), (&json!("let x = 1;"), &json!(true)));
    assert_eq!((&whole["model"], &whole["stop_type"]), (&json!(MODEL), &json!("eos")));
    assert_eq!((&whole["tokens_predicted"], &whole["tokens_evaluated"]), (&json!(3), &json!(5)));

    fake.script(script());
    let streamed = ask(&fake, "/infill", &body.replacen('{', r#"{"stream":true,"#, 1)).await;
    let pieces: Vec<Value> = streamed
        .text
        .split_terminator("\n\n")
        .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
        .collect();
    let text: String = pieces.iter().map(|piece| piece["content"].as_str().unwrap()).collect();
    assert_eq!(text, "let x = 1;");
    let stops: Vec<bool> = pieces.iter().map(|piece| piece["stop"].as_bool().unwrap()).collect();
    assert_eq!(stops, [false, false, true]);

    fake.script([accepted(), delta(0, &[7], "a\n"), delta(1, &[8], "b"), Step::Stall]);
    let cut = ask(&fake, "/infill", r#"{"input_prefix":"x","n_indent":2}"#).await.json();
    assert_eq!((&cut["content"], &cut["stop_type"]), (&json!("a\n"), &json!("limit")));
    fake.until_idle().await;

    fake.script([Step::Fail(Error::new(Code::Unprocessable, "no such tokens").with_param("suffix"))]);
    let refused = ask(&fake, "/infill", r#"{"input_prefix":"x"}"#).await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["param"]), (422, &json!("input_suffix")));
    fake.script(completion("one two"));
    assert_eq!(ask(&fake, "/completion", r#"{"prompt":"x"}"#).await.json()["content"], "one two");
}

#[tokio::test]
async fn a_model_and_its_slots_are_told() {
    let fake = Fake::start();
    let props = send(&fake, get("/props?model=small")).await.json();
    for (pointer, expected) in [
        ("/total_slots", json!(2)),
        ("/model_alias", json!(MODEL)),
        ("/default_generation_settings/n_ctx", json!(2048)),
        ("/default_generation_settings/params/temperature", json!(0.8)),
        ("/chat_template", json!("{{ messages }}")),
        ("/bos_token", json!("<s>")),
        ("/eos_token", json!("</s>")),
        ("/modalities/vision", json!(false)),
        ("/impetus/output_format", json!("hermes")),
    ] {
        assert_eq!(props.pointer(pointer), Some(&expected), "{pointer} of {props}");
    }
    let slots = send(&fake, get("/slots")).await.json();
    let slot = |id: u32, is_processing: bool| json!({"id": id, "n_ctx": 2048, "speculative": false, "is_processing": is_processing});
    assert_eq!(slots, json!([slot(0, true), slot(1, false)]));
    assert_eq!(send(&fake, get("/slots?fail_on_no_slot=1")).await.status, 200);

    let idle = ModelStatus {
        name: MODEL.into(),
        state: "available".into(),
        is_default: true,
        ..ModelStatus::default()
    };
    fake.set_models(vec![idle]);
    let n_before = fake.acquire_requests().len();
    assert_eq!(send(&fake, get("/slots")).await.json(), json!([]));
    assert_eq!(send(&fake, get("/slots?fail_on_no_slot=1")).await.error().0, 503);
    assert_eq!(send(&fake, get("/props?autoload=false")).await.error(), (409, "conflict".to_owned()));
    assert_eq!(fake.acquire_requests().len(), n_before, "nothing was loaded");
    assert_eq!(send(&fake, get("/props")).await.status, 200);
    assert_eq!(send(&fake, get("/props?model=nobody")).await.error().0, 404);
    assert_eq!(send(&fake, get("/props?autoload=maybe")).await.error().0, 400);
}

#[tokio::test]
async fn the_description_names_every_route_and_no_other() {
    let fake = Fake::start();
    let gateway = fake.gateway();
    let app = app(gateway.clone());
    // What makes models is described in docs/ollama.md.
    let makes = |route: &&Route| route.need == Need::Scope(Scope::Admin) && route.path.starts_with("/api/");
    let public = app.table.all().iter().filter(|route| !makes(route));
    let mut served: Vec<String> = public.map(|route| route.path.replace("{*", "{")).collect();
    let document = send_to(gateway, get("/openapi.json")).await.json();
    let mut described: Vec<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    served.sort();
    served.dedup();
    described.sort();
    assert_eq!(described, served);
}
