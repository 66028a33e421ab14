use impetus_proto::Code;

use super::*;
use crate::dialect::openai::request;

type Params = request::Params<ChatCompletions>;

const USER: &str = r#""messages":[{"role":"user","content":"hi"}]"#;

fn params(body: &[u8]) -> Result<Params, Error> {
    request::params::<ChatCompletions>(body)
}

/// A request with these fields besides its messages.
fn with(fields: &str) -> Result<Params, Error> {
    params(format!("{{{USER},{fields}}}").as_bytes())
}

fn of_messages(messages: &str) -> Result<Params, Error> {
    params(format!(r#"{{"messages":{messages}}}"#).as_bytes())
}

fn chat(params: &Params) -> &Chat {
    let [Input::Chat(chat)] = &params.inputs[..] else { panic!("{params:?} is no chat") };
    chat
}

#[test]
fn a_whole_request_is_translated() {
    let body = r#"{
        "model": "tiny", "stream": true, "stream_options": {"include_usage": true},
        "messages": [
            {"role": "developer", "content": [{"type": "text", "text": "be"}, {"type": "text", "text": "brief"}]},
            {"role": "user", "name": "ada", "content": "hi"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "42"}]},
            {"role": "assistant"},
            {"role": "assistant", "refusal": "no"}
        ],
        "temperature": 0.5, "top_p": 0.9, "top_k": 40, "min_p": 0.05, "typical_p": 0.8,
        "repetition_penalty": 1.25, "frequency_penalty": -0.5, "presence_penalty": 2,
        "logit_bias": {"7": -100, "3": 1.5}, "seed": -1, "stop": ["END", "\n\n"],
        "max_tokens": 100, "max_completion_tokens": 50, "ignore_eos": true,
        "n": 2, "keep_alive": "1h30m", "user": "u", "metadata": {"k": "v"}, "store": false, "service_tier": "auto",
        "made_up": 1, "cache_control": {}
    }"#;
    insta::assert_debug_snapshot!(params(body.as_bytes()).unwrap());
}

#[test]
fn what_is_absent_has_the_apis_default() {
    let mut params = params(format!("{{{USER}}}").as_bytes()).unwrap();
    params.generate.sampling.as_mut().unwrap().seed = 0;
    insta::assert_debug_snapshot!(params);
}

