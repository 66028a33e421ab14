//! One set of weights in three formats says the same through three engines: the same tokens, the same text, the same
//! use of every parameter.

use std::{fs, path::Path};

use futures::{StreamExt, stream};
use impetus_proto::worker::{
    Chat, Dry, DynamicTemperature, GenerateRequest, Infill, Message, Mirostat, Sampling, Stopping, Xtc,
    generate_request::Input,
};
use serde_json::{Value, json};

use crate::{
    chat::with,
    harness::{BUNDLED, Generated, Server, chat, completion},
};

/// Requests that a worker gets at once: more than it has slots.
const AT_ONCE: usize = 6;

/// Held-out prompts; `tests/reference/parity_prompts.py` makes the file.
fn prompts() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/parity_prompts.json");
    let mut file: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let Value::Array(prompts) = file["prompts"].take() else { panic!("a list of prompts") };
    prompts
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn input(prompt: &Value) -> Input {
    let json = |value: &Value| if value.is_null() { String::new() } else { value.to_string() };
    if let Some(prefix) = prompt["prompt"].as_str() {
        let (prefix, suffix) = (prefix.to_owned(), text(&prompt["suffix"]));
        return Input::Infill(Infill { prefix, suffix, ..Infill::default() });
    }
    let messages = prompt["messages"].as_array().expect("a chat has messages").iter();
    let messages = messages.map(|message| Message {
        role: text(&message["role"]),
        content: text(&message["content"]),
        tool_call_id: text(&message["tool_call_id"]),
        tool_calls_json: json(&message["tool_calls"]),
        ..Message::default()
    });
    Input::Chat(Chat { messages: messages.collect(), tools_json: json(&prompt["tools"]), ..Chat::default() })
}

/// What `model` generates, asked as the gateway asks it.
async fn generate(server: &Server, model: &str, prompt: &Value, sampling: Sampling) -> Generated {
    let max_tokens = prompt["max_tokens"].as_u64().unwrap() as u32;
    let request = GenerateRequest {
        input: Some(input(prompt)),
        sampling: Some(sampling),
        stopping: Some(Stopping { max_tokens: Some(max_tokens), ..Stopping::default() }),
        ..GenerateRequest::default()
    };
    server.generate(model, request).await.unwrap()
}

/// What every model generates for every prompt, several at a time.
async fn all(server: &Server, prompts: &[Value], sampling: &Sampling) -> [Vec<Generated>; 3] {
    let each = BUNDLED.map(|model| {
        stream::iter(prompts)
            .map(move |prompt| generate(server, model, prompt, sampling.clone()))
            .buffered(AT_ONCE)
            .collect::<Vec<_>>()
    });
    futures::future::join_all(each).await.try_into().expect("as many as there are models")
}

fn assert_same(prompts: &[Value], [gguf, candle, onnx]: &[Vec<Generated>; 3]) {
    let mut different = Vec::new();
    for (idx, expected) in gguf.iter().enumerate() {
        for (model, found) in [(BUNDLED[1], &candle[idx]), (BUNDLED[2], &onnx[idx])] {
            if found != expected {
                let at = found.tokens.iter().zip(&expected.tokens).take_while(|(a, b)| a == b).count();
                different.push(format!(
                    "{model} from token {at} on: {:?} instead of {:?} for {}",
                    found.text, expected.text, prompts[idx]
                ));
            }
        }
    }
    assert!(different.is_empty(), "{} of {}:\n{}", different.len(), gguf.len() * 2, different.join("\n"));
}

#[tokio::test]
async fn greedy_tokens_are_the_same_in_every_format() {
    let server = Server::of_all_formats().await;
    let prompts = prompts();
    assert!(prompts.len() >= 200);
    let generated = all(&server, &prompts, &Sampling::default()).await;
    assert!(generated[0].iter().all(|generated| !generated.tokens.is_empty()));
    assert_same(&prompts, &generated);
}

