use std::time::Duration;

use impetus_proto::{
    Code,
    worker::{InfillFile, generate_request::Input},
};
use serde_json::{Value, json};

use super::{params::Kind, watch::Bounds, *};
use crate::{
    dialect::ignored::Ignored,
    upstream::{Delta, Finished, Part},
};

fn infill(body: &str) -> Result<Params, Error> {
    Params::read(body.as_bytes(), Kind::Infill)
}

/// The request of an editor's plug-in.
const PLUGIN: &str = r#"{"input_prefix":"fn a() {\n","input_suffix":"}\n","prompt":"    let ",
    "input_extra":[{"filename":"b.rs","text":"fn b() {}"},{"text":"c"}],"n_predict":64,"n_indent":4,
    "top_k":40,"top_p":0.9,"samplers":["top_k","top_p","infill"],"stream":false,"cache_prompt":true,
    "t_max_prompt_ms":500,"t_max_predict_ms":1000,"id_slot":-1,
    "response_fields":["content","timings/prompt_n","truncated","nothing/such"]}"#;

#[test]
fn a_plug_ins_request_is_understood() {
    let params = infill(PLUGIN).unwrap();
    let Some(Input::Infill(hole)) = &params.generate.input else { panic!("it is a hole") };
    assert_eq!((hole.prefix.as_str(), hole.suffix.as_str()), ("fn a() {\n", "}\n"));
    assert_eq!(hole.continuation, "    let ");
    let files = [("b.rs", "fn b() {}"), ("", "c")]
        .map(|(name, text)| InfillFile { name: name.into(), text: text.into() });
    assert_eq!(hole.files, files);
    assert_eq!(params.bounds, Bounds { n_indent: 4, time: Some(Duration::from_secs(1)) });
    let sampling = params.generate.sampling.clone().unwrap();
    assert_eq!((sampling.top_k, sampling.top_p, sampling.min_p), (40, Some(0.9), None));
    assert!((sampling.temperature - 1.0).abs() < 1e-6, "no temperature is listed");
    assert_eq!(params.generate.stopping.clone().unwrap().max_tokens, Some(64));
    let mut ignored = Ignored::default();
    ignored.name("", "t_max_prompt_ms");
    ignored.name("samplers.", "infill");
    assert_eq!(params.ignored, ignored);
}

