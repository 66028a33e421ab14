use impetus_proto::Code;
use serde_json::json;

use super::*;

fn preset(options: Value) -> Preset {
    let Value::Object(options) = options else { panic!("{options} is no object") };
    Preset {
        name: "p".into(),
        from: "tiny".into(),
        system: None,
        messages: Vec::new(),
        options,
        license: Vec::new(),
        modelfile: String::new(),
        created_unix_s: 0,
    }
}

fn read(options: &str, preset: Option<&Preset>) -> Result<(Options, Ignored), Error> {
    let body = format!(r#"{{"options":{options}}}"#);
    let mut ignored = Ignored::default();
    let options = take(&mut Fields::of_body(body.as_bytes()).unwrap(), preset, &mut ignored)?;
    Ok((options, ignored))
}

fn plain() -> Options {
    Options {
        sampling: Sampling {
            seed: 7,
            temperature: 0.8,
            top_k: 40,
            top_p: Some(0.9),
            repetition_penalty: Some(1.1),
            penalty_last_tokens: Some(64),
            ..Sampling::default()
        },
        stopping: Stopping::default(),
        num_ctx: None,
    }
}

#[test]
fn what_is_absent_has_the_default_that_ollama_documents() {
    assert_eq!(read(r#"{"seed":7}"#, None).unwrap().0, plain());
    assert_ne!(read("{}", None).unwrap().0.sampling.seed, read("null", None).unwrap().0.sampling.seed);
    assert_ne!(read(r#"{"seed":-1}"#, None).unwrap().0.sampling.seed, u64::MAX);
}

#[test]
fn options_are_honoured() {
    let check = |options: &str, set: fn(&mut Options)| {
        let (read, ignored) = read(&options.replacen('{', r#"{"seed":7,"#, 1), None).unwrap();
        let mut expected = plain();
        set(&mut expected);
        assert_eq!((read, ignored), (expected, Ignored::default()), "{options}");
    };
    check(r#"{"temperature":0}"#, |o| o.sampling.temperature = 0.0);
    check(r#"{"temperature":null}"#, |_| ());
    check(r#"{"top_k":0}"#, |o| o.sampling.top_k = 0);
    check(r#"{"top_k":-1}"#, |o| o.sampling.top_k = 0);
    check(r#"{"top_p":1}"#, |o| o.sampling.top_p = Some(1.0));
    check(r#"{"min_p":0.5}"#, |o| o.sampling.min_p = Some(0.5));
    check(r#"{"typical_p":0.5}"#, |o| o.sampling.typical_p = Some(0.5));
    check(r#"{"repeat_penalty":1}"#, |o| o.sampling.repetition_penalty = Some(1.0));
    check(r#"{"repeat_last_n":0}"#, |o| o.sampling.penalty_last_tokens = Some(0));
    check(r#"{"repeat_last_n":-1}"#, |o| o.sampling.penalty_last_tokens = Some(i32::MAX as u32));
    check(r#"{"presence_penalty":1.5,"frequency_penalty":-1}"#, |o| {
        (o.sampling.presence_penalty, o.sampling.frequency_penalty) = (1.5, -1.0);
    });
    check(r#"{"mirostat":0,"mirostat_tau":3}"#, |_| ());
    check(r#"{"mirostat":2,"mirostat_tau":3}"#, |o| {
        o.sampling.mirostat = Some(Mirostat { version: 2, tau: 3.0, eta: 0.1 });
    });
    check(r#"{"num_predict":9}"#, |o| o.stopping.max_tokens = Some(9));
    check(r#"{"num_predict":-1}"#, |_| ());
    check(r#"{"num_predict":-2}"#, |_| ());
    check(r#"{"stop":"a"}"#, |o| o.stopping.stop = vec!["a".into()]);
    check(r#"{"stop":["a","b"]}"#, |o| o.stopping.stop = vec!["a".into(), "b".into()]);
    check(r#"{"num_ctx":2048}"#, |o| o.num_ctx = Some(2048));
    check(r#"{"penalize_newline":true,"tfs_z":1.0,"logits_all":false}"#, |_| ());
}

#[test]
fn those_of_the_request_come_before_those_of_the_preset() {
    let preset = preset(json!({"temperature": 0.1, "stop": ["x", "y"], "num_ctx": 512, "num_keep": 4}));
    let (options, ignored) = read(r#"{"seed":7,"temperature":0.3,"num_ctx":null}"#, Some(&preset)).unwrap();
    let mut expected = plain();
    expected.sampling.temperature = 0.3;
    expected.stopping.stop = vec!["x".into(), "y".into()];
    expected.num_ctx = Some(512);
    assert_eq!(options, expected);
    assert_eq!(format!("{ignored:?}"), r#"Ignored(["options.num_keep"])"#);
}

#[test]
fn what_has_no_effect_is_named() {
    let all: Vec<String> = WITHOUT_EFFECT.iter().map(|name| format!("\"{name}\":1")).collect();
    let (_, ignored) = read(&format!("{{{},\"beta\":1}}", all.join(",")), None).unwrap();
    let named: Vec<String> =
        WITHOUT_EFFECT.iter().chain(&["beta"]).map(|name| format!("\"options.{name}\"")).collect();
    assert_eq!(format!("{ignored:?}"), format!("Ignored([{}])", named.join(", ")));
}

#[test]
fn vectors_have_a_context_alone() {
    let body = r#"{"options":{"num_ctx":512,"temperature":0.5,"num_gpu":1}}"#;
    let mut ignored = Ignored::default();
    let taken = take_context(&mut Fields::of_body(body.as_bytes()).unwrap(), None, &mut ignored);
    assert_eq!(taken.unwrap(), Some(512));
    assert_eq!(format!("{ignored:?}"), r#"Ignored(["options.num_gpu", "options.temperature"])"#);
}

#[test]
fn what_is_wrong_is_refused_by_name() {
    let check = |options: &str, code: Code, param: &str| {
        let error = read(options, None).expect_err(options);
        assert_eq!((error.code(), error.param.as_str()), (code, param), "{options}: {error}");
        assert!(error.message.contains(param), "{error}");
    };
    for (options, param) in [
        ("[]", "options"),
        (r#"{"temperature":"hot"}"#, "options.temperature"),
        (r#"{"temperature":-1}"#, "options.temperature"),
        (r#"{"top_p":2}"#, "options.top_p"),
        (r#"{"repeat_penalty":0}"#, "options.repeat_penalty"),
        (r#"{"repeat_last_n":-2}"#, "options.repeat_last_n"),
        (r#"{"num_predict":-3}"#, "options.num_predict"),
        (r#"{"num_ctx":0}"#, "options.num_ctx"),
        (r#"{"mirostat":3}"#, "options.mirostat"),
        (r#"{"stop":7}"#, "options.stop"),
        (r#"{"stop":[7]}"#, "options.stop"),
        (r#"{"seed":"x"}"#, "options.seed"),
    ] {
        check(options, Code::InvalidRequest, param);
    }
    check(r#"{"tfs_z":0.5}"#, Code::UnsupportedParameter, "options.tfs_z");
    check(r#"{"penalize_newline":false}"#, Code::UnsupportedParameter, "options.penalize_newline");
    check(r#"{"vocab_only":true}"#, Code::UnsupportedParameter, "options.vocab_only");
    check(r#"{"rope_frequency_base":10000}"#, Code::UnsupportedParameter, "options.rope_frequency_base");
}
