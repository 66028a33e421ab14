use impetus_proto::{
    Code,
    worker::{Tokens, generate_request::Input},
};

use super::*;
use crate::dialect::openai::request;

type Params = request::Params<Completions>;

fn params(body: &[u8]) -> Result<Params, Error> {
    request::params::<Completions>(body)
}

fn of_prompt(prompt: &str) -> Result<Params, Error> {
    params(format!(r#"{{"prompt":{prompt}}}"#).as_bytes())
}

#[test]
fn a_prompt_is_a_text_or_tokens() {
    let check = |prompt: &str, expected: Input| {
        assert_eq!(of_prompt(prompt).unwrap().inputs, [expected], "{prompt}");
    };
    let tokens = |ids: &[u32]| Input::Tokens(Tokens { ids: ids.to_vec() });
    check(r#""a b""#, Input::Text("a b".into()));
    check(r#""""#, Input::Text(String::new()));
    check(r#"["a"]"#, Input::Text("a".into()));
    check("[1]", tokens(&[1]));
    check("[1, 2, 2147483647]", tokens(&[1, 2, 2_147_483_647]));
    check("[[0, 5]]", tokens(&[0, 5]));
}

#[test]
fn other_prompts_are_refused() {
    let check = |prompt: &str, code: Code| {
        let error = of_prompt(prompt).expect_err(prompt);
        assert_eq!(error.code(), code, "{prompt}: {error}");
        assert!(error.param.starts_with("prompt"), "{prompt}: {error:?}");
    };
    for wrong in [
        "null",
        "7",
        "{}",
        "true",
        "[]",
        "[[]]",
        "[true]",
        "[1,\"a\"]",
        "[-1]",
        "[1.5]",
        "[2147483648]",
        "[\"a\",1]",
        "[[1],2]",
        "[[1],[]]",
    ] {
        check(wrong, Code::InvalidRequest);
    }
}

#[test]
fn the_apis_own_limit_binds_when_none_is_given() {
    let max_tokens = |fields: &str| {
        let params = params(format!(r#"{{"prompt":"x"{fields}}}"#).as_bytes()).unwrap();
        params.generate.stopping.unwrap().max_tokens
    };
    assert_eq!(max_tokens(""), Some(16));
    assert_eq!(max_tokens(r#","max_tokens":null"#), Some(16));
    assert_eq!(max_tokens(r#","max_tokens":5"#), Some(5));
}

#[test]
fn choices_and_the_time_to_stay_are_taken() {
    let params = params(br#"{"prompt":"x","n":128,"best_of":null,"keep_alive":-1}"#).unwrap();
    assert_eq!((params.n_kept, params.keep_alive), (128, Some(-1)));
    assert_eq!(params.ignored, Ignored::default());
}

#[test]
fn what_is_not_offered_is_refused_by_name() {
    for (fields, param) in [
        (r#""echo":true,"suffix":"x""#, "echo"),
        (r#""add_special_tokens":false"#, "add_special_tokens"),
        (r#""store":true"#, "store"),
    ] {
        let error = params(format!(r#"{{"prompt":"x",{fields}}}"#).as_bytes()).expect_err(fields);
        assert_eq!((error.code(), error.param.as_str()), (Code::UnsupportedParameter, param), "{fields}");
    }
    let neutral = r#"{"prompt":"x","logprobs":null,"best_of":1,"echo":false,"suffix":null,"n":1}"#;
    assert_eq!(params(neutral.as_bytes()).unwrap().ignored, Ignored::default());
}
