//! What was computed outlives the slot, the worker and the server that computed it; and guesses change nothing but the
//! number of steps.

use serde_json::{Value, json};

use crate::{
    chat::with,
    crash::kill_worker,
    harness::{Answer, BUNDLED, Server, Setup, Signal, bundled, chat, eventually, signal},
};

const QUESTION: &str = "My name is Ada. Remember it well, since I shall ask for it after you have counted from 1 to 20 \
                        for me, slowly and one after the other, as if there were nothing else to do today.";

/// The first turn of a conversation, and the second one's request.
async fn first_turn(server: &Server, model: &str) -> (Answer, Value) {
    let mut body = with(chat(QUESTION), &json!({"model": model, "max_tokens": 60, "ignore_eos": true}));
    let first = server.http.ask(&body).await;
    body["messages"].as_array_mut().unwrap().extend([
        json!({"role": "assistant", "content": first.text}),
        json!({"role": "user", "content": "What is my name?"}),
    ]);
    (first, body)
}

/// Waits until what the model's worker has computed is in its file.
async fn kept(server: &Server, model: &str) {
    let is_kept = async || (server.control.stats(model).await.prefix_file_bytes > 0).then_some(());
    eventually("the file has the prefix", is_kept).await;
}

fn tokens(answer: &Answer, of: &str) -> u64 {
    let usage = &answer.usage;
    let tokens = if of == "cached" { &usage["prompt_tokens_details"]["cached_tokens"] } else { &usage[of] };
    tokens.as_u64().unwrap()
}

#[tokio::test]
async fn a_conversation_outlives_its_worker_and_its_server() {
    let mut server = Setup::in_all_formats().set("prefixes.file='16MiB'").start().await;
    let without = Setup::in_all_formats().set("prefixes.ram='0B'").start().await;
    for model in BUNDLED {
        let (first, second_turn) = first_turn(&server, model).await;
        assert_eq!(first.text, first_turn(&without, model).await.0.text);
        let expected = without.http.ask(&second_turn).await;
        kept(&server, model).await;
        assert_eq!(without.control.stats(model).await.prefix_file_bytes, 0);

        kill_worker(&server, model).await;
        let second = server.http.ask(&second_turn).await;
        assert_eq!(second.text, expected.text, "{model}");
        let (cached, prompt) = (tokens(&second, "cached"), tokens(&first, "prompt_tokens"));
        assert!(cached >= prompt, "{model}: {cached} cached tokens, {prompt} in the first prompt");
        assert!(server.control.stats(model).await.restored_tokens >= prompt);
        kept(&server, model).await;
    }
    signal(server.pid(), Signal::SIGTERM);
    server.ended().await;
    server.start_again(&[]).await;
    for model in BUNDLED {
        let (first, _) = first_turn(&server, model).await;
        let (cached, prompt) = (tokens(&first, "cached"), tokens(&first, "prompt_tokens"));
        assert!(cached + 1 >= prompt, "{model}: {cached} of {prompt} tokens were kept");
    }
}

#[tokio::test]
async fn guesses_save_steps_and_change_nothing() {
    let server = Setup::in_all_formats().start().await;
    let plain = ["gguf", "candle", "onnx"]
        .into_iter()
        .fold(Setup::in_all_formats(), |setup, format| {
            setup.set(&format!("workers.{format}.speculation='off'"))
        })
        .start()
        .await;
    for model in BUNDLED {
        for temperature in [0.0, 0.9] {
            let options = json!({"model": model, "temperature": temperature, "seed": 5, "max_tokens": 200,
                "ignore_eos": true, "logprobs": true});
            let body = with(chat("count from 1 to 40 and again from 1 to 40"), &options);
            let [guessed, stepwise] = [&server, &plain].map(|server| server.http.ask(&body));
            let (guessed, stepwise) = (guessed.await, stepwise.await);
            assert_eq!(guessed.text, stepwise.text, "{model} {temperature}");
            assert_eq!(tokens(&guessed, "completion_tokens"), tokens(&stepwise, "completion_tokens"));
        }
        let (with, without) = (server.control.stats(model).await, plain.control.stats(model).await);
        assert!(with.accepted_tokens > 0 && with.guessed_tokens >= with.accepted_tokens, "{model}: {with:?}");
        assert!(
            with.steps < without.steps,
            "{model}: {} steps, {} without guesses",
            with.steps,
            without.steps
        );
        assert_eq!(without.guessed_tokens, 0);
    }
}

#[tokio::test]
async fn a_draft_model_changes_nothing_but_the_steps() {
    // The best draft model is the same one; it does not pay, which is seen after a few steps.
    let copies = BUNDLED[1..].iter().fold(Setup::in_all_formats().with_copy("copy.gguf"), |setup, name| {
        setup.with_folder(&format!("{name}-copy"), bundled(name))
    });
    let drafts = [(BUNDLED[0], "copy".to_owned())].into_iter();
    let drafts: Vec<_> =
        drafts.chain(BUNDLED[1..].iter().map(|name| (*name, format!("{name}-copy")))).collect();
    let tables = |(name, draft): &(&str, String)| format!("[[model]]\nname = '{name}'\ndraft = '{draft}'\n");
    let server = copies.table(&drafts.iter().map(tables).collect::<String>()).start().await;
    let plain = Setup::in_all_formats().start().await;
    for (model, draft) in &drafts {
        for temperature in [0.0, 0.9] {
            let options = json!({"model": model, "temperature": temperature, "seed": 5, "max_tokens": 200, "n": 2,
                "ignore_eos": true});
            let body = with(chat("Tell me about the sea, the sky and the hills."), &options);
            let [drafted, stepwise] = [&server, &plain].map(|server| server.http.ask(&body));
            let (drafted, stepwise) = (drafted.await, stepwise.await);
            assert_eq!(drafted.text, stepwise.text, "{model} {temperature}");
        }
        let stats = server.control.stats(model).await;
        assert!(stats.accepted_draft_tokens > 0 && stats.draft_steps > 0, "{model}: {stats:?}");
        assert_eq!(plain.control.stats(model).await.draft_steps, 0);
        let [with, without] = [&server, &plain].map(|server| server.find_worker(model));
        let (with, without) = (with.await.unwrap(), without.await.unwrap());
        assert_eq!((&with.draft, without.draft.as_str()), (draft, ""));
        assert!(with.footprint_bytes > without.footprint_bytes, "{model}: both are in memory");
    }
}

#[tokio::test]
async fn a_draft_model_that_is_not_here_is_named() {
    let table = "[[model]]\nname = 'impetus-tiny'\ndraft = 'nobody'\n";
    let server = Setup::new().table(table).start().await;
    let refused = server.http.refused(&chat("Hello")).await;
    assert_eq!(refused.code, "model_load_failed");
    let message = refused.message;
    assert!(message.contains("\"nobody\"") && message.contains("set `draft`"), "{message}");
}