fn mirostat(version: u32) -> Sampling {
    let mirostat = Mirostat { version, tau: 4.0, eta: 0.2 };
    Sampling { seed: 2, temperature: 1.0, mirostat: Some(mirostat), ..Sampling::default() }
}

#[tokio::test]
async fn sampled_tokens_are_the_same_in_every_format() {
    let server = Server::of_all_formats().await;
    let prompts: Vec<Value> = prompts().into_iter().step_by(6).collect();
    for sampling in [
        Sampling { seed: 1, temperature: 0.8, ..Sampling::default() },
        Sampling { seed: 7, temperature: 1.2, min_p: Some(0.05), top_k: 40, ..Sampling::default() },
        Sampling {
            seed: 9,
            temperature: 0.7,
            top_p: Some(0.9),
            repetition_penalty: Some(1.1),
            frequency_penalty: 0.5,
            presence_penalty: 0.5,
            ..Sampling::default()
        },
        Sampling {
            seed: 4,
            temperature: 1.1,
            top_n_sigma: Some(2.0),
            dry: Some(Dry { multiplier: 0.8, base: 1.75, allowed_length: 2, ..Dry::default() }),
            xtc: Some(Xtc { probability: 0.5, threshold: 0.1 }),
            dynamic_temperature: Some(DynamicTemperature { range: 0.5, exponent: 1.0 }),
            ..Sampling::default()
        },
        mirostat(1),
        mirostat(2),
    ] {
        assert_same(&prompts, &all(&server, &prompts, &sampling).await);
    }
}

#[tokio::test]
async fn parameters_mean_the_same_in_every_format() {
    let server = Server::of_all_formats().await;
    let count = chat("count from 1 to 20");
    let check = async |body: Value| {
        let mut answers = Vec::new();
        for model in BUNDLED {
            let body = with(body.clone(), &json!({"model": model}));
            let whole = server.http.ask(&body).await;
            let streamed = server.http.stream(&body).await.whole().await;
            assert_eq!(
                (&streamed.text, &streamed.finish_reason),
                (&whole.text, &whole.finish_reason),
                "{body}"
            );
            answers.push((whole.text, whole.finish_reason, whole.usage));
        }
        assert_eq!(answers[0], answers[1], "candle: {body}");
        assert_eq!(answers[0], answers[2], "onnx: {body}");
    };
    check(count.clone()).await;
    check(with(count.clone(), &json!({"stop": ["12, 13", "nowhere"]}))).await;
    check(with(count.clone(), &json!({"max_tokens": 7}))).await;
    check(with(count.clone(), &json!({"logit_bias": {"300": 100}, "max_tokens": 5}))).await;
    check(with(count.clone(), &json!({"temperature": 2, "min_p": 1}))).await;
    check(with(count.clone(), &json!({"temperature": 1, "seed": 5, "top_p": 0.8}))).await;
    check(with(count.clone(), &json!({"frequency_penalty": 2, "presence_penalty": 1, "max_tokens": 60})))
        .await;
    check(with(completion("Xq vlurb"), &json!({"temperature": 1.5, "seed": 3, "max_tokens": 40}))).await;
    check(with(chat("Repeat after me: ünïcödé, 日本語 and 🦀"), &json!({"max_tokens": 60}))).await;
}

#[tokio::test]
async fn errors_are_the_same_in_every_format() {
    let server = Server::of_all_formats().await;
    for more in [
        json!({"temperature": 9}),
        json!({"stop": ""}),
        json!({"logit_bias": {"5000": 1}}),
        json!({"messages": []}),
        json!({"messages": [{"role": "user", "content": "word ".repeat(5000)}]}),
    ] {
        let mut refusals = Vec::new();
        for model in BUNDLED {
            let refusal = server.http.refused(&with(with(chat("x"), &json!({"model": model})), &more)).await;
            refusals.push((refusal.status, refusal.code, refusal.param, refusal.message));
        }
        assert_eq!(refusals[0], refusals[1], "candle");
        assert_eq!(refusals[0], refusals[2], "onnx");
    }
}