#[test]
fn an_absent_seed_is_random() {
    let seed = || with(r#""seed":null"#).unwrap().generate.sampling.unwrap().seed;
    assert_ne!(seed(), seed());
}

#[test]
fn values_that_ask_for_nothing_are_accepted() {
    for fields in [
        r#""n":1"#,
        r#""n":null"#,
        r#""n":1.0"#,
        r#""best_of":1"#,
        r#""keep_alive":null"#,
        r#""logprobs":false"#,
        r#""top_logprobs":0"#,
        r#""tools":[]"#,
        r#""tools":null"#,
        r#""tool_choice":"none""#,
        r#""tool_choice":"auto""#,
        r#""parallel_tool_calls":true"#,
        r#""functions":[]"#,
        r#""function_call":"auto""#,
        r#""response_format":{"type":"text"}"#,
        r#""response_format":{ "type" : "text" }"#,
        r#""modalities":["text"]"#,
        r#""audio":null"#,
        r#""store":false"#,
        r#""service_tier":"default""#,
        r#""reasoning_effort":"none""#,
        r#""verbosity":"medium""#,
        r#""metadata":{}"#,
        r#""metadata":null"#,
        r#""user":"somebody""#,
        r#""prompt_cache_key":"k""#,
        r#""safety_identifier":"s""#,
        r#""stop":null"#,
        r#""stop":[]"#,
        r#""logit_bias":{}"#,
        r#""temperature":null"#,
        r#""stream":null"#,
        r#""stream_options":{"include_obfuscation":false}"#,
        r#""model":null"#,
    ] {
        let params = with(fields).unwrap_or_else(|error| panic!("{fields}: {error}"));
        assert_eq!(params.ignored, Ignored::default(), "{fields}");
    }
}

#[test]
fn what_is_not_offered_is_refused_by_name() {
    for (fields, param) in [
        (r#""tools":[],"tool_choice":{"type":"custom","custom":{"name":"f"}}"#, "tool_choice.type"),
        (r#""modalities":["text","audio"]"#, "modalities"),
        (r#""audio":{"voice":"alloy"}"#, "audio"),
        (r#""store":true"#, "store"),
        (r#""service_tier":"flex""#, "service_tier"),
        (r#""verbosity":"low""#, "verbosity"),
        (r#""web_search_options":{}"#, "web_search_options"),
        (r#""best_of":2"#, "best_of"),
        (r#""suffix":"x""#, "suffix"),
        (r#""add_generation_prompt":false"#, "add_generation_prompt"),
        (r#""reasoning_format":"deepseek-legacy""#, "reasoning_format"),
        (r#""structured_outputs":{"structural_tag":"x"}"#, "structured_outputs.structural_tag"),
        (r#""chat_template":"x""#, "chat_template"),
        (r#""cache_prompt":false"#, "cache_prompt"),
        (r#""id_slot":1"#, "id_slot"),
        (r#""lora":[{"id":0,"scale":1}]"#, "lora"),
        (r#""return_progress":true"#, "return_progress"),
    ] {
        let error = with(fields).expect_err(fields);
        assert_eq!((error.code(), error.param.as_str()), (Code::UnsupportedParameter, param), "{fields}");
        assert!(error.message.starts_with(param), "{fields}: {error}");
    }
}

#[test]
fn numbers_are_checked_at_their_edges() {
    const EDGES: [(&str, f64); 12] = [
        ("-1", -1.0),
        ("-101", -101.0),
        ("0", 0.0),
        ("1", 1.0),
        ("2", 2.0),
        ("3", 3.0),
        ("128", 128.0),
        ("129", 129.0),
        ("2147483648", 2_147_483_648.0),
        ("9223372036854775808", 9_223_372_036_854_775_808.0),
        ("1e308", 1e308),
        ("1e999", f64::INFINITY),
    ];
    let max = f64::from(i32::MAX);
    for (name, low, high) in [
        ("temperature", 0.0, 2.0),
        ("top_p", 0.0, 1.0),
        ("top_k", -1.0, max),
        ("min_p", 0.0, 1.0),
        ("typical_p", 0.0, 1.0),
        ("repetition_penalty", 0.01, 10.0),
        ("repeat_penalty", 0.01, 10.0),
        ("frequency_penalty", -2.0, 2.0),
        ("presence_penalty", -2.0, 2.0),
        ("n", 1.0, 128.0),
        ("max_tokens", -1.0, max),
        ("max_completion_tokens", -1.0, max),
        ("seed", i64::MIN as f64, i64::MAX as f64 - 1024.0),
    ] {
        for (text, value) in EDGES {
            let result = with(&format!("\"{name}\":{text}"));
            assert_eq!(result.is_ok(), (low..=high).contains(&value), "{name}: {text} gave {result:?}");
            if let Err(error) = result {
                assert_eq!((error.code(), error.param.as_str()), (Code::InvalidRequest, name));
                assert!(error.message.contains("between"), "{error}");
            }
        }
        for wrong in ["\"1\"", "\"NaN\"", "true", "[]", "{}"] {
            let error = with(&format!("\"{name}\":{wrong}")).expect_err(name);
            assert_eq!((error.code(), error.param.as_str()), (Code::InvalidRequest, name));
        }
    }
}

#[test]
fn more_tokens_than_a_context_holds_may_be_asked_for() {
    // How many are left only the worker knows, which ends the answer there.
    let check = |fields: &str, expected: u32| {
        assert_eq!(with(fields).unwrap().generate.stopping.unwrap().max_tokens, Some(expected), "{fields}");
    };
    check(r#""max_tokens":32000"#, 32_000);
    check(r#""max_tokens":2147483647"#, 2_147_483_647);
    check(r#""max_completion_tokens":2147483647"#, 2_147_483_647);
    check(r#""max_tokens":2147483647,"max_completion_tokens":32000"#, 32_000);
}

#[test]
fn wrong_values_are_named() {
    for (fields, param) in [
        (r#""model":7"#, "model"),
        (r#""stream":"yes""#, "stream"),
        (r#""stream_options":true"#, "stream_options"),
        (r#""stream_options":{"include_usage":1}"#, "stream_options.include_usage"),
        (r#""ignore_eos":"no""#, "ignore_eos"),
        (r#""stop":5"#, "stop"),
        (r#""stop":[5]"#, "stop"),
        (r#""stop":"""#, "stop"),
        (r#""stop":["a","b","c","d","e","f","g","h","i","j","k","l","m","n","o","p","q"]"#, "stop"),
        (r#""logit_bias":[]"#, "logit_bias"),
        (r#""logit_bias":{"word":1}"#, "logit_bias"),
        (r#""logit_bias":{"-1":1}"#, "logit_bias"),
        (r#""logit_bias":{"2147483648":1}"#, "logit_bias"),
        (r#""logit_bias":{"7":101}"#, "logit_bias.7"),
        (r#""logit_bias":{"7":"x"}"#, "logit_bias.7"),
        (r#""n":1.5"#, "n"),
        (r#""keep_alive":"5 minutes""#, "keep_alive"),
        (r#""metadata":[]"#, "metadata"),
        (r#""metadata":{"k":1}"#, "metadata"),
        (r#""user":1"#, "user"),
    ] {
        let error = with(fields).expect_err(fields);
        assert_eq!((error.code(), error.param.as_str()), (Code::InvalidRequest, param), "{fields}: {error}");
    }
}

#[test]
fn wrong_messages_are_named() {
    for (messages, param) in [
        ("null", "messages"),
        ("[]", "messages"),
        ("{}", "messages"),
        ("\"hi\"", "messages"),
        ("[1]", "messages[0]"),
        (r#"[{"content":"x"}]"#, "messages[0].role"),
        (r#"[{"role":7}]"#, "messages[0].role"),
        (r#"[{"role":"user"},{"role":"wizard"}]"#, "messages[1].role"),
        (r#"[{"role":"user","content":7}]"#, "messages[0].content"),
        (r#"[{"role":"user","content":"\ud800"}]"#, "messages[0].content"),
        (r#"[{"role":"user","content":["x"]}]"#, "messages[0].content[0]"),
        (r#"[{"role":"user","content":[{"text":"x"}]}]"#, "messages[0].content[0].type"),
        (r#"[{"role":"user","content":[{"type":"text"}]}]"#, "messages[0].content[0].text"),
        (r#"[{"role":"user","content":[{"type":"text","text":1}]}]"#, "messages[0].content[0].text"),
        (r#"[{"role":"assistant","tool_calls":{}}]"#, "messages[0].tool_calls"),
        (r#"[{"role":"assistant","tool_calls":[{}]}]"#, "messages[0].tool_calls[0].function"),
        (
            r#"[{"role":"assistant","tool_calls":[{"function":{"name":"f"}}]}]"#,
            "messages[0].tool_calls[0].function.arguments",
        ),
        (r#"[{"role":"assistant","function_call":{}}]"#, "messages[0].function_call.name"),
        (r#"[{"role":"tool","tool_call_id":1}]"#, "messages[0].tool_call_id"),
    ] {
        let error = of_messages(messages).expect_err(messages);
        assert_eq!(
            (error.code(), error.param.as_str()),
            (Code::InvalidRequest, param),
            "{messages}: {error}"
        );
    }
    for (messages, param) in [
        (r#"[{"role":"assistant","audio":{"id":"a"}}]"#, "messages[0].audio"),
        (
            r#"[{"role":"user","content":[{"type":"text","text":"x"},{"type":"image_url"}]}]"#,
            "messages[0].content[1].type",
        ),
        (r#"[{"role":"user","content":[{"type":"input_audio"}]}]"#, "messages[0].content[0].type"),
    ] {
        let error = of_messages(messages).expect_err(messages);
        assert_eq!(
            (error.code(), error.param.as_str()),
            (Code::UnsupportedParameter, param),
            "{messages}: {error}"
        );
    }
}

#[test]
fn every_form_of_content_is_one_text() {
    let check = |content: &str, expected: &str| {
        for role in ["system", "developer", "user", "assistant", "tool"] {
            let params = of_messages(&format!(r#"[{{"role":"{role}"{content}}}]"#)).unwrap();
            assert_eq!(chat(&params).messages[0].content, expected, "{role}{content}");
        }
    };
    check("", "");
    check(r#","content":null"#, "");
    check(r#","content":"" "#, "");
    check(r#","content":"a""#, "a");
    check(r#","content":[]"#, "");
    check(r#","content":[{"type":"text","text":"a"}]"#, "a");
    check(r#","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]"#, "a\nb");
}

#[test]
fn unknown_fields_are_named_wherever_they_stand() {
    let message = r#"{"role":"user","content":[{"type":"text","text":"x","cache_control":{}}],"odd":1}"#;
    let body = format!(r#"{{"messages":[{message},{message}],"stream_options":{{"later":1}},"beta":[]}}"#);
    let ignored = params(body.as_bytes()).unwrap().ignored;
    insta::assert_debug_snapshot!(ignored, @r#"
    Ignored(
        [
            "messages.content.cache_control",
            "messages.odd",
            "stream_options.later",
            "beta",
        ],
    )
    "#);
}
