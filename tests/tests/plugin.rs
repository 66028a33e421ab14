//! A worker that this project knows nothing of, added by configuration alone.

use impetus_tests::fake::oracle::greedy;
use serde_json::json;

use crate::{
    chat::{counted, with},
    harness::{Setup, chat},
};

fn fake_server() -> Setup {
    let worker = env!("CARGO_BIN_EXE_worker-fake");
    let table =
        format!("[workers.fake]\ncommand = '{worker}'\npatterns = [\"*.fake\"]\nslots = 3\ncontext = 200");
    Setup::new().table(&table).with_file("scripted.fake", "fake\n").with_file("other.fake", "no such thing")
}

#[tokio::test]
async fn a_third_partys_worker_serves_its_format() {
    let server = fake_server().start().await;
    let models = server.ctl(&["models", "--json"]).await.json();
    let models = models["models"].as_array().unwrap();
    let scripted = models.iter().find(|model| model["name"] == "scripted").expect("the pattern finds it");
    assert_eq!((&scripted["format"], &scripted["state"]), (&json!("fake"), &json!("available")));

    let body = with(chat("hello"), &json!({"model": "scripted", "max_tokens": 24}));
    let whole = server.http.ask(&body).await;
    assert_eq!(whole.text, greedy("user: hello\nassistant: ", 24));
    let streamed = server.http.stream(&body).await.whole().await;
    assert_eq!((&streamed.text, &streamed.finish_reason), (&whole.text, &whole.finish_reason));
    let raw = json!({"model": "scripted", "temperature": 0, "prompt": "abc", "max_tokens": 9});
    assert_eq!(server.http.ask(&raw).await.text, greedy("abc", 9));

    let worker = server.find_worker("scripted").await.unwrap();
    assert_eq!((worker.format.as_str(), worker.slots_total), ("fake", 3));
    let refusal = server.http.refused(&with(body.clone(), &json!({"model": "other"}))).await;
    assert_eq!((refusal.status, refusal.code.as_str()), (503, "model_load_failed"));
    assert!(refusal.message.contains("it does not begin with a line `fake`"), "{}", refusal.message);
    assert_eq!(server.http.ask(&chat("count from 1 to 5")).await.text, counted(5), "beside it, as ever");
    assert_eq!(server.http.ask(&body).await.text, whole.text);
}
