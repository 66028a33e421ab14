//! The parameters that decide what is generated and where it ends.

use serde_json::{Value, json};

use crate::{
    chat::{counted, with},
    harness::{Answer, Server, Setup, chat, completion},
};

async fn ask(server: &Server, more: Value) -> Answer {
    server.http.ask(&with(chat("count from 1 to 20"), &more)).await
}

#[tokio::test]
async fn a_stop_string_ends_the_text_before_it() {
    let server = Server::plain().await;
    let check = async |stop: Value, expected: &str| {
        let body = with(chat("count from 1 to 20"), &json!({"stop": stop}));
        let whole = server.http.ask(&body).await;
        assert_eq!((whole.text.as_str(), whole.finish_reason.as_str()), (expected, "stop"), "{body}");
        let streamed = server.http.stream(&body).await.whole().await;
        assert_eq!((streamed.text, streamed.finish_reason), (whole.text, whole.finish_reason), "{body}");
    };
    check(json!(", 5"), &counted(4)).await;
    check(json!(["nowhere", "12, 13"]), &format!("{}, ", counted(11))).await;
    check(json!(["8", "7, 8"]), &format!("{}, ", counted(6))).await;
    // The beginning of a stop string is not held back for ever.
    check(json!("20, 21"), &counted(20)).await;
}

#[tokio::test]
async fn max_tokens_ends_an_answer_with_length() {
    let server = Setup::new().set("workers.gguf.context=256").start().await;
    for name in ["max_tokens", "max_completion_tokens"] {
        let answer = ask(&server, json!({name: 4})).await;
        assert_eq!((answer.text.as_str(), answer.finish_reason.as_str()), ("1, 2", "length"), "{name}");
        assert_eq!(answer.usage["completion_tokens"], 4);
    }
    let answer = server.http.ask(&completion("Once upon a time")).await;
    let tokens = answer.usage["completion_tokens"].as_u64().unwrap();
    assert!(tokens <= 16, "the default of this endpoint is 16, not {tokens}");
    // The context ends what nothing else ends.
    let endless = server.http.ask(&crate::crash::endless()).await;
    assert_eq!((endless.finish_reason.as_str(), &endless.usage["total_tokens"]), ("length", &json!(256)));
}

#[tokio::test]
async fn seeds_reproduce_and_differ() {
    let server = Server::plain().await;
    // A text that the model knows nothing of, so that it has much to choose from.
    let unseeded = with(completion("Xq vlurb"), &json!({"temperature": 2, "max_tokens": 60}));
    let mut texts = Vec::new();
    for seed in [1, -2, i64::MAX] {
        let seeded = with(unseeded.clone(), &json!({"seed": seed}));
        let first = server.http.ask(&seeded).await;
        assert_eq!(server.http.ask(&seeded).await.text, first.text, "seed {seed}");
        texts.push(first.text);
    }
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), 3, "{texts:?}");
    // Without a seed every answer has one of its own.
    assert_ne!(server.http.ask(&unseeded).await.text, server.http.ask(&unseeded).await.text);
}

#[tokio::test]
async fn biases_and_filters_reach_the_sampler() {
    let server = Server::plain().await;
    // A token that is forced says which text it is.
    let forced = |token: u32| json!({"logit_bias": {token.to_string(): 100}, "max_tokens": 3});
    let answer = ask(&server, forced(300)).await;
    let third = answer.text.len() / 3;
    assert_eq!(answer.text, answer.text[..third].repeat(3), "one token three times");
    assert_ne!(ask(&server, forced(301)).await.text, answer.text);
    // However hot, one candidate is one candidate.
    for filter in ["top_k", "top_p", "min_p"] {
        let value = if filter == "top_p" { json!(0) } else { json!(1) };
        let answer = ask(&server, json!({"temperature": 2, filter: value})).await;
        assert_eq!(answer.text, counted(20), "{filter}");
    }
    let penalised =
        ask(&server, json!({"frequency_penalty": 2, "presence_penalty": 2, "max_tokens": 60})).await;
    assert_ne!(penalised.text, counted(20));
}