#[test]
fn what_is_left_out_is_llama_cpps_default() {
    let sampling = infill(r#"{"input_prefix":"a","input_suffix":"b"}"#).unwrap().generate.sampling.unwrap();
    assert_eq!((sampling.temperature, sampling.top_k), (0.8, 40));
    assert_eq!((sampling.top_p, sampling.min_p), (Some(0.95), Some(0.05)));
    let greedy = infill(r#"{"input_prefix":"a","temperature":0,"samplers":[]}"#).unwrap();
    assert!(greedy.generate.sampling.unwrap().temperature.abs() < 1e-6);
    let seeded = |seed: &str| {
        let body = format!(r#"{{"input_prefix":"a","seed":{seed}}}"#);
        infill(&body).unwrap().generate.sampling.unwrap().seed
    };
    assert_eq!(seeded("7"), 7);
    assert_ne!(seeded("-1"), u64::MAX);
    assert_ne!(seeded("4294967295"), u64::from(u32::MAX));
}

#[test]
fn what_cannot_be_honoured_is_refused_by_name() {
    let check = |body: &str, kind: Kind, code: Code, param: &str| {
        let error = Params::read(body.as_bytes(), kind).expect_err(body);
        assert_eq!((error.code(), error.param.as_str()), (code, param), "{body}: {error}");
    };
    let (invalid, unsupported) = (Code::InvalidRequest, Code::UnsupportedParameter);
    check("{}", Kind::Infill, invalid, "input_prefix");
    check(r#"{"input_prefix":7}"#, Kind::Infill, invalid, "input_prefix");
    check(r#"{"input_prefix":"a","input_extra":[{}]}"#, Kind::Infill, invalid, "input_extra[0].text");
    check(r#"{"input_prefix":"a","samplers":["magic"]}"#, Kind::Infill, invalid, "samplers");
    check(r#"{"input_prefix":"a","n_probs":3}"#, Kind::Infill, unsupported, "n_probs");
    check(r#"{"input_prefix":"a","n_keep":9}"#, Kind::Infill, unsupported, "n_keep");
    check("{}", Kind::Completion, invalid, "prompt");
    check(r#"{"prompt":["a","b"]}"#, Kind::Completion, invalid, "prompt");
}

fn delta(text: &str) -> Event {
    Event::Delta(Delta { parts: vec![Part::Text(text.into())], n_tokens: 1, ..Delta::default() })
}

#[test]
fn a_line_that_is_indented_less_ends_it() {
    let check = |n_indent: usize, text: &str, expected: &str| {
        for size in [1, 2, 3, text.len()] {
            let mut watch = Watch::new(Bounds { n_indent, time: None });
            let chars: Vec<char> = text.chars().collect();
            let mut found = String::new();
            for piece in chars.chunks(size.max(1)) {
                let added = watch.take(delta(&piece.iter().collect::<String>()));
                found.push_str(&added.text);
                if added.is_over {
                    break;
                }
            }
            assert_eq!(found, expected, "{text:?} in pieces of {size}");
            assert_eq!(watch.is_over(), text != expected, "{text:?}");
        }
    };
    check(0, "a\nb\n", "a\nb\n");
    check(2, "a\n  b\nc", "a\n  b\n");
    check(2, "a\n\tb", "a\n\t");
    check(2, "a\n\t b\n   c", "a\n\t b\n   c");
    check(2, "a\n\n  b", "a\n");
    check(4, "a", "a");
}

#[tokio::test(start_paused = true)]
async fn time_ends_it_once_there_is_a_line() {
    let mut watch = Watch::new(Bounds { n_indent: 0, time: Some(Duration::from_secs(1)) });
    assert!(!watch.take(delta("a")).is_over);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert!(!watch.take(delta("b")).is_over, "there is no whole line yet");
    assert!(watch.take(delta("c\n")).is_over);
}

/// What a client is told of a completion that ended so.
fn told(params: &Params, finished: Finished) -> Value {
    let mut watch = Watch::new(params.bounds);
    watch.take(Event::Accepted { model: "tiny".into(), prompt_tokens: 5 });
    watch.take(delta("    x = 1"));
    assert!(watch.take(Event::Finished(finished)).is_over);
    params.chosen(&watch.answer(params)).unwrap()
}

#[test]
fn the_answer_is_llama_cpps() {
    let params = infill(r#"{"input_prefix":"a","prompt":"p","seed":7,"n_predict":3}"#).unwrap();
    let stopped = Finished { stop: "END".into(), ..Finished::default() };
    let answer = told(&params, stopped);
    for (name, expected) in [
        ("content", json!("    x = 1")),
        ("stop", json!(true)),
        ("stop_type", json!("word")),
        ("stopping_word", json!("END")),
        ("model", json!("tiny")),
        ("prompt", json!("p")),
        ("tokens_evaluated", json!(5)),
        ("truncated", json!(false)),
    ] {
        assert_eq!(answer[name], expected, "{name} of {answer}");
    }
    assert_eq!(answer["generation_settings"]["n_predict"], 3);
    assert_eq!(answer["generation_settings"]["seed"], 7);
    assert!(answer["timings"]["predicted_ms"].is_number());
    let length = Finished { reason: impetus_proto::worker::FinishReason::Length, ..Finished::default() };
    assert_eq!(told(&params, length)["stop_type"], "limit");
    assert_eq!(told(&params, Finished::default())["stop_type"], "eos");

    let chosen = told(&infill(PLUGIN).unwrap(), Finished::default());
    assert_eq!(chosen, json!({"content": "    x = 1", "prompt_n": chosen["prompt_n"], "truncated": false}));
    assert!(chosen["prompt_n"].is_number());
}
