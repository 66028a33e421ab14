use impetus_config::ResponsesConfig;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;
use crate::dialect::openai::responses::{
    background::Background,
    item::Kept,
    store::{End, Row},
};

/// A store with the response `resp_1`, whose input are these items.
async fn store_of(dir: &TempDir, items: &[(&str, &str)]) -> Store {
    let store = Store::new(dir.path(), &ResponsesConfig::default(), Background::new(0));
    let inputs = items.iter().map(|(id, text)| Kept {
        id: (*id).to_owned(),
        json: json!({"id": id, "type": "message", "role": "user", "content": text}).to_string(),
    });
    let end =
        End { status: "completed", object: r#"{"id":"resp_1"}"#.into(), outputs: Vec::new(), events: None };
    let row = Row { id: "resp_1".into(), caller: String::new(), previous: None, end };
    store.insert(row, inputs.collect()).await.unwrap();
    store
}

fn references(id: &str, n: usize) -> Value {
    json!(vec![json!({"type": "item_reference", "id": id}); n])
}

async fn resolved(store: &Store, body: Value) -> Result<Vec<Message>, Failure> {
    messages(&mut Params::read(body.to_string().as_bytes()).unwrap(), store, "").await
}

#[tokio::test]
async fn an_item_may_be_referred_to_more_than_once() {
    let dir = TempDir::new().unwrap();
    let store = store_of(&dir, &[("a", "x"), ("b", "y")]).await;
    let mut input = references("a", 2);
    input.as_array_mut().unwrap().extend(references("b", 1).as_array().unwrap().clone());
    let mut params = Params::read(json!({"input": input}).to_string().as_bytes()).unwrap();
    let said = messages(&mut params, &store, "").await.unwrap();
    let texts: Vec<_> = said.iter().map(|message| &*message.content).collect();
    assert_eq!(texts, ["x", "x", "y"]);
    let kept: Vec<_> = params.input.iter().map(|item| &*item.kept.id).collect();
    assert_eq!(kept, ["a", "a", "b"]);
}

#[tokio::test]
async fn what_is_kept_adds_no_more_than_one_request_can_have() {
    let dir = TempDir::new().unwrap();
    let store = store_of(&dir, &[("a", &"x".repeat(12 << 20))]).await;
    for (body, param) in [
        (json!({"input": references("a", 5)}), None),
        (json!({"input": references("a", 16_000)}), Some("input[5].id")),
        (json!({"input": references("a", 5), "previous_response_id": "resp_1"}), Some("input[4].id")),
    ] {
        let refused =
            resolved(&store, body).await.err().map(|failure| (failure.status.as_u16(), failure.param));
        assert_eq!(refused, param.map(|param| (400, param.to_owned())));
    }
}
