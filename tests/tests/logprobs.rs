//! How probable tokens were: of completions and of prompts, the same whatever the format.

use std::collections::HashMap;

use impetus_proto::worker::{
    Echo, FinishReason, GenerateRequest, LogitBias, Logprobs, Sampling, Stopping, TokenLogprobs,
    generate_request::Input,
};

use crate::harness::{BUNDLED, Generated, MODEL, Server};

/// How far two formats may be apart.
const NEAR: f32 = 1e-3;

const TEXT: &str = "def add(a, b):\n    return a + b\n";

fn request(text: &str, max_tokens: u32) -> GenerateRequest {
    GenerateRequest {
        input: Some(Input::Text(text.to_owned())),
        stopping: Some(Stopping { max_tokens: Some(max_tokens), ignore_end: true, ..Stopping::default() }),
        logprobs: Some(Logprobs { top: 5 }),
        echo: Some(Echo { top_logprobs: Some(5) }),
        ..GenerateRequest::default()
    }
}

fn assert_near(model: &str, found: &[TokenLogprobs], expected: &[TokenLogprobs]) {
    assert_eq!(found.len(), expected.len(), "{model}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!((found.token, &found.text), (expected.token, &expected.text), "{model}");
        assert!((found.logprob - expected.logprob).abs() < NEAR, "{model}: {found:?}, not {expected:?}");
        assert_eq!(found.top.len(), expected.top.len(), "{model}");
        // Tokens that are equally probable may change places.
        let expected: HashMap<u32, f32> = expected.top.iter().map(|top| (top.token, top.logprob)).collect();
        let least = expected.values().copied().fold(0.0, f32::min);
        for top in &found.top {
            let other = expected.get(&top.token).copied().unwrap_or(least);
            assert!((top.logprob - other).abs() < NEAR, "{model}: {top:?} among {expected:?}");
        }
    }
}

#[tokio::test]
async fn every_format_finds_the_same_probabilities() {
    let server = Server::of_all_formats().await;
    let mut all: Vec<Generated> = Vec::new();
    for model in BUNDLED {
        all.push(server.generate(model, request(TEXT, 12)).await.unwrap());
    }
    let expected = all[0].prompt.as_ref().unwrap();
    assert_eq!(expected.text, TEXT);
    assert_eq!(
        expected.logprobs.iter().flat_map(|token| token.text.clone()).collect::<Vec<_>>(),
        TEXT.as_bytes()
    );
    for (model, found) in BUNDLED.into_iter().zip(&all) {
        assert_near(model, &found.prompt.as_ref().unwrap().logprobs, &expected.logprobs);
        assert_near(model, &found.logprobs, &all[0].logprobs);
        // Greedy: the chosen token is the first one listed.
        for token in &found.logprobs {
            assert_eq!(
                (token.token, token.logprob.to_bits()),
                (token.top[0].token, token.top[0].logprob.to_bits())
            );
            let listed: f32 = token.top.iter().map(|top| top.logprob.exp()).sum();
            assert!(
                listed < 1.0 + NEAR && token.top.is_sorted_by(|a, b| a.logprob >= b.logprob),
                "{token:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_completion_is_as_probable_as_a_prompt_of_it() {
    let server = Server::plain().await;
    assert_eq!(server.ctl(&["load", MODEL]).await.code, 0);
    let generated = server.generate(MODEL, request(TEXT, 12)).await.unwrap();
    let said = generated.prompt.unwrap().logprobs;
    let whole: Vec<u32> = said.iter().map(|token| token.token).chain(generated.tokens).collect();
    let whole = Input::Tokens(impetus_proto::worker::Tokens { ids: whole });
    let echoed =
        server.generate(MODEL, GenerateRequest { input: Some(whole), ..request("", 0) }).await.unwrap();
    assert_eq!((echoed.tokens.len(), echoed.reason), (0, FinishReason::Length));
    let echoed = echoed.prompt.unwrap();
    // A prompt of tokens is spelled out, an end token that was passed over by its name.
    assert_eq!(echoed.text.replace("<|endoftext|>", ""), format!("{TEXT}{}", generated.text));
    assert_near("the echo", &echoed.logprobs[1..said.len()], &said[1..]);
    assert_near("the echo", &echoed.logprobs[said.len()..], &generated.logprobs);
    let sum = |tokens: &[TokenLogprobs]| tokens.iter().map(|token| f64::from(token.logprob)).sum::<f64>();
    let (apart, together) = (sum(&said[1..]) + sum(&generated.logprobs), sum(&echoed.logprobs[1..]));
    assert!((apart - together).abs() < 1e-2 && together < 0.0, "{apart} and {together}");
}

#[tokio::test]
async fn bias_counts_and_temperature_does_not() {
    let server = Server::plain().await;
    assert_eq!(server.ctl(&["load", MODEL]).await.code, 0);
    let first = async |sampling: Sampling| {
        let request = GenerateRequest { sampling: Some(sampling), ..request(TEXT, 1) };
        server.generate(MODEL, request).await.unwrap().logprobs.remove(0)
    };
    let plain = first(Sampling::default()).await;
    let hot = first(Sampling { temperature: 3.0, top_k: 1, ..Sampling::default() }).await;
    assert_eq!(hot, plain);
    let forced = vec![LogitBias { token: 300, bias: 100.0 }];
    let forced = first(Sampling { logit_bias: forced, ..Sampling::default() }).await;
    assert!(forced.token == 300 && forced.logprob > -1e-3, "{forced:?}");
}

#[tokio::test]
async fn lengths_and_stop_tokens_hold() {
    let server = Server::plain().await;
    assert_eq!(server.ctl(&["load", MODEL]).await.code, 0);
    let generate = async |stopping: Stopping| {
        let request =
            GenerateRequest { stopping: Some(stopping), logprobs: None, echo: None, ..request(TEXT, 0) };
        server.generate(MODEL, request).await
    };
    let free = generate(Stopping { max_tokens: Some(30), ..Stopping::default() }).await.unwrap();
    let least = Stopping { max_tokens: Some(30), min_tokens: 30, ..Stopping::default() };
    assert_eq!(generate(least).await.unwrap().tokens.len(), 30);
    let stop = Stopping { max_tokens: Some(30), stop_tokens: vec![free.tokens[2]], ..Stopping::default() };
    let stopped = generate(stop).await.unwrap();
    let place = free.tokens.iter().position(|token| *token == free.tokens[2]).unwrap();
    assert_eq!((stopped.tokens.len(), stopped.reason), (place + 1, FinishReason::Stop));
    let refused = generate(Stopping { max_tokens: Some(3), min_tokens: 4, ..Stopping::default() }).await;
    assert!(refused.unwrap_err().contains("min_tokens"));
    let refused = generate(Stopping { stop_tokens: vec![1024], ..Stopping::default() }).await;
    assert!(refused.unwrap_err().contains("1024"));
}
