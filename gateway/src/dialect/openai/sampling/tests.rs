use impetus_proto::{
    Code,
    worker::{Dry, DynamicTemperature, Mirostat, Stopping, Xtc},
};

use super::*;

fn read(fields: &str) -> Result<Sampling, Error> {
    let body = format!(r#"{{"seed":0,{fields}}}"#);
    sampling(&mut Fields::of_body(body.as_bytes()).unwrap())
}

fn stop(fields: &str) -> Result<Stopping, Error> {
    stopping(&mut Fields::of_body(format!("{{{fields}}}").as_bytes()).unwrap(), Some(16))
}

#[test]
fn samplers_are_on_when_their_first_number_says_so() {
    let plain = read(r#""n":1"#).unwrap();
    let check = |fields: &str, expected: Sampling| assert_eq!(read(fields).unwrap(), expected, "{fields}");
    let dry = |dry: Dry| Sampling { dry: Some(dry), ..plain.clone() };
    let default = Dry {
        multiplier: 0.5,
        base: 1.75,
        allowed_length: 2,
        last_tokens: None,
        breakers: ["\n", ":", "\"", "*"].map(str::to_owned).to_vec(),
    };
    check(r#""dry_multiplier":0,"dry_base":2"#, plain.clone());
    check(r#""dry_multiplier":0.5"#, dry(default.clone()));
    check(r#""dry_multiplier":0.5,"dry_penalty_last_n":-1"#, dry(default.clone()));
    check(
        r#""dry_multiplier":0.5,"dry_base":2,"dry_allowed_length":3,"dry_penalty_last_n":9,"dry_sequence_breakers":[]"#,
        dry(Dry { base: 2.0, allowed_length: 3, last_tokens: Some(9), breakers: Vec::new(), ..default }),
    );
    check(r#""xtc_threshold":0.3"#, plain.clone());
    let xtc = Some(Xtc { probability: 0.5, threshold: 0.1 });
    check(r#""xtc_probability":0.5"#, Sampling { xtc, ..plain.clone() });
    check(r#""mirostat":0,"mirostat_tau":3"#, plain.clone());
    let mirostat = Some(Mirostat { version: 2, tau: 5.0, eta: 0.1 });
    check(r#""mirostat":2"#, Sampling { mirostat, ..plain.clone() });
    check(r#""dynatemp_exponent":2"#, plain.clone());
    let dynamic_temperature = Some(DynamicTemperature { range: 0.5, exponent: 1.0 });
    check(r#""dynatemp_range":0.5"#, Sampling { dynamic_temperature, ..plain.clone() });
    check(r#""top_n_sigma":-1"#, plain.clone());
    check(r#""top_n_sigma":1.5"#, Sampling { top_n_sigma: Some(1.5), ..plain.clone() });
    check(r#""top_k":-1"#, plain.clone());
    check(r#""repeat_last_n":0"#, Sampling { penalty_last_tokens: Some(0), ..plain.clone() });
    check(r#""repeat_last_n":-1"#, Sampling { penalty_last_tokens: Some(i32::MAX as u32), ..plain });
}

#[test]
fn a_completion_ends_where_the_least_of_its_limits_is() {
    let check = |fields: &str, expected: Option<u32>| {
        assert_eq!(stop(fields).unwrap().max_tokens, expected, "{fields}");
    };
    check("", Some(16));
    check(r#""max_tokens":0"#, Some(0));
    check(r#""max_tokens":-1"#, None);
    check(r#""n_predict":-1"#, None);
    check(r#""n_predict":5"#, Some(5));
    check(r#""max_tokens":-1,"max_completion_tokens":7"#, Some(7));
    check(r#""max_tokens":9,"max_completion_tokens":7,"n_predict":8"#, Some(7));
    let stopping = stop(r#""min_tokens":3,"stop_token_ids":[1,2],"stop":"x","ignore_eos":true"#).unwrap();
    let expected = Stopping {
        max_tokens: Some(16),
        stop: vec!["x".into()],
        ignore_end: true,
        min_tokens: 3,
        stop_tokens: vec![1, 2],
    };
    assert_eq!(stopping, expected);
}

#[test]
fn what_is_wrong_is_named() {
    let check = |error: Option<Error>, param: &str| {
        let error = error.unwrap_or_else(|| panic!("{param} is accepted"));
        assert_eq!((error.code(), error.param.as_str()), (Code::InvalidRequest, param), "{error}");
    };
    let breakers = format!(r#""dry_sequence_breakers":[{}"a"]"#, r#""a","#.repeat(64));
    for (fields, param) in [
        (r#""dry_multiplier":-1"#, "dry_multiplier"),
        (r#""dry_base":0.5"#, "dry_base"),
        (r#""dry_sequence_breakers":[""]"#, "dry_sequence_breakers"),
        (r#""dry_sequence_breakers":"x""#, "dry_sequence_breakers"),
        (&breakers, "dry_sequence_breakers"),
        (r#""xtc_probability":2"#, "xtc_probability"),
        (r#""mirostat":3"#, "mirostat"),
        (r#""dynatemp_range":-1"#, "dynatemp_range"),
        (r#""top_n_sigma":"x""#, "top_n_sigma"),
        (r#""repeat_last_n":-2"#, "repeat_last_n"),
    ] {
        check(read(fields).err(), param);
    }
    for (fields, param) in [
        (r#""n_predict":-2"#, "n_predict"),
        (r#""min_tokens":-1"#, "min_tokens"),
        (r#""stop_token_ids":[-1]"#, "stop_token_ids"),
        (r#""stop_token_ids":[2147483648]"#, "stop_token_ids"),
        (r#""stop_token_ids":7"#, "stop_token_ids"),
    ] {
        check(stop(fields).err(), param);
    }
}
