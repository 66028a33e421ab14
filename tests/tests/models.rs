//! Several models, broken ones among them, and when they are loaded.

use std::fs;

use serde_json::json;

use crate::{
    chat::{counted, with},
    harness::{Setup, Signal, bundled_model, chat, eventually, is_alive, signal},
};

/// The bundled model with one tensor misnamed: only an engine knows that it needs the other.
fn unloadable() -> Vec<u8> {
    let mut bytes = fs::read(bundled_model()).unwrap();
    let name = b"output_norm.weight";
    let at =
        bytes.windows(name.len()).position(|window| window == name).expect("a Llama model has this tensor");
    bytes[at..at + name.len()].copy_from_slice(b"output_mood.weight");
    bytes
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_is_a_clear_error_and_harms_no_other() {
    let half = fs::read(bundled_model()).unwrap();
    let half = &half[..half.len() / 2];
    let setup = Setup::new().with_file("half.gguf", half).with_file("text.gguf", "no model at all");
    let server = setup.with_file("misnamed.gguf", unloadable()).start().await;
    let check = async |model: &str, state: &str, words: &str| {
        let refusal = server.http.refused(&with(chat("x"), &json!({"model": model}))).await;
        let told = (refusal.status, refusal.kind.as_str(), refusal.code.as_str());
        assert_eq!(told, (503, "server_error", "model_load_failed"), "{model}");
        assert!(refusal.message.contains(model) && refusal.message.contains(words), "{}", refusal.message);
        let models = server.ctl(&["models", "--json"]).await.json();
        let shown = models["models"].as_array().unwrap().iter().find(|shown| shown["name"] == model).unwrap();
        assert_eq!(shown["state"], state, "{shown}");
        assert!(shown["detail"].as_str().unwrap().contains(words), "{shown}");
        let load = server.ctl(&["load", model]).await;
        assert_eq!(load.code, 1);
        assert!(load.err.contains(words), "{}", load.err);
    };
    check("half", "broken", "incomplete or damaged").await;
    check("text", "broken", "not a GGUF file").await;
    check("misnamed", "failed", "output_norm.weight").await;
    assert_eq!(server.http.ask(&chat("count from 1 to 10")).await.text, counted(10));
    assert_eq!(server.worker().await.restarts, 0);
}

#[tokio::test]
async fn each_model_has_a_worker_of_its_own() {
    let server = Setup::new().with_copy("twin.gguf").start().await;
    let (first, second) =
        (chat("count from 1 to 10"), with(chat("count from 1 to 12"), &json!({"model": "twin"})));
    let (one, two) = tokio::join!(server.http.ask(&first), server.http.ask(&second));
    assert_eq!((one.text, two.text), (counted(10), counted(12)));
    let (tiny, twin) = (server.worker().await, server.find_worker("twin").await.unwrap());
    assert_ne!(tiny.pid, twin.pid);
    signal(twin.pid, Signal::SIGKILL);
    eventually("it is dead", || async { (!is_alive(twin.pid)).then_some(()) }).await;
    assert_eq!(server.http.ask(&second).await.text, counted(12));
    assert_eq!(server.worker().await.pid, tiny.pid, "the other one was not touched");
}

#[tokio::test]
async fn a_request_that_names_no_model_gets_the_default() {
    let server = Setup::new().with_copy("twin.gguf").set("models.default=twin").start().await;
    let mut body = chat("count from 1 to 3");
    body.as_object_mut().unwrap().remove("model");
    let answer: serde_json::Value = server.http.post(&body).await.json().await.unwrap();
    assert_eq!(
        (&answer["model"], &answer["choices"][0]["message"]["content"]),
        (&json!("twin"), &json!("1, 2, 3"))
    );
    assert!(server.find_worker("impetus-tiny").await.is_none());
}

#[tokio::test]
async fn a_model_is_loaded_at_start_and_stopped_when_idle_if_so_configured() {
    let tables = "[[model]]\nname = \"impetus-tiny\"\nttl = 1\n\n[[model]]\nname = \"twin\"\npreload = true\nslots = 2";
    let server = Setup::new().with_copy("twin.gguf").table(tables).start().await;
    let twin = eventually("the preloaded model is ready", || async {
        server.find_worker("twin").await.filter(|worker| worker.state == "ready")
    })
    .await;
    assert_eq!(twin.slots_total, 2);
    assert_eq!(server.http.ask(&chat("count from 1 to 3")).await.text, counted(3));
    let idle = server.worker().await.pid;
    eventually("the idle worker is gone", || async { (!is_alive(idle)).then_some(()) }).await;
    assert_eq!(server.find_worker("twin").await.unwrap().pid, twin.pid, "it has no such limit");
    assert_eq!(server.http.ask(&chat("count from 1 to 3")).await.text, counted(3));
}
